//! From features to a picture.
//!
//! The numbers become colours here and nowhere else: principal components in [`pca`], shares of attention through
//! [`colormap`]; [`compose`] only places what it is given.

mod canvas;
pub mod colormap;
mod compose;
mod glyphs;
pub mod looks;
pub mod pca;
mod text;
mod tiles;
mod window;

use image::RgbImage;
use zoo_core::{Grid, Preprocess};

use compose::{Heading, Picture, Shares, Tile, percent, side, tile_size};
use window::Window;

/// One encoder's view of the image.
pub struct EncoderView {
    /// Id.
    pub id: String,
    /// `[h·w, channels]`, row-major.
    pub tokens: Vec<f32>,
    /// Its grid.
    pub grid: Grid,
    /// Its channels.
    pub channels: usize,
    /// 0-based layers, concatenated on channels.
    pub layers: Vec<usize>,
    /// Rows and columns of pixels that its patches cover.
    pub seen: (usize, usize),
    /// What was done to the image.
    pub preprocess: Preprocess,
}

/// Where a connector looked.
pub struct AttentionView {
    /// Id of the connector.
    pub connector: String,
    /// Grid of its queries.
    pub grid: Grid,
    /// Share per encoder and query, `[encoder][query]`; adds up to 1 over encoders.
    pub shares: Vec<Vec<f32>>,
}

/// What a picture is made of.
pub struct View {
    /// Encoder or ensemble id.
    pub title: String,
    /// Name of the image.
    pub image_name: String,
    /// The image.
    pub image: RgbImage,
    /// In ensemble order.
    pub encoders: Vec<EncoderView>,
    /// Where there is a connector that attends.
    pub attention: Option<AttentionView>,
    /// Whether any of the weights shown were never trained.
    pub untrained: bool,
}

/// Draws it.
pub fn draw(view: &View) -> RgbImage {
    let size = view.image.dimensions();
    let (width, height) = tile_size(size, side(1 + view.encoders.len()));
    let photo = tiles::photo(&view.image, width, height);
    let mut tiles = vec![Tile {
        pixels: photo.clone(),
        name: view.image_name.clone(),
        caption: format!("{} × {} px", size.0, size.1),
    }];
    tiles.extend(view.encoders.iter().map(|encoder| encoder_tile(encoder, size, width, height)));
    let plural = if view.encoders.len() == 1 { "its feature map" } else { "each feature map" };
    compose::compose(&Picture {
        heading: Heading {
            title: view.title.clone(),
            subtitle: format!("First three principal components of {plural} as red, green and blue"),
            warning: view.untrained.then(|| "UNTRAINED · seeded random weights".to_owned()),
        },
        tiles,
        shares: view.attention.as_ref().map(|attention| shares(attention, view, &photo)),
        footer: format!("zoo {}", env!("CARGO_PKG_VERSION")),
    })
}

fn encoder_tile(encoder: &EncoderView, size: (u32, u32), width: u32, height: u32) -> Tile {
    let window = Window::of(&encoder.preprocess, encoder.grid, encoder.seen);
    let shown = window.shown(size);
    let keep = |cell: usize| shown.get(cell).copied().unwrap_or(false);
    let pca = pca::Pca::fit(&encoder.tokens, encoder.channels, keep);
    let colours = pca::colours(&pca.project(&encoder.tokens), keep);
    Tile {
        pixels: tiles::map(&colours, window, size, width, height),
        name: encoder.id.clone(),
        caption: format!(
            "{} × {} · {} channels · {}",
            encoder.grid.h,
            encoder.grid.w,
            encoder.channels,
            layer_words(&encoder.layers)
        ),
    }
}

/// One heat map per encoder, each over its own range: shares of different encoders differ by the number of their
/// tokens already, and what is to be seen is where each one counts. The bars compare them with each other.
fn shares(attention: &AttentionView, view: &View, photo: &RgbImage) -> Shares {
    let size = view.image.dimensions();
    let window = Window::whole(attention.grid);
    let shown = window.shown(size);
    // An image too thin for any cell's centre shows the padding's shares rather than none.
    let any = shown.contains(&true);
    let (mut tiles, mut means) = (Vec::new(), Vec::new());
    for (shares, encoder) in attention.shares.iter().zip(&view.encoders) {
        let kept: Vec<f32> =
            shares.iter().zip(&shown).filter(|(_, s)| **s || !any).map(|(v, _)| *v).collect();
        let mean = kept.iter().sum::<f32>() / kept.len().max(1) as f32;
        let (low, high) = pca::percentiles(kept);
        let span = if high > low { high - low } else { 1.0 };
        let values: Vec<f32> = shares.iter().map(|s| ((s - low) / span).clamp(0.0, 1.0)).collect();
        means.push(mean);
        tiles.push(Tile {
            pixels: tiles::heat_map(&values, window, size, photo),
            name: encoder.id.clone(),
            caption: format!("{} of the attention, {:.1} to {}", percent(mean), low * 100.0, percent(high)),
        });
    }
    let grid = attention.grid;
    Shares {
        of: "Share of attention".to_owned(),
        caption: format!("{} · {} × {} queries", attention.connector, grid.h, grid.w),
        tiles,
        means,
    }
}

/// `3`, `0–3`, `2, 5, 11`.
fn layer_words(layers: &[usize]) -> String {
    match layers {
        [first, .., last] if layers.windows(2).all(|w| w[1] == w[0] + 1) => format!("layers {first}–{last}"),
        [one] => format!("layer {one}"),
        _ => format!("layers {}", layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests;
