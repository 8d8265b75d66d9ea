//! What distances add to scores: a learned number for each distance of two cells in each head (arXiv 2111.09883, as in
//! BEiT, 2106.08254).

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};
use zoo_nn::pos_embed::{PosMode, resample};

/// Numbers behind those of distances: of the class token to a cell, of a cell to it, and of it to itself.
const CLASS: usize = 3;

/// The numbers of a block. Tensor: `relative_position_bias_table` `[(2 h - 1)(2 w - 1) + 3, heads]`, rows of distances
/// (query minus key) from the most negative on, both ways in raster order.
pub(crate) struct Distances {
    table: Tensor,
    native: Grid,
}

/// The distances on a grid.
fn distances(grid: Grid) -> Grid {
    Grid { h: (2 * grid.h).saturating_sub(1), w: (2 * grid.w).saturating_sub(1) }
}

impl Distances {
    pub(crate) fn load(params: &Params, native: Grid, heads: usize) -> Result<Self> {
        let rows = distances(native).cells() + CLASS;
        let init = Init::Normal { mean: 0.0, std: 0.02 };
        Ok(Self { table: params.get("relative_position_bias_table", (rows, heads), init)?, native })
    }

    /// For a class token and the cells of `grid`: f32 `[heads, T, T]`. On another grid than its own the numbers of
    /// distances are resampled linearly, as MiDaS does it; those of the class token stay. Differentiable.
    pub(crate) fn scores(&self, grid: Grid) -> Result<Tensor> {
        let (rows, heads) = self.table.dims2()?;
        let table = self.table.to_dtype(DType::F32)?;
        let own = table.narrow(0, 0, rows - CLASS)?;
        let (from, to) = (distances(self.native), distances(grid));
        let own = resample(&own, from, to, PosMode::Bilinear)?;
        let table = Tensor::cat(&[own, table.narrow(0, rows - CLASS, CLASS)?], 0)?;
        let tokens = 1 + grid.cells();
        if table.device().is_cpu() && !table.track_op() {
            let table: Vec<f32> = table.t()?.flatten_all()?.to_vec1()?;
            let mut scores = vec![0f32; heads * tokens * tokens];
            scores.par_chunks_mut(tokens).enumerate().for_each(|(i, scores)| {
                let table = &table[i / tokens * (to.cells() + CLASS)..][..to.cells() + CLASS];
                for (key, score) in scores.iter_mut().enumerate() {
                    *score = table[place(grid, i % tokens, key)];
                }
            });
            return Ok(Tensor::from_vec(scores, (heads, tokens, tokens), &Device::Cpu)?);
        }
        let places = (0..tokens).flat_map(|query| (0..tokens).map(move |key| place(grid, query, key) as u32));
        let places = Tensor::from_vec(places.collect::<Vec<_>>(), tokens * tokens, table.device())?;
        Ok(table.index_select(&places, 0)?.t()?.reshape((heads, tokens, tokens))?)
    }
}

/// The row of the table for a query and a key; token 0 is the class token.
fn place(grid: Grid, query: usize, key: usize) -> usize {
    let all = distances(grid);
    match (query.checked_sub(1), key.checked_sub(1)) {
        (None, None) => all.cells() + 2,
        (Some(_), None) => all.cells() + 1,
        (None, Some(_)) => all.cells(),
        (Some(q), Some(k)) => {
            let row = q / grid.w + grid.h - 1 - k / grid.w;
            let column = q % grid.w + grid.w - 1 - k % grid.w;
            row * all.w + column
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_table_are_those_of_the_published_index() {
        // Three rows and three columns of distances, then those of the class token.
        let grid = Grid::square(2);
        let row = |query| (0..5).map(|key| place(grid, query, key)).collect::<Vec<_>>();
        assert_eq!(row(0), [11, 9, 9, 9, 9]);
        assert_eq!(row(1), [10, 4, 3, 1, 0]);
        assert_eq!(row(4), [10, 8, 7, 5, 4]);
    }
}
