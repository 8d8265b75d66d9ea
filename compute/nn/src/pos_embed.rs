//! Learned position tables at grids other than their own.
//!
//! Every mode is a pair of small matrices, one per axis, applied to the f32 table: exact, cheap, differentiable,
//! and the same on every device. Nothing here is ever nearest-neighbour.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use zoo_core::{Grid, Result};

use crate::dispatch::Path;
use crate::graph::{self, Fresh};

/// How a position table is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PosMode {
    /// Not at all: only the native size is accepted.
    Native,
    /// Bicubic (a = -0.75), no antialiasing, with the scale factor `(g + 0.1) / g0` of the original DINOv2 code
    /// and of transformers up to 4.37.
    BicubicOffset,
    /// Bicubic (a = -0.75), no antialiasing, by size: DINOv2 in present-day transformers.
    Bicubic,
    /// Bicubic (a = -0.5) with antialiasing: timm's `resample_abs_pos_embed`, DINOv2 with registers.
    BicubicAntialias,
    /// Bilinear, no antialiasing: DPT.
    Bilinear,
    /// Bilinear, no antialiasing, to a square of the longer side, of which the upper left part is taken: C-RADIO.
    BilinearCropped,
    /// The same with the corners of both grids in one place (`align_corners`): C-RADIO v3 of sizes B and H.
    BilinearCroppedCorners,
}

/// `(a + 2)|t|³ - (a + 3)|t|² + 1` within 1, `a|t|³ - 5a|t|² + 8a|t| - 4a` within 2.
fn cubic(t: f64, a: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        a * (((t - 5.0) * t + 8.0) * t - 4.0)
    } else {
        0.0
    }
}

impl PosMode {
    /// The `to × from` matrix that resamples one axis, row-major. Each row sums to one.
    ///
    /// Pixel centres are at half integers (`align_corners=False`). Without antialiasing, taps outside the table
    /// take its border; with it, they are left out and the rest is rescaled, as in Pillow and PyTorch.
    pub fn matrix(self, from: usize, to: usize) -> Vec<f64> {
        let mut out = vec![0.0; from * to];
        let scale = match self {
            Self::BicubicOffset => from as f64 / (to as f64 + 0.1),
            _ => from as f64 / to as f64,
        };
        for (i, row) in out.chunks_exact_mut(from.max(1)).enumerate() {
            let centre = (i as f64 + 0.5) * scale;
            match self {
                Self::BicubicAntialias => antialiased(row, centre, scale.max(1.0)),
                Self::Bilinear | Self::BilinearCropped | Self::BilinearCroppedCorners => {
                    let source = match self {
                        Self::BilinearCroppedCorners => {
                            i as f64 * (from - 1) as f64 / to.saturating_sub(1).max(1) as f64
                        }
                        _ => (centre - 0.5).max(0.0),
                    };
                    let low = (source.floor() as usize).min(from - 1);
                    let weight = source - low as f64;
                    row[low] += 1.0 - weight;
                    row[(low + 1).min(from - 1)] += weight;
                }
                Self::Native | Self::Bicubic | Self::BicubicOffset => {
                    let source = centre - 0.5;
                    let low = source.floor();
                    for tap in -1..=2 {
                        let at = low + f64::from(tap);
                        row[at.clamp(0.0, (from - 1) as f64) as usize] += cubic(source - at, -0.75);
                    }
                }
            }
        }
        out
    }
}

/// One row of an antialiased bicubic matrix: the kernel widened by `widen`.
fn antialiased(row: &mut [f64], centre: f64, widen: f64) {
    let support = 2.0 * widen;
    let first = (centre - support + 0.5).max(0.0) as usize;
    let last = ((centre + support + 0.5) as usize).min(row.len());
    for (at, weight) in row.iter_mut().enumerate().take(last).skip(first) {
        *weight = cubic((at as f64 + 0.5 - centre) / widen, -0.5);
    }
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|weight| *weight /= sum);
}

/// Resamples a table `[from.h · from.w, C]` (f32) to `[to.h · to.w, C]`; the identity when the grids are equal.
///
/// # Errors
/// [`zoo_core::Error::Tensor`] when the table does not fit `from`.
pub fn resample(table: &Tensor, from: Grid, to: Grid, mode: PosMode) -> Result<Tensor> {
    if from == to {
        return Ok(table.clone());
    }
    let channels = table.dim(1)?;
    if matches!(mode, PosMode::BilinearCropped | PosMode::BilinearCroppedCorners) && to.h != to.w {
        let square = Grid::square(to.h.max(to.w));
        let whole = resample(table, from, square, mode)?.reshape((square.h, square.w, channels))?;
        let part = whole.narrow(0, 0, to.h)?.narrow(1, 0, to.w)?;
        return Ok(part.reshape((to.cells(), channels))?);
    }
    let axis = |from: usize, to: usize| -> Result<Tensor> {
        let weights: Vec<f32> = mode.matrix(from, to).into_iter().map(|w| w as f32).collect();
        Ok(Tensor::from_vec(weights, (to, from), &Device::Cpu)?.to_device(table.device())?)
    };
    let (rows, columns) = (axis(from.h, to.h)?, axis(from.w, to.w)?);
    if !matches!(Path::of([table]), Path::Tracked(_)) {
        return Ok(along(table, &rows, &columns)?);
    }
    let out = Fresh::copied(&along(&table.detach(), &rows, &columns)?)?;
    let (rows, columns, source) = (rows.t()?.contiguous()?, columns.t()?.contiguous()?, table.clone());
    Ok(graph::operation("position table", [table], out, move |gradient, sink| {
        sink.add(&source, along(gradient, &rows, &columns)?)
    })?)
}

