//! Square-cornered fields of pixels: the image itself, a coloured feature map, a heat map over the image.

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::canvas::{Rgb, mix};
use super::colormap::heat;
use super::window::Window;

/// What lies under parts of the image that no token sees.
const UNSEEN: Rgb = [22, 24, 30];
/// Samples per pixel and axis at cell edges.
const SUPERSAMPLE: u32 = 2;
/// Below this side a map is drawn as cells rather than interpolated: a handful of values is honest as a mosaic.
const SMOOTH_FROM: usize = 12;

/// The image at `width × height` pixels.
pub fn photo(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    imageops::resize(image, width.max(1), height.max(1), FilterType::CatmullRom)
}

/// One colour per cell, cut to the image: padding is not shown.
pub fn map(colours: &[Rgb], window: Window, size: (u32, u32), width: u32, height: u32) -> RgbImage {
    let smooth = window.grid().h.min(window.grid().w) >= SMOOTH_FROM;
    paint(width, height, |x, y| match window.locate(size, x, y) {
        None => UNSEEN.map(f32::from),
        Some((column, row)) if smooth => {
            std::array::from_fn(|c| sample(window, column, row, |cell| f32::from(colours[cell][c])))
        }
        Some((column, row)) => colours[cell(window, column, row)].map(f32::from),
    })
}

/// `values` (one per cell, 0..=1) as heat, with the image faintly visible beneath.
pub fn heat_map(values: &[f32], window: Window, size: (u32, u32), photo: &RgbImage) -> RgbImage {
    let (width, height) = photo.dimensions();
    let smooth = window.grid().h.min(window.grid().w) >= SMOOTH_FROM;
    let mut out = paint(width, height, |x, y| match window.locate(size, x, y) {
        None => UNSEEN.map(f32::from),
        Some((column, row)) => {
            let value = if smooth {
                sample(window, column, row, |cell| values[cell])
            } else {
                values[cell(window, column, row)]
            };
            heat(value).map(f32::from)
        }
    });
    for (pixel, under) in out.pixels_mut().zip(photo.pixels()) {
        let [r, g, b] = under.0.map(f32::from);
        let grey = (0.299 * r + 0.587 * g + 0.114 * b) as u8;
        pixel.0 = mix(pixel.0, [grey; 3], 0.22);
    }
    out
}

/// Fills a field by averaging `colour` over each pixel; its arguments are shares of the width and height.
fn paint(width: u32, height: u32, colour: impl Fn(f32, f32) -> [f32; 3]) -> RgbImage {
    let (width, height) = (width.max(1), height.max(1));
    let at = |pixel: u32, step: u32, length: u32| {
        (pixel as f32 + (step as f32 + 0.5) / SUPERSAMPLE as f32) / length as f32
    };
    RgbImage::from_fn(width, height, |px, py| {
        let mut sum = [0.0; 3];
        for step in 0..SUPERSAMPLE * SUPERSAMPLE {
            let (x, y) = (at(px, step % SUPERSAMPLE, width), at(py, step / SUPERSAMPLE, height));
            colour(x, y).iter().zip(&mut sum).for_each(|(c, s)| *s += c);
        }
        image::Rgb(sum.map(|s| (s / (SUPERSAMPLE * SUPERSAMPLE) as f32).round().clamp(0.0, 255.0) as u8))
    })
}

fn cell(window: Window, column: f32, row: f32) -> usize {
    let grid = window.grid();
    (row as usize).min(grid.h - 1) * grid.w + (column as usize).min(grid.w - 1)
}

/// Catmull–Rom interpolation between cell centres: as sharp as the cells allow, without the creases of a bilinear
/// one.
fn sample(window: Window, column: f32, row: f32, value: impl Fn(usize) -> f32) -> f32 {
    let grid = window.grid();
    let (columns, rows) = (taps(column, grid.w), taps(row, grid.h));
    rows.iter()
        .map(|(y, wy)| wy * columns.iter().map(|(x, wx)| wx * value(y * grid.w + x)).sum::<f32>())
        .sum()
}

/// The four cells around a place on an axis of `cells`, those beyond its ends replaced by the last one, and their
/// weights.
fn taps(along: f32, cells: usize) -> [(usize, f32); 4] {
    let centre = along - 0.5;
    let (base, t) = (centre.floor(), centre - centre.floor());
    let weights = [
        ((2.0 - t) * t - 1.0) * t / 2.0,
        ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
        ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
        (t - 1.0) * t * t / 2.0,
    ];
    std::array::from_fn(|i| {
        let cell = (base as i64 + i as i64 - 1).clamp(0, cells as i64 - 1);
        (cell as usize, weights[i])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zoo_core::Grid;

    #[test]
    fn small_maps_are_mosaics_and_large_ones_are_smooth() {
        let checker = |n: usize| -> Vec<Rgb> {
            (0..n * n).map(|i| if (i / n + i % n).is_multiple_of(2) { [0; 3] } else { [255; 3] }).collect()
        };
        let grey = |n: usize| {
            let tile = map(&checker(n), Window::whole(Grid::square(n)), (64, 64), 192, 192);
            tile.pixels().filter(|p| (60..196).contains(&p.0[0])).count()
        };
        assert!(grey(4) < grey(16) / 4, "{} {}", grey(4), grey(16));
    }

    #[test]
    fn interpolation_keeps_cells_and_constants() {
        for along in [0.0, 0.3, 2.5, 6.9, 8.0] {
            let sum: f32 = taps(along, 8).iter().map(|(_, w)| w).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{along}: {sum}");
        }
        assert_eq!(taps(3.5, 8)[1], (3, 1.0));
        assert_eq!(taps(0.0, 1).map(|(cell, _)| cell), [0; 4]);
    }

    #[test]
    fn padding_is_cut_away() {
        // The middle half of the rows is white, the padding rows are red.
        let colours: Vec<Rgb> =
            (0..64).map(|i| if (2..6).contains(&(i / 8)) { [255; 3] } else { [255, 0, 0] }).collect();
        let tile = map(&colours, Window::whole(Grid::square(8)), (200, 100), 64, 32);
        assert!(tile.pixels().all(|p| p.0 == [255; 3]));
    }
}
