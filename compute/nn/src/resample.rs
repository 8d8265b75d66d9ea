//! Separable resampling of token grids: feature maps to another token count, position tables to another size.
//!
//! Each axis is a list of taps with f32 weights that were computed in f64, so that the same weights serve two
//! evaluations: a sparse one (CPU; its gradient is the same with the taps the other way round), and plain matrix products
//! (any device). Sums are f32 whatever the dtype of the tokens. The conventions are torch's
//! `interpolate(align_corners=False)`.

use candle_core::{DType, Device, Tensor};
use half::bf16;
use rayon::prelude::*;
use zoo_core::{Error, Grid, Result};
use zoo_kernels::Element;

use crate::dispatch::Path;
use crate::graph::{self, Fresh};
use crate::values::Values;

/// Interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// Triangle, two taps.
    Linear,
    /// Keys' cubic convolution with this `a`, four taps. torch takes -0.75 without and -0.5 with antialiasing.
    Cubic(f64),
}

impl Kernel {
    fn support(self) -> usize {
        match self {
            Self::Linear => 1,
            Self::Cubic(_) => 2,
        }
    }

    fn value(self, t: f64) -> f64 {
        let t = t.abs();
        match self {
            Self::Linear => (1.0 - t).max(0.0),
            Self::Cubic(a) if t <= 1.0 => ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0,
            Self::Cubic(a) if t < 2.0 => ((t - 5.0) * t + 8.0) * t * a - 4.0 * a,
            Self::Cubic(_) => 0.0,
        }
    }
}

/// Resampling along one axis: for each output cell, the input cells that it is a weighted sum of.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    from: usize,
    cells: Vec<Vec<(usize, f32)>>,
}

impl Axis {
    /// Interpolation without antialiasing: output cell `i` samples the input at `(i + 0.5) · step - 0.5`, where
    /// taps outside clamp to the border. `step` is `from / to`, except where a reference says otherwise.
    pub fn interpolate(kernel: Kernel, from: usize, to: usize, step: f64) -> Self {
        let (support, last) = (kernel.support() as i64, from.saturating_sub(1) as i64);
        let cells = (0..to).map(|i| {
            let source = (i as f64 + 0.5) * step - 0.5;
            let first = source.floor() as i64 - support + 1;
            let taps = (first..first + 2 * support)
                .map(|j| (j.clamp(0, last) as usize, kernel.value(source - j as f64)));
            merge(taps, 1.0)
        });
        Self { from, cells: cells.collect() }
    }

    /// Antialiased resampling: the kernel is widened when shrinking, and taps outside are left out.
    pub fn antialias(kernel: Kernel, from: usize, to: usize) -> Self {
        let step = from as f64 / to as f64;
        let width = step.max(1.0);
        let support = kernel.support() as f64 * width;
        let cells = (0..to).map(|i| {
            let centre = (i as f64 + 0.5) * step;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let taps = (first..end).map(|j| (j, kernel.value((j as f64 + 0.5 - centre) / width)));
            merge(taps.clone(), taps.map(|(_, w)| w).sum())
        });
        Self { from, cells: cells.collect() }
    }

    /// torch's `AdaptiveAvgPool`: output cell `i` is the mean of the input cells `⌊i · from / to⌋` up to
    /// `⌈(i + 1) · from / to⌉`, which overlap where `to` does not divide `from`.
    pub fn adaptive_average(from: usize, to: usize) -> Self {
        let cells = (0..to).map(|i| {
            let taps = i * from / to..((i + 1) * from).div_ceil(to);
            let weight = 1.0 / taps.len() as f32;
            taps.map(|j| (j, weight)).collect()
        });
        Self { from, cells: cells.collect() }
    }

    /// From the outputs back to the inputs, with the same weights.
    fn transposed(&self) -> Self {
        let mut cells = vec![Vec::new(); self.from];
        for (i, taps) in self.cells.iter().enumerate() {
            taps.iter().for_each(|&(j, weight)| cells[j].push((i, weight)));
        }
        Self { from: self.cells.len(), cells }
    }

    /// Dense weights `[to, from]`, f32.
    ///
    /// # Errors
    /// The device refused.
    pub fn matrix(&self, device: &Device) -> Result<Tensor> {
        let mut dense = vec![0f32; self.cells.len() * self.from];
        for (row, taps) in dense.chunks_mut(self.from.max(1)).zip(&self.cells) {
            for &(j, weight) in taps {
                row[j] = weight;
            }
        }
        Ok(Tensor::from_vec(dense, (self.cells.len(), self.from), device)?)
    }
}