/// A table `[h · w, C]` with each axis through a matrix, `[h', h]` and `[w', w]`.
fn along(table: &Tensor, rows: &Tensor, columns: &Tensor) -> candle_core::Result<Tensor> {
    let ((to_h, h), (to_w, w), channels) = (rows.dims2()?, columns.dims2()?, table.dim(1)?);
    let tall = rows.matmul(&table.reshape((h, w * channels))?)?.reshape((to_h, w, channels))?;
    let columns = columns.unsqueeze(0)?.broadcast_as((to_h, to_w, w))?.contiguous()?;
    columns.matmul(&tall)?.reshape((to_h * to_w, channels))
}

/// A learned table with its resampled forms.
pub struct PosEmbed {
    table: Tensor,
    prefix: usize,
    native: Grid,
    mode: PosMode,
    cache: Mutex<HashMap<Grid, Tensor>>,
}

/// Resolutions that stay resampled; beyond that the cache starts anew.
const CACHED: usize = 16;

impl PosEmbed {
    /// `table` `[1, prefix + native cells, C]`; the first `prefix` rows belong to prefix tokens and are never
    /// resampled.
    pub fn new(table: Tensor, prefix: usize, native: Grid, mode: PosMode) -> Self {
        Self { table, prefix, native, mode, cache: Mutex::default() }
    }

    /// The rows of the prefix tokens, `[1, prefix, C]`, if there are any.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the device refuses.
    pub fn prefix(&self) -> Result<Option<Tensor>> {
        if self.prefix == 0 { Ok(None) } else { Ok(Some(self.table.narrow(1, 0, self.prefix)?)) }
    }

    /// The rows of the patch tokens at `grid`, `[1, cells, C]`, in the dtype of the table; resampled in f32 once
    /// per grid.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the device refuses.
    pub fn patches(&self, grid: Grid) -> Result<Tensor> {
        let own = self.table.narrow(1, self.prefix, self.native.cells())?;
        if grid == self.native {
            return Ok(own);
        }
        let make = || -> Result<Tensor> {
            let table = own.squeeze(0)?.to_dtype(DType::F32)?;
            let resampled = resample(&table, self.native, grid, self.mode)?;
            Ok(resampled.unsqueeze(0)?.to_dtype(self.table.dtype())?)
        };
        if self.table.track_op() {
            return make();
        }
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache().get(&grid) {
            return Ok(found.clone());
        }
        // Without the lock: a thread that waits for its part of a product may begin another forward pass.
        let made = make()?;
        let mut cache = cache();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(grid, made.clone());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [PosMode; 5] = [
        PosMode::BicubicOffset,
        PosMode::Bicubic,
        PosMode::BicubicAntialias,
        PosMode::Bilinear,
        PosMode::BilinearCroppedCorners,
    ];

    #[test]
    fn gradients_are_those_of_candle() {
        let (from, to) = (Grid { h: 3, w: 5 }, Grid { h: 6, w: 4 });
        let numbers = (0..15 * 7).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
        let table = Tensor::from_vec(numbers, (15, 7), &Device::Cpu).unwrap();
        for mode in MODES {
            let matrix = |from, to| {
                let numbers: Vec<f32> = mode.matrix(from, to).into_iter().map(|w| w as f32).collect();
                Tensor::from_vec(numbers, (to, from), &Device::Cpu).unwrap()
            };
            let square = if mode == PosMode::BilinearCroppedCorners { Grid::square(6) } else { to };
            let composed = |table: &Tensor| {
                let whole = along(table, &matrix(from.h, square.h), &matrix(from.w, square.w))?;
                let part = whole.reshape((square.h, square.w, 7))?.narrow(0, 0, to.h)?.narrow(1, 0, to.w)?;
                Ok(part.reshape((to.cells(), 7))?)
            };
            graph::tests::check_linear(&table, |table| resample(table, from, to, mode), composed);
        }
    }

    #[test]
    fn constants_stay_constant() {
        for mode in MODES {
            for (from, to) in [(37, 27), (16, 24), (5, 1), (1, 4), (24, 37)] {
                for row in mode.matrix(from, to).chunks(from) {
                    let sum: f64 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{mode:?} {from}->{to}: {sum}");
                }
            }
        }
    }

    #[test]
    fn same_size_is_the_identity_by_size() {
        for mode in [PosMode::Bicubic, PosMode::BicubicAntialias, PosMode::Bilinear] {
            for (i, w) in mode.matrix(7, 7).into_iter().enumerate() {
                let expected = if i / 7 == i % 7 { 1.0 } else { 0.0 };
                assert!((w - expected).abs() < 1e-12, "{mode:?}");
            }
        }
    }

    #[test]
    fn bilinear_interpolates_between_pixel_centres() {
        let expected = [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0];
        assert_eq!(PosMode::Bilinear.matrix(2, 4), expected);
        // Shrinking without antialiasing only looks at two neighbours.
        assert_eq!(PosMode::Bilinear.matrix(4, 2), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn the_offset_changes_the_table_visibly() {
        let (a, b) = (PosMode::BicubicOffset.matrix(37, 27), PosMode::Bicubic.matrix(37, 27));
        let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(largest > 0.05, "{largest}");
    }
}
