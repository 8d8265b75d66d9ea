//! Where the layers of a model looked: a column for each encoder, a row for each layer.

use image::RgbImage;
use zoo_core::{Grid, Region};

use super::canvas::Canvas;
use super::colormap::heat;
use super::compose::{
    BRIGHT, CAPTION, GAP, GROUND, HEADER, Heading, MARGIN, NAME, RADIUS, TRACK, header, percent, tile_size,
};
use super::pca;
use super::text::{self, Style};
use super::tiles;
use super::window::Window;

/// Width of the column of labels, below the photo.
const LABELS: u32 = 236;
/// Between a heat map and the next row, with the share under it.
const LINE: u32 = 34;
/// The photo's strip has at least this height, for the bars beside it.
const STRIP: u32 = 190;

/// One layer.
pub struct LayerLook {
    /// Two lines.
    pub labels: [String; 2],
    /// Grid of its queries, over the padded square.
    pub grid: Grid,
    /// The cells that show the image.
    pub region: Region,
    /// Share of attention `[encoder][cell of the region]`.
    pub shares: Vec<Vec<f32>>,
}

impl LayerLook {
    fn mean(&self, encoder: usize) -> f32 {
        let shares = self.shares.get(encoder).map_or(&[][..], Vec::as_slice);
        shares.iter().sum::<f32>() / shares.len().max(1) as f32
    }

    /// Shares over the whole grid; padding has that of the nearest cell of the image, so that edges stay clean.
    fn spread(&self, encoder: usize) -> Vec<f32> {
        let Region { rows, cols } = &self.region;
        let near = |at: usize, range: &std::ops::Range<usize>| {
            at.clamp(range.start, range.end.saturating_sub(1).max(range.start)) - range.start
        };
        let shares = self.shares.get(encoder).map_or(&[][..], Vec::as_slice);
        (0..self.grid.cells())
            .map(|cell| near(cell / self.grid.w, rows) * cols.len() + near(cell % self.grid.w, cols))
            .map(|cell| shares.get(cell).copied().unwrap_or(0.0))
            .collect()
    }
}

/// What a picture is made of.
pub struct Looks {
    /// The question.
    pub title: String,
    /// The model and its answer.
    pub subtitle: String,
    /// Name of the image.
    pub image_name: String,
    /// The image.
    pub image: RgbImage,
    /// Ids, one per column.
    pub encoders: Vec<String>,
    /// One per row, in the order in which they ran.
    pub layers: Vec<LayerLook>,
    /// Whether any of the weights were never trained.
    pub untrained: bool,
}

/// Draws it. Each column has one colour scale, from its least to its greatest share, so that the layers of a column
/// can be compared; shares of different encoders differ by the number of their tokens already, and bars compare them.
pub fn draw(looks: &Looks) -> RgbImage {
    let size = looks.image.dimensions();
    let longest = if looks.layers.len() > 6 { 168 } else { 224 };
    let (tile_w, tile_h) = tile_size(size, longest);
    let columns = looks.encoders.len().max(1) as u32;
    let column = tile_w.max(150);
    let row = tile_h.max(44) + LINE;
    let photo = tiles::photo(&looks.image, tile_w, tile_h);
    let strip = (tile_h + 60).max(STRIP);
    let width = 2 * MARGIN + LABELS + columns * (column + GAP);
    let top = MARGIN + HEADER;
    let rows = looks.layers.len() as u32;
    let height = top + strip + 48 + rows * row + MARGIN;
    let mut canvas = Canvas::new(width, height, GROUND);
    let heading = Heading {
        title: looks.title.clone(),
        subtitle: looks.subtitle.clone(),
        warning: looks.untrained.then(|| "UNTRAINED · seeded random weights".to_owned()),
    };
    header(&mut canvas, &heading, width);
    canvas.rounded([MARGIN, top, tile_w, tile_h], RADIUS, |x, y| photo.get_pixel(x, y).0);
    let name = text::fit(&looks.image_name, NAME, LABELS as f32);
    text::draw(&mut canvas, MARGIN as f32, (top + tile_h + 26) as f32, &name, NAME);
    let left = MARGIN + LABELS.max(tile_w + GAP);
    bars(&mut canvas, looks, [left, top, width - MARGIN - left, strip]);

    let start = top + strip;
    let x = |encoder: usize| MARGIN + LABELS + encoder as u32 * (column + GAP);
    for (encoder, id) in looks.encoders.iter().enumerate() {
        let spread: Vec<Vec<f32>> = looks.layers.iter().map(|layer| layer.spread(encoder)).collect();
        let seen = looks.layers.iter().filter_map(|layer| layer.shares.get(encoder)).flatten().copied();
        let (low, high) = pca::percentiles(seen.collect());
        let span = if high > low { high - low } else { 1.0 };
        let line = |style: Style, text: &str| text::fit(text, style, column as f32);
        text::draw(&mut canvas, x(encoder) as f32, (start + 10) as f32, &line(NAME, id), NAME);
        let range = format!("{:.1} to {}", low * 100.0, percent(high));
        text::draw(&mut canvas, x(encoder) as f32, (start + 30) as f32, &line(CAPTION, &range), CAPTION);
        for (index, (layer, shares)) in looks.layers.iter().zip(&spread).enumerate() {
            let values: Vec<f32> = shares.iter().map(|s| ((s - low) / span).clamp(0.0, 1.0)).collect();
            let tile = tiles::heat_map(&values, Window::whole(layer.grid), size, &photo);
            let y = start + 48 + index as u32 * row;
            canvas.rounded([x(encoder), y, tile_w, tile_h], RADIUS, |px, py| tile.get_pixel(px, py).0);
            let below = (y + tile_h + 17) as f32;
            text::draw(&mut canvas, x(encoder) as f32, below, &percent(layer.mean(encoder)), CAPTION);
        }
    }
    for (index, layer) in looks.layers.iter().enumerate() {
        let y = (start + 48 + index as u32 * row) as f32;
        for (line, (label, style)) in layer.labels.iter().zip([CAPTION, NAME]).enumerate() {
            let label = text::fit(label, style, (LABELS - GAP) as f32);
            text::draw(&mut canvas, MARGIN as f32, y + 16.0 + 20.0 * line as f32, &label, style);
        }
    }
    canvas.into_image()
}

