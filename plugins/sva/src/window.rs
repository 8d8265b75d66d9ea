//! Which cells of an encoder's grid each query sees.
//!
//! A grid of queries lies over each encoder's finer or equal grid; the query in row `i` and column `j` sees the
//! `m × m` cells under it. That is the whole spatial bias of the Spatial Vision Aggregator.

use candle_core::Tensor;
use zoo_core::{Grid, Region, Result, shown};
use zoo_nn::local_attention::add_per_key;

/// `m × m` cells per query of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The queries.
    pub queries: Grid,
    /// Cells per query on each axis.
    pub m: usize,
}

impl Windows {
    /// Windows of a `q × q` grid of queries over `s × s` cells; `s` must be a multiple of `q`.
    pub fn square(q: usize, s: usize) -> Self {
        Self { queries: Grid::square(q), m: s / q }
    }

    /// Keys per query.
    pub fn keys(&self) -> usize {
        self.m * self.m
    }

    /// The grid of cells.
    pub fn cells(&self) -> Grid {
        Grid { h: self.queries.h * self.m, w: self.queries.w * self.m }
    }

    /// Row-major number of the cell that `query` sees as its `key`: for query `(i, j)` and key `(u, v)`, the cell
    /// `(i·m + u, j·m + v)`.
    pub fn cell(&self, query: usize, key: usize) -> usize {
        let (i, j) = (query / self.queries.w, query % self.queries.w);
        let (u, v) = (key / self.m, key % self.m);
        (i * self.m + u) * self.cells().w + j * self.m + v
    }