/// Adds up taps that fell on the same cell, drops those without weight.
fn merge(taps: impl Iterator<Item = (usize, f64)>, total: f64) -> Vec<(usize, f32)> {
    let mut merged: Vec<(usize, f64)> = Vec::with_capacity(4);
    for (j, weight) in taps {
        match merged.last_mut() {
            Some((last, sum)) if *last == j => *sum += weight,
            _ => merged.push((j, weight)),
        }
    }
    merged.into_iter().map(|(j, w)| (j, (w / total) as f32)).filter(|&(_, w)| w != 0.0).collect()
}

/// Resampling of a grid, rows and columns apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Separable {
    /// Along the height.
    pub rows: Axis,
    /// Along the width.
    pub cols: Axis,
}

impl Separable {
    /// Bilinear without antialiasing, even when shrinking: how feature maps are brought to another token count
    /// (Cambrian-1, arXiv 2406.16860, section 3).
    pub fn bilinear(from: Grid, to: Grid) -> Self {
        let axis = |from, to| Axis::interpolate(Kernel::Linear, from, to, from as f64 / to as f64);
        Self { rows: axis(from.h, to.h), cols: axis(from.w, to.w) }
    }

    /// Grid that [`Separable::apply`] takes.
    pub fn from(&self) -> Grid {
        Grid { h: self.rows.from, w: self.cols.from }
    }

    /// Grid that [`Separable::apply`] gives.
    pub fn to(&self) -> Grid {
        Grid { h: self.rows.cells.len(), w: self.cols.cells.len() }
    }

    /// Resamples tokens `[B, from.cells(), C]`, row-major, to `[B, to.cells(), C]`. Computed in f32, returned
    /// in the dtype of the tokens. Differentiable.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the tokens do not fill the grid.
    pub fn apply(&self, tokens: &Tensor) -> Result<Tensor> {
        let (from, to) = (self.from(), self.to());
        check(tokens, from, to)?;
        let x = tokens.to_dtype(DType::F32)?;
        let y = match Path::of([&x]) {
            Path::Kernel(_) => self.filled(&x)?.tensor(),
            Path::Tracked(_) => {
                let (back, source) =
                    (Self { rows: self.rows.transposed(), cols: self.cols.transposed() }, x.clone());
                graph::operation("resample", [&x], self.filled(&x)?, move |gradient, sink| {
                    sink.add(&source, back.filled(gradient)?.tensor())
                })?
            }
            Path::Candle => self.composed(&x)?,
        };
        Ok(y.to_dtype(tokens.dtype())?)
    }

    /// f32 on the CPU, by the taps.
    fn filled(&self, x: &Tensor) -> candle_core::Result<Fresh> {
        let (batch, _, channels) = x.dims3()?;
        let to = self.to();
        let mut out = vec![0f32; batch * to.cells() * channels];
        let values = Values::of(x, x.dims())?;
        self.fill(values.read()?.values::<f32>()?, channels, Columns { all: channels, first: 0 }, &mut out);
        Ok(Fresh::new(out, (batch, to.cells(), channels)))
    }

    /// f32, by candle.
    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let ((batch, _, channels), from, to) = (x.dims3()?, self.from(), self.to());
        let x = x.reshape((batch, from.h, from.w * channels))?;
        let x = self.rows.matrix(x.device())?.broadcast_matmul(&x)?;
        let x = x.reshape((batch * to.h, from.w, channels))?;
        Ok(self.cols.matrix(x.device())?.broadcast_matmul(&x)?.reshape((batch, to.cells(), channels))?)
    }
}

/// Token interpolation: bilinear from one grid to another ([`Separable::bilinear`]), untouched when they are
/// equal. Tokens are `[B, N, C]`; the result keeps their dtype.
///
/// # Errors
/// [`Error::InvalidInput`] when the tokens do not fill `from` or one of the grids is empty.
pub fn tokens(tokens: &Tensor, from: Grid, to: Grid) -> Result<Tensor> {
    check(tokens, from, to)?;
    if from == to { Ok(tokens.clone()) } else { Separable::bilinear(from, to).apply(tokens) }
}

/// Where channels go in a wider row.
#[derive(Clone, Copy)]
struct Columns {
    /// Channels of the row.
    all: usize,
    first: usize,
}

impl Separable {
    /// Resamples maps `[B, from, channels]` into the channels of `out` that `columns` names.
    fn fill<T: Element>(&self, x: &[T], channels: usize, columns: Columns, out: &mut [f32]) {
        let (from, to) = (self.from(), self.to());
        let stride = from.w * channels;
        let fill = |line: &mut Vec<f32>, (index, row): (usize, &mut [f32])| {
            let image = &x[index / to.h * from.h * stride..][..from.h * stride];
            line.fill(0.0);
            for &(i, weight) in &self.rows.cells[index % to.h] {
                accumulate(line, &image[i * stride..][..stride], weight);
            }
            for (cell, taps) in row.chunks_mut(columns.all).zip(&self.cols.cells) {
                let cell = &mut cell[columns.first..][..channels];
                for &(j, weight) in taps {
                    accumulate(cell, &line[j * channels..][..channels], weight);
                }
            }
        };
        let rows = out.par_chunks_mut((to.w * columns.all).max(1)).enumerate();
        rows.for_each_init(|| vec![0f32; stride], fill);
    }
}