/// Mean share of each encoder over all layers as bars, and the colour scale.
fn bars(canvas: &mut Canvas, looks: &Looks, [x, y, w, h]: [u32; 4]) {
    let room = w as f32;
    let caption = "mean over all layers and cells of the image";
    text::draw(canvas, x as f32, (y + 12) as f32, "Share of attention", NAME);
    text::draw(canvas, x as f32, (y + 32) as f32, &text::fit(caption, CAPTION, room), CAPTION);
    let count = looks.layers.len().max(1) as f32;
    let means: Vec<f32> = (0..looks.encoders.len())
        .map(|encoder| looks.layers.iter().map(|layer| layer.mean(encoder)).sum::<f32>() / count)
        .collect();
    let longest = means.iter().copied().fold(f32::EPSILON, f32::max);
    let step = (h.saturating_sub(90) / means.len().max(1) as u32).clamp(18, 34);
    for (k, (mean, id)) in means.iter().zip(&looks.encoders).enumerate() {
        let line = y + 48 + k as u32 * step;
        let value = percent(*mean);
        let names = (room * 0.45) as u32;
        text::draw(
            canvas,
            x as f32,
            (line + 10) as f32,
            &text::fit(id, CAPTION, names as f32 - 12.0),
            CAPTION,
        );
        let track = w.saturating_sub(names + 70).max(1);
        canvas.rounded([x + names, line + 3, track, 7], 3.5, |_, _| TRACK);
        let length = (track as f32 * mean / longest).round() as u32;
        canvas.rounded([x + names, line + 3, length, 7], 3.5, |px, _| {
            heat(0.35 + 0.4 * px as f32 / track as f32)
        });
        let bright = Style { colour: BRIGHT, ..CAPTION };
        text::draw(canvas, (x + names + track + 12) as f32, (line + 10) as f32, &value, bright);
    }
    let scale = y + h - 56;
    canvas.rounded([x, scale, w, 8], 4.0, |px, _| heat(px as f32 / w.max(2) as f32));
    let (low, high) = ("least of a column", "most of a column");
    text::draw(canvas, x as f32, (scale + 24) as f32, low, CAPTION);
    text::draw(canvas, x as f32 + room - text::width(high, CAPTION), (scale + 24) as f32, high, CAPTION);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(size: (u32, u32), grid: Grid) -> Looks {
        let region = zoo_core::unpad(grid, size);
        let cells = region.grid().cells();
        let shares =
            |k: usize| (0..cells).map(|cell| if (cell % 2 == 0) == (k == 0) { 0.75 } else { 0.25 }).collect();
        let layer = |n: usize| LayerLook {
            labels: ["inside the language model".into(), format!("after decoder layer {n}")],
            grid,
            region: region.clone(),
            shares: (0..2).map(shares).collect(),
        };
        Looks {
            title: "What is unusual here?".into(),
            subtitle: "tiny · nothing".into(),
            image_name: "a.png".into(),
            image: RgbImage::from_pixel(size.0, size.1, image::Rgb([120; 3])),
            encoders: vec!["one".into(), "two".into()],
            layers: (0..3).map(layer).collect(),
            untrained: false,
        }
    }

    #[test]
    fn padding_continues_the_image() {
        let looks = looks((80, 40), Grid::square(4));
        let layer = &looks.layers[0];
        assert_eq!((layer.region.rows.clone(), layer.region.cols.clone()), (1..3, 0..4));
        let spread = layer.spread(0);
        assert_eq!(spread[..4], spread[4..8], "the row above the image is its first row");
        assert_eq!(spread[12..], spread[8..12], "the row below it is its last row");
        assert_eq!(spread[4..8], layer.shares[0][..4]);
        assert!((layer.mean(0) - 0.5).abs() < 1e-6);
    }

    /// Columns differ where shares do: the first cell of the first encoder is bright, that of the second dark.
    #[test]
    fn heat_stands_where_the_shares_are() {
        for size in [(64, 64), (300, 100), (90, 260)] {
            let looks = looks(size, Grid::square(4));
            let picture = draw(&looks);
            let (tile_w, tile_h) = tile_size(size, 224);
            let (cols, rows) = (looks.layers[0].region.cols.len(), looks.layers[0].region.rows.len());
            let start = MARGIN + HEADER + (tile_h + 60).max(STRIP) + 48;
            let column = tile_w.max(150);
            let luma = |encoder: u32, col: u32| {
                let x =
                    MARGIN + LABELS + encoder * (column + GAP) + tile_w * (2 * col + 1) / (2 * cols as u32);
                let y = start + tile_h / (2 * rows as u32).max(2);
                picture.get_pixel(x, y).0.iter().map(|c| u32::from(*c)).sum::<u32>()
            };
            assert!(luma(0, 0) > luma(0, 1) + 150, "{size:?}");
            assert!(luma(1, 1) > luma(1, 0) + 150, "{size:?}");
        }
    }
}
