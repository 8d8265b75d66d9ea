//! The picture as a whole: where everything stands.

use image::RgbImage;

use super::canvas::{Canvas, Rgb, mix};
use super::colormap::heat;
use super::text::{self, Style};

pub(super) const GROUND: Rgb = [13, 15, 20];
pub(super) const TRACK: Rgb = [34, 38, 47];
pub(super) const BRIGHT: Rgb = [236, 239, 244];
const DIM: Rgb = [139, 147, 161];
const AMBER: Rgb = [242, 184, 75];

pub(super) const MARGIN: u32 = 56;
pub(super) const GAP: u32 = 26;
pub(super) const HEADER: u32 = 96;
const LABEL: u32 = 64;
const FOOTER: u32 = 46;
pub(super) const RADIUS: f32 = 10.0;

const TITLE: Style = Style { size: 25.0, weight: 0.13, colour: BRIGHT };
const SUBTITLE: Style = Style { size: 12.5, weight: 0.115, colour: DIM };
pub(super) const NAME: Style = Style { size: 13.0, weight: 0.14, colour: BRIGHT };
pub(super) const CAPTION: Style = Style { size: 10.5, weight: 0.12, colour: DIM };

/// A field with two lines below it.
pub struct Tile {
    /// At most [`side`] pixels wide and high; all tiles of a picture have the same size.
    pub pixels: RgbImage,
    /// First line.
    pub name: String,
    /// Second line.
    pub caption: String,
}

/// Shares of attention, below the feature maps.
pub struct Shares {
    /// What attends, for the heading.
    pub of: String,
    /// Second line of the heading.
    pub caption: String,
    /// One heat map per encoder, in the order of the feature maps.
    pub tiles: Vec<Tile>,
    /// Mean share of each, adding up to 1.
    pub means: Vec<f32>,
}

/// The top of a picture.
pub struct Heading {
    /// Headline.
    pub title: String,
    /// Line below it.
    pub subtitle: String,
    /// Shown as a badge.
    pub warning: Option<String>,
}

/// Everything that a picture shows.
pub struct Picture {
    /// Its top.
    pub heading: Heading,
    /// The image, then one feature map per encoder.
    pub tiles: Vec<Tile>,
    /// Second row.
    pub shares: Option<Shares>,
    /// Bottom line.
    pub footer: String,
}

/// Longest side of a tile in a picture of so many columns.
pub fn side(columns: usize) -> u32 {
    match columns {
        0..=3 => 440,
        4..=5 => 360,
        _ => 288,
    }
}

