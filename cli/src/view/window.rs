//! Where a pixel of the original image lies on a token grid.

use zoo_core::{Grid, Preprocess};

/// The part of an image that a square grid of tokens shows: the image is padded to a centred square, a border of
/// which may be cropped away, and the last pixels may not fill a whole patch.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    grid: Grid,
    /// Share of the padded square lost at each edge by the second resize and crop.
    margin: f32,
    /// Share of the cropped square that whole patches cover, vertically and horizontally.
    cover: (f32, f32),
}

impl Window {
    /// `grid` over the whole padded square.
    pub fn whole(grid: Grid) -> Self {
        Self { grid, margin: 0.0, cover: (1.0, 1.0) }
    }

    /// `grid` over the first `seen` rows and columns of pixels of what `preprocess` leaves of the square.
    pub fn of(preprocess: &Preprocess, grid: Grid, seen: (usize, usize)) -> Self {
        let size = preprocess.size.max(1) as f32;
        let margin = preprocess.then.as_ref().map_or(0.0, |then| {
            let resized = then.resize.max(preprocess.size) as f32;
            (resized - size) / 2.0 / resized
        });
        let cover = |pixels: usize| (pixels as f32 / size).clamp(f32::EPSILON, 1.0);
        Self { grid, margin, cover: (cover(seen.0), cover(seen.1)) }
    }

    /// The grid.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Column and row on the grid, in cells, of the point at `(x, y)` (shares of its width and height) of an image
    /// of `size` pixels; none where no token looks.
    pub fn locate(&self, size: (u32, u32), x: f32, y: f32) -> Option<(f32, f32)> {
        let (w, h) = (size.0 as f32, size.1 as f32);
        let side = w.max(h);
        let axis = |along: f32, length: f32, cover: f32, cells: usize| {
            let square = (along * length + (side - length) / 2.0) / side;
            let cropped = (square - self.margin) / (1.0 - 2.0 * self.margin) / cover;
            (0.0..=1.0).contains(&cropped).then_some(cropped * cells as f32)
        };
        Some((axis(x, w, self.cover.1, self.grid.w)?, axis(y, h, self.cover.0, self.grid.h)?))
    }

    /// Whether the centre of each cell, row-major, shows some of an image of `size` pixels rather than padding.
    pub fn shown(&self, size: (u32, u32)) -> Vec<bool> {
        let (w, h) = (size.0 as f32, size.1 as f32);
        let side = w.max(h);
        let axis = |cell: usize, cells: usize, cover: f32, length: f32| {
            let cropped = (cell as f32 + 0.5) / cells as f32 * cover;
            let square = self.margin + cropped * (1.0 - 2.0 * self.margin);
            (square * side - (side - length) / 2.0).clamp(0.0, length)
                == square * side - (side - length) / 2.0
        };
        (0..self.grid.cells())
            .map(|i| {
                axis(i / self.grid.w, self.grid.h, self.cover.0, h)
                    && axis(i % self.grid.w, self.grid.w, self.cover.1, w)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zoo_core::{Filter, ResizeCrop};

    fn preprocess(size: u32, resize: Option<u32>) -> Preprocess {
        let then = resize.map(|resize| ResizeCrop { resize, filter: Filter::Bilinear });
        let (mean, std) = ([0.5; 3], [0.5; 3]);
        Preprocess {
            size,
            pad: [0; 3],
            fit: zoo_core::Fit::Pad,
            filter: Filter::Bicubic,
            then,
            raw: false,
            mean,
            std,
        }
    }

    #[test]
    fn a_square_image_spans_the_grid() {
        let window = Window::whole(Grid::square(8));
        assert_eq!(window.locate((100, 100), 0.0, 1.0), Some((0.0, 8.0)));
        assert!(window.shown((100, 100)).iter().all(|s| *s));
    }

    #[test]
    fn a_landscape_lies_in_the_middle_rows() {
        let window = Window::whole(Grid::square(8));
        assert_eq!(window.locate((200, 100), 0.0, 0.0), Some((0.0, 2.0)));
        assert_eq!(window.locate((200, 100), 1.0, 1.0), Some((8.0, 6.0)));
        let rows: Vec<usize> = (0..8).filter(|r| window.shown((200, 100))[r * 8]).collect();
        assert_eq!(rows, [2, 3, 4, 5]);
    }

    #[test]
    fn the_cropped_border_is_seen_by_no_token() {
        let window = Window::of(&preprocess(224, Some(256)), Grid::square(14), (224, 224));
        assert_eq!(window.locate((512, 512), 0.01, 0.5), None);
        let (x, _) = window.locate((512, 512), 16.0 / 256.0, 0.5).unwrap();
        assert!(x.abs() < 1e-4, "{x}");
    }

    #[test]
    fn pixels_beyond_the_last_patch_are_seen_by_no_token() {
        let window = Window::of(&preprocess(384, None), Grid::square(27), (378, 378));
        assert_eq!(window.locate((384, 384), 0.999, 0.5), None);
        let (x, _) = window.locate((384, 384), 377.9 / 384.0, 0.5).unwrap();
        assert!(x > 26.9, "{x}");
    }
}