    /// Cells `[B, cells, C]` in raster order, gathered into windows and cut into heads:
    /// `[B · queries, heads, keys, C / heads]`.
    pub fn gather(&self, cells: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, _, width) = cells.dims3()?;
        let (Grid { h, w }, m) = (self.queries, self.m);
        let windows = cells.reshape(&[batch, h, m, w, m, heads, width / heads])?;
        let windows = windows.permute([0, 1, 3, 5, 2, 4, 6])?;
        Ok(windows.reshape((batch * h * w, heads, m * m, width / heads))?)
    }

    /// Adds one vector per key, `[keys, C]`, to the cells `[B, cells, C]`: what adding it to each gathered window
    /// would do.
    pub fn add_per_key(&self, cells: &Tensor, keys: &Tensor) -> Result<Tensor> {
        add_per_key(cells, keys, self.queries.w, self.m)
    }

    /// Which keys the queries of `region` may look at, `[queries, keys]` row-major, for an image of
    /// `(width, height)` pixels that was padded to a square: those that show the image, except that a query none
    /// of whose keys does may look at all of them.
    pub fn visible(&self, region: &Region, size: (u32, u32)) -> Vec<bool> {
        let shown = shown(self.cells(), size);
        let mut visible = Vec::with_capacity(region.grid().cells() * self.keys());
        for query in
            (0..self.queries.cells()).filter(|q| region.contains(q / self.queries.w, q % self.queries.w))
        {
            let start = visible.len();
            visible.extend((0..self.keys()).map(|key| shown[self.cell(query, key)]));
            let window = &mut visible[start..];
            if window.iter().all(|v| !v) {
                window.fill(true);
            }
        }
        visible
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use proptest::prelude::*;
    use zoo_core::{padding, unpad};

    use super::*;

    fn arange(cells: usize) -> Tensor {
        Tensor::arange(0u32, cells as u32, &Device::Cpu).unwrap().reshape((1, cells, 1)).unwrap()
    }

    fn gathered(windows: Windows) -> Vec<Vec<u32>> {
        let cells = arange(windows.cells().cells());
        let out = windows.gather(&cells, 1).unwrap();
        out.reshape((windows.queries.cells(), windows.keys())).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn map_of_the_released_models() {
        let rows = gathered(Windows::square(24, 96));
        let expected: Vec<u32> = [0, 96, 192, 288].iter().flat_map(|r| *r..*r + 4).collect();
        assert_eq!(rows[0], expected);
        assert_eq!(rows[1][0], 4);
        assert_eq!(rows[24][0], 4 * 96);
        assert_eq!(gathered(Windows::square(24, 24))[575], [575]);
    }

    #[test]
    fn a_masked_encoder_becomes_visible_again_but_only_where_nothing_is_left() {
        // 640×480 on 96 cells: 12 rows of padding above, exactly three windows.
        let fine = Windows::square(24, 96);
        let whole = Region::whole(fine.queries);
        assert!(fine.visible(&whole, (640, 480)).iter().all(|v| *v));
        // 640×500: 75 rows are the image's, 10 at each edge are not; the third row of windows is cut in half.
        let visible = fine.visible(&whole, (640, 500));
        let window = |row: usize| &visible[row * 24 * 16..row * 24 * 16 + 16];
        assert!(window(1).iter().all(|v| *v));
        assert_eq!(window(2).iter().position(|v| *v), Some(8));
        assert!(window(2)[8..].iter().all(|v| *v));
        // The same image on 24 cells: ⌊(24 - 18) / 2⌋ = 3 rows, each a window of its own.
        assert!(Windows::square(24, 24).visible(&whole, (640, 500)).iter().all(|v| *v));
    }

    #[test]
    fn per_key_addition_is_that_of_windows() {
        let windows = Windows { queries: Grid { h: 2, w: 3 }, m: 2 };
        let cells = arange(24).to_dtype(DType::F32).unwrap();
        let keys = Tensor::new(&[[100f32], [200.], [300.], [400.]], &Device::Cpu).unwrap();
        let added = windows.gather(&windows.add_per_key(&cells, &keys).unwrap(), 1).unwrap();
        let expected =
            windows.gather(&cells, 1).unwrap().broadcast_add(&keys.reshape((1, 1, 4, 1)).unwrap()).unwrap();
        assert_eq!(
            added.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            expected.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
    }

    proptest! {
        #[test]
        fn windows_partition_the_cells(h in 1usize..7, w in 1usize..7, m in 1usize..5) {
            let windows = Windows { queries: Grid { h, w }, m };
            let rows = gathered(windows);
            let mut seen = vec![false; windows.cells().cells()];
            for (query, keys) in rows.iter().enumerate() {
                for (key, &cell) in keys.iter().enumerate() {
                    prop_assert_eq!(cell as usize, windows.cell(query, key));
                    // The inverse map: from a cell to its query.
                    let (row, col) = (cell as usize / (w * m), cell as usize % (w * m));
                    prop_assert_eq!((row / m) * w + col / m, query);
                    prop_assert!(!std::mem::replace(&mut seen[cell as usize], true));
                }
            }
            prop_assert!(seen.iter().all(|s| *s));
        }

        #[test]
        fn every_query_sees_something(q in 1usize..13, m in 1usize..5, width in 1u32..3000, height in 1u32..3000) {
            let windows = Windows::square(q, q * m);
            let visible = windows.visible(&Region::whole(windows.queries), (width, height));
            prop_assert_eq!(visible.len(), q * q * m * m);
            for window in visible.chunks(m * m) {
                prop_assert!(window.contains(&true));
            }
        }

        #[test]
        fn cutting_the_mask_is_masking_the_cut(width in 1u32..3000, height in 1u32..3000, m in 1usize..5) {
            let windows = Windows::square(12, 12 * m);
            let size = (width, height);
            let region = unpad(windows.queries, size);
            let whole = windows.visible(&Region::whole(windows.queries), size);
            let expected: Vec<bool> = (0..144)
                .filter(|q| region.contains(q / 12, q % 12))
                .flat_map(|q| whole[q * m * m..(q + 1) * m * m].to_vec())
                .collect();
            prop_assert_eq!(windows.visible(&region, size), expected);
        }

        #[test]
        fn unpad_keeps_an_even_centred_strip(width in 1u32..5000, height in 1u32..5000) {
            let size = (width, height);
            for side in [24usize, 96] {
                let kept = unpad(Grid::square(side), size);
                let strip = if width > height { kept.rows.clone() } else { kept.cols.clone() };
                let other = if width > height { kept.cols } else { kept.rows };
                prop_assert_eq!(other, 0..side);
                prop_assert_eq!(strip.start, side - strip.end);
                prop_assert!(strip.len() >= 2 && strip.len() % 2 == 0);
                let exact = side as f64 * f64::from(width.min(height)) / f64::from(width.max(height));
                prop_assert!(strip.len() as f64 >= exact.max(2.0) - 1.0);
                prop_assert!(strip.len() as f64 <= exact + 2.0);
            }
        }

        /// The floors on the two grids may differ at the border, by less than one window.
        #[test]
        fn fine_and_coarse_padding_agree(width in 1u32..5000, height in 1u32..5000) {
            let (coarse, fine) = (padding(Grid::square(24), (width, height)), padding(Grid::square(96), (width, height)));
            let (coarse, fine) = (coarse.0 + coarse.1, fine.0 + fine.1);
            prop_assert!(fine + 2 >= 4 * coarse, "{} rows of 96, {} of 24", fine, coarse);
            prop_assert!(fine <= 4 * coarse + 4, "{} rows of 96, {} of 24", fine, coarse);
        }
    }
}