/// Several maps `[B, cells, C]` on their grids, each brought to the grid `to` as [`tokens`] does, side by side on
/// channels: f32 `[B, to, all channels]` on the CPU. On the CPU every map goes to its place in one pass.
///
/// # Errors
/// As [`tokens`]; [`Error::Tensor`] when the numbers of images differ.
pub fn joined(maps: &[(&Tensor, Grid)], to: Grid) -> Result<Tensor> {
    let kernel = |t: &Tensor| matches!(Path::of([t]), Path::Kernel(_));
    let host = |t: &Tensor| t.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous();
    match maps {
        [(one, from)] if *from == to => return Ok(host(one)?),
        _ if !maps.iter().all(|(map, _)| kernel(map)) => {
            let parts = maps.iter().map(|(map, from)| Ok(host(&tokens(map, *from, to)?)?));
            return Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 2)?);
        }
        _ => {}
    }
    let all = maps.iter().map(|(map, _)| map.dim(2)).sum::<candle_core::Result<usize>>()?;
    let images = maps.first().map_or(Ok(0), |(map, _)| map.dim(0))?;
    let mut out = vec![0f32; images * to.cells() * all];
    let mut first = 0;
    for (map, from) in maps {
        check(map, *from, to)?;
        let channels = map.dim(2)?;
        let (values, separable) =
            (Values::of(map, &[images, from.cells(), channels])?, Separable::bilinear(*from, to));
        let (slice, columns) = (values.read()?, Columns { all, first });
        match map.dtype() {
            DType::BF16 => separable.fill::<bf16>(slice.values()?, channels, columns, &mut out),
            _ => separable.fill::<f32>(slice.values()?, channels, columns, &mut out),
        }
        first += channels;
    }
    Ok(Tensor::from_vec(out, (images, to.cells(), all), &Device::Cpu)?)
}

/// Refuses empty grids, and tokens that do not fill theirs.
fn check(tokens: &Tensor, from: Grid, to: Grid) -> Result<()> {
    if from.cells() == 0 || to.cells() == 0 {
        return Err(Error::invalid(format!("cannot resample a grid of {from} cells to {to}")));
    }
    match *tokens.dims() {
        [_, n, _] if n == from.cells() => Ok(()),
        ref dims => Err(Error::invalid(format!("tokens {dims:?} do not fill a grid of {from} cells"))),
    }
}

