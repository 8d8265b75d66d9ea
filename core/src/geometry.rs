//! Which cells of a token grid show the image, and which show the padding of pad-to-square.
//!
//! An image of `width × height` pixels that was padded to a centred square covers a centred strip of any square
//! grid laid over it. The arithmetic is that of the released Cambrian-1 models, in f64 and in their order of
//! operations, so that the strip has the same number of rows at rounding boundaries too.

use std::ops::Range;

use crate::features::Grid;

/// A rectangle of cells of a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Rows.
    pub rows: Range<usize>,
    /// Columns.
    pub cols: Range<usize>,
}

impl Region {
    /// All cells of `grid`.
    pub fn whole(grid: Grid) -> Self {
        Self { rows: 0..grid.h, cols: 0..grid.w }
    }

    /// Its rows and columns as a grid of their own.
    pub fn grid(&self) -> Grid {
        Grid { h: self.rows.len(), w: self.cols.len() }
    }

    /// Whether it holds the cell in `row` and `col`.
    pub fn contains(&self, row: usize, col: usize) -> bool {
        self.rows.contains(&row) && self.cols.contains(&col)
    }

    /// The same rectangle on a grid with `m × m` cells in place of each.
    #[must_use]
    pub fn scaled(&self, m: usize) -> Self {
        let scale = |r: &Range<usize>| r.start * m..r.end * m;
        Self { rows: scale(&self.rows), cols: scale(&self.cols) }
    }
}

/// Rows and columns of `grid` at each of its edges that show padding only, for an image of `(width, height)`
/// pixels: `(rows, 0)` for a landscape image, `(0, columns)` for a portrait one.
///
/// On the longer side of the image nothing is padded. On the other, `new = trunc(side · scale)` cells are the
/// image's, `scale` being cells per pixel, and `⌊(grid - new) / 2⌋` at each edge are padding: a cell that shows
/// both counts as image. At an extreme aspect ratio `new` is 0 and every row is padding; see [`unpad`].
pub fn padding(grid: Grid, (width, height): (u32, u32)) -> (usize, usize) {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let (rows, cols) = (grid.h as f64, grid.w as f64);
    // `as` truncates, as it must; the scale comes first, since (side · cells) / pixels rounds differently.
    if width / height > cols / rows {
        let new = (height * (cols / width)) as usize;
        (grid.h.saturating_sub(new) / 2, 0)
    } else {
        let new = (width * (rows / height)) as usize;
        (0, grid.w.saturating_sub(new) / 2)
    }
}

/// The cells of `grid` that are left when the padding around an image of `(width, height)` pixels is cut away.
///
/// As [`padding`] says, except that never everything goes: of an image too thin for a single cell, the middle is
/// left, two rows or columns of an even grid and one of an odd grid. On an even grid the sides of the result are
/// even.
///
/// ```
/// use zoo_core::{Grid, unpad};
/// let kept = unpad(Grid::square(24), (640, 480));
/// assert_eq!((kept.rows, kept.cols), (3..21, 0..24));
/// ```
pub fn unpad(grid: Grid, size: (u32, u32)) -> Region {
    let (top, left) = padding(grid, size);
    let cut = |cells: usize, edge: usize| {
        let edge = edge.min(cells.saturating_sub(1) / 2);
        edge..cells - edge
    };
    Region { rows: cut(grid.h, top), cols: cut(grid.w, left) }
}

/// Whether each cell of `grid`, row-major, shows some of an image of `(width, height)` pixels.
///
/// Not clamped as [`unpad`] is: when the image is too thin for a single cell, no cell shows it.
pub fn shown(grid: Grid, size: (u32, u32)) -> Vec<bool> {
    let (top, left) = padding(grid, size);
    let region = Region { rows: top..grid.h - top, cols: left..grid.w - left };
    (0..grid.cells()).map(|cell| region.contains(cell / grid.w, cell % grid.w)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(side: usize, size: (u32, u32)) -> (Range<usize>, Range<usize>) {
        let region = unpad(Grid::square(side), size);
        (region.rows, region.cols)
    }

    #[test]
    fn known_images_on_24() {
        assert_eq!(kept(24, (640, 480)), (3..21, 0..24));
        assert_eq!(kept(24, (480, 640)), (0..24, 3..21));
        assert_eq!(kept(24, (336, 336)), (0..24, 0..24));
        assert_eq!(kept(24, (1000, 10)), (11..13, 0..24));
        assert_eq!(kept(24, (10, 1000)), (0..24, 11..13));
        assert_eq!(kept(24, (1, 1)), (0..24, 0..24));
    }

    #[test]
    fn the_96_grid_agrees_with_the_24_grid() {
        assert_eq!(padding(Grid::square(96), (640, 480)), (12, 0));
        assert_eq!(padding(Grid::square(24), (640, 480)), (3, 0));
    }

    #[test]
    fn mask_of_a_landscape() {
        let mask = shown(Grid::square(24), (640, 480));
        let rows: Vec<usize> = (0..24).filter(|r| mask[r * 24]).collect();
        assert_eq!(rows, (3..21).collect::<Vec<_>>());
        assert_eq!(mask.iter().filter(|&&m| m).count(), 18 * 24);
    }

    #[test]
    fn a_thin_image_shows_in_no_cell_but_keeps_two_rows() {
        assert!(shown(Grid::square(24), (1000, 10)).iter().all(|m| !m));
        assert_eq!(kept(24, (u32::MAX, 1)).0, 11..13);
    }

    #[test]
    fn tiny_and_odd_grids_keep_what_they_have() {
        assert_eq!(kept(1, (100, 1)), (0..1, 0..1));
        assert_eq!(kept(2, (100, 1)), (0..2, 0..2));
        assert_eq!(kept(5, (100, 1)), (2..3, 0..5));
        assert_eq!(kept(5, (100, 50)), (1..4, 0..5));
    }

    #[test]
    fn regions_scale() {
        let region = unpad(Grid::square(24), (640, 480)).scaled(4);
        assert_eq!((region.rows.clone(), region.cols.clone()), (12..84, 0..96));
        assert_eq!(region.grid(), Grid { h: 72, w: 96 });
    }
}