/// Size of a tile that shows an image of `size` pixels: its aspect ratio, with `side` as the longer side.
pub fn tile_size((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let longest = width.max(height).max(1);
    let scale = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    (scale(width), scale(height))
}

/// Draws the picture.
pub fn compose(picture: &Picture) -> RgbImage {
    let columns = picture.tiles.len().max(1) as u32;
    let (tile_w, tile_h) = picture.tiles.first().map_or((1, 1), |t| t.pixels.dimensions());
    // Labels need room below portraits too.
    let column = tile_w.max(236);
    let rows = 1 + u32::from(picture.shares.is_some());
    let row = tile_h.max(if rows > 1 { 200 } else { 1 }) + LABEL;
    let width = 2 * MARGIN + columns * column + (columns - 1) * GAP;
    let height = MARGIN + HEADER + rows * row + (rows - 1) * GAP + FOOTER;
    let mut canvas = Canvas::new(width, height, GROUND);

    header(&mut canvas, &picture.heading, width);
    let x = |index: usize| MARGIN + index as u32 * (column + GAP);
    for (index, tile) in picture.tiles.iter().enumerate() {
        place(&mut canvas, tile, x(index), MARGIN + HEADER, column);
    }
    if let Some(shares) = &picture.shares {
        let y = MARGIN + HEADER + row + GAP;
        legend(&mut canvas, shares, &picture.tiles, [x(0), y, column, row - LABEL]);
        for (index, tile) in shares.tiles.iter().enumerate() {
            place(&mut canvas, tile, x(index + 1), y, column);
        }
    }
    let baseline = (height - FOOTER / 2) as f32;
    text::draw(&mut canvas, MARGIN as f32, baseline, &picture.footer, CAPTION);
    canvas.into_image()
}

pub(super) fn header(canvas: &mut Canvas, heading: &Heading, width: u32) {
    let room = (width - 2 * MARGIN) as f32;
    let mut title_room = room;
    if let Some(warning) = &heading.warning {
        let style = Style { size: 11.5, weight: 0.15, colour: AMBER };
        let warning = text::fit(warning, style, room - 40.0);
        let (w, h) = (text::width(&warning, style).ceil() as u32 + 32, 34);
        let x = width - MARGIN - w;
        canvas.rounded([x, MARGIN - 6, w, h], h as f32 / 2.0, |_, _| mix(GROUND, AMBER, 0.16));
        text::draw(canvas, (x + 16) as f32, (MARGIN - 6) as f32 + 22.5, &warning, style);
        title_room = (room - w as f32 - 24.0).max(120.0);
    }
    let title = text::fit(&heading.title, TITLE, title_room);
    text::draw(canvas, MARGIN as f32, (MARGIN + 22) as f32, &title, TITLE);
    let subtitle = text::fit(&heading.subtitle, SUBTITLE, room);
    text::draw(canvas, MARGIN as f32, (MARGIN + 54) as f32, &subtitle, SUBTITLE);
}

fn place(canvas: &mut Canvas, tile: &Tile, x: u32, y: u32, column: u32) {
    let (w, h) = tile.pixels.dimensions();
    canvas.rounded([x, y, w, h], RADIUS, |px, py| tile.pixels.get_pixel(px, py).0);
    let line = |style: Style, text: &str| text::fit(text, style, column as f32);
    text::draw(canvas, x as f32, (y + h + 28) as f32, &line(NAME, &tile.name), NAME);
    text::draw(canvas, x as f32, (y + h + 51) as f32, &line(CAPTION, &tile.caption), CAPTION);
}

/// Mean shares as bars, and the colour scale that all heat maps have.
fn legend(canvas: &mut Canvas, shares: &Shares, tiles: &[Tile], [x, y, w, h]: [u32; 4]) {
    let (left, room) = (x as f32, w as f32);
    text::draw(canvas, left, (y + 16) as f32, &text::fit(&shares.of, NAME, room), NAME);
    text::draw(canvas, left, (y + 40) as f32, &text::fit(&shares.caption, CAPTION, room), CAPTION);

    // Bars between the heading and the scale.
    let (top, bottom) = (y + 62, y + h.saturating_sub(44));
    let step = ((bottom.saturating_sub(top)) / shares.means.len().max(1) as u32).clamp(18, 46);
    let longest = shares.means.iter().copied().fold(f32::EPSILON, f32::max);
    for (k, (mean, tile)) in shares.means.iter().zip(tiles.iter().skip(1)).enumerate() {
        let line = top + k as u32 * step;
        let value = percent(*mean);
        let value_width = text::width(&value, CAPTION);
        let name = text::fit(&tile.name, CAPTION, room - value_width - 16.0);
        text::draw(canvas, left, (line + 10) as f32, &name, CAPTION);
        let bright = Style { colour: BRIGHT, ..CAPTION };
        text::draw(canvas, left + room - value_width, (line + 10) as f32, &value, bright);
        if step >= 28 {
            let length = (room * mean / longest).round() as u32;
            canvas.rounded([x, line + 17, w, 5], 2.5, |_, _| TRACK);
            canvas.rounded([x, line + 17, length, 5], 2.5, |px, _| heat(0.35 + 0.4 * px as f32 / room));
        }
    }

    let scale = y + h - 30;
    canvas.rounded([x, scale, w, 10], 5.0, |px, _| heat(px as f32 / w.max(2) as f32));
    let (low, high) = ("least", "most of each map");
    text::draw(canvas, left, (scale + 28) as f32, low, CAPTION);
    text::draw(canvas, left + room - text::width(high, CAPTION), (scale + 28) as f32, high, CAPTION);
}

/// `24.7 %`.
pub fn percent(share: f32) -> String {
    format!("{:.1} %", share * 100.0)
}