fn accumulate<T: Element>(sum: &mut [f32], x: &[T], weight: f32) {
    for (s, x) in sum.iter_mut().zip(x) {
        *s += x.widen() * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(grid: Grid, channels: usize) -> Tensor {
        let n = 2 * grid.cells() * channels;
        let values: Vec<f32> = (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
        Tensor::from_vec(values, (2, grid.cells(), channels), &Device::Cpu).unwrap()
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
    }

    /// `torch.nn.functional.interpolate(arange(5.) ** 2, ...)`, all with `align_corners=False`.
    #[test]
    fn axes_agree_with_torch() {
        let x = [0f32, 1., 4., 9., 16.];
        let sample = |axis: &Axis| -> Vec<f32> {
            axis.cells.iter().map(|taps| taps.iter().map(|&(j, w)| w * x[j]).sum()).collect()
        };
        let check = |axis: Axis, expected: &[f32]| {
            let got = sample(&axis);
            assert_eq!(got.len(), expected.len());
            assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 2e-5), "{got:?} {expected:?}");
        };
        let plain = |kernel, to| Axis::interpolate(kernel, 5, to, 5.0 / to as f64);
        check(Axis::adaptive_average(5, 3), &[0.5, 4.666_666_5, 12.5]);
        check(plain(Kernel::Linear, 3), &[0.333_333_3, 4.0, 13.666_666]);
        check(plain(Kernel::Linear, 8), &[0.0, 0.4375, 1.1875, 3.0625, 5.5625, 8.6875, 12.9375, 16.0]);
        check(plain(Kernel::Cubic(-0.75), 3), &[0.148_149_01, 4.0, 14.074_071]);
        check(
            plain(Kernel::Cubic(-0.75), 8),
            &[
                -0.092_834_47,
                0.187_561_04,
                1.176_513_7,
                2.619_384_8,
                5.441_65,
                8.471_435,
                13.395_081,
                16.649_841,
            ],
        );
        // `scale_factor=3.1 / 5`: the size is floored, the step is not.
        let scaled = Axis::interpolate(Kernel::Cubic(-0.75), 5, 3, 5.0 / 3.1);
        check(scaled, &[0.139_333_72, 3.553_575_8, 13.190_599]);
        check(Axis::antialias(Kernel::Cubic(-0.5), 5, 3), &[0.169_231_05, 4.195_348_7, 13.338_458]);
        check(
            Axis::antialias(Kernel::Cubic(-0.5), 5, 8),
            &[
                -0.071_955_72,
                0.243_749_3,
                1.128_906_3,
                2.847_656_3,
                5.347_656_3,
                8.628_906,
                13.488_183,
                16.503_689,
            ],
        );
    }

    /// The formula of torch's bilinear mode, cell by cell in f64.
    #[test]
    fn token_interpolation_is_the_four_tap_formula() {
        for (from, to) in [(27, 24), (256, 96), (32, 96)] {
            let x = ramp(Grid::square(from), 1);
            let got = tokens(&x, Grid::square(from), Grid::square(to)).unwrap();
            let got: Vec<f32> = got.flatten_all().unwrap().to_vec1().unwrap();
            let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            let tap = |i: usize| {
                let source = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
                let low = source.floor() as usize;
                (low, (low + 1).min(from - 1), source - low as f64)
            };
            for (index, got) in got.iter().enumerate() {
                let (image, cell) = (index / (to * to), index % (to * to));
                let ((top, bottom, v), (left, right, u)) = (tap(cell / to), tap(cell % to));
                let at = |i, j| f64::from(x[image * from * from + i * from + j]);
                let upper = at(top, left) * (1.0 - u) + at(top, right) * u;
                let lower = at(bottom, left) * (1.0 - u) + at(bottom, right) * u;
                let expected = upper * (1.0 - v) + lower * v;
                assert!((f64::from(*got) - expected).abs() < 1e-6, "{from} to {to}, cell {index}");
            }
        }
    }

    #[test]
    fn sparse_and_dense_agree_and_so_do_their_gradients() {
        for (from, to) in [((7, 5), (3, 8)), ((2, 3), (9, 9)), ((4, 4), (1, 2))] {
            let [from, to] = [from, to].map(|(h, w)| Grid { h, w });
            let (x, separable) = (ramp(from, 6), Separable::bilinear(from, to));
            assert!(
                largest_difference(&tokens(&x, from, to).unwrap(), &separable.composed(&x).unwrap()) < 1e-5
            );
            graph::tests::check_linear(&x, |x| tokens(x, from, to), |x| separable.composed(x));
        }
    }

    #[test]
    fn maps_that_are_joined_are_those_that_are_not() {
        let (fine, coarse, to) = (Grid::square(6), Grid::square(3), Grid { h: 4, w: 6 });
        let maps = [(ramp(fine, 3), fine), (ramp(coarse, 5), coarse), (ramp(to, 2), to)];
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            let maps = maps.each_ref().map(|(map, grid)| (map.to_dtype(dtype).unwrap(), *grid));
            let got = joined(&maps.each_ref().map(|(map, grid)| (map, *grid)), to).unwrap();
            let apart =
                maps.iter().map(|(map, grid)| tokens(&map.to_dtype(DType::F32).unwrap(), *grid, to).unwrap());
            let expected = Tensor::cat(&apart.collect::<Vec<_>>(), 2).unwrap();
            assert_eq!((got.dims(), got.dtype()), (expected.dims(), DType::F32));
            // f16 is rounded between resampling and joining.
            let allowed = if dtype == DType::F16 { 1e-2 } else { 0.0 };
            assert!(largest_difference(&got, &expected) <= allowed, "{dtype:?}");
        }
        assert!(joined(&[(&ramp(fine, 1), coarse)], to).is_err());
        assert!(
            joined(&[(&ramp(fine, 1), fine), (&ramp(fine, 1).narrow(0, 0, 1).unwrap(), fine)], to).is_err()
        );
    }

    #[test]
    fn equal_grids_are_untouched_and_dtypes_kept() {
        let grid = Grid { h: 3, w: 4 };
        let x = ramp(grid, 5).to_dtype(DType::BF16).unwrap();
        let same = tokens(&x, grid, grid).unwrap();
        assert_eq!(
            largest_difference(&same.to_dtype(DType::F32).unwrap(), &x.to_dtype(DType::F32).unwrap()),
            0.0
        );
        let other = tokens(&x, grid, Grid::square(2)).unwrap();
        assert_eq!((other.dtype(), other.dims()), (DType::BF16, &[2, 4, 5][..]));
    }

    #[test]
    fn wrong_grids_are_refused() {
        let x = ramp(Grid::square(3), 2);
        assert!(tokens(&x, Grid::square(4), Grid::square(2)).is_err());
        assert!(tokens(&x, Grid::square(3), Grid { h: 0, w: 2 }).is_err());
    }
}
