//! Dense convolution over channels-last maps.
//!
//! **The one decision.** It is a matrix product: the window of an output cell, cut out in the order (row, column,
//! channel), times weights in that order. So the panels of [`Linear`] serve it, with what follows a product, and a row
//! depends on nothing but its window. On the CPU windows are cut a few cells at a time, so that they stay in the cache.

use candle_core::{Device, Tensor, WithDType};
use rayon::prelude::*;
use zoo_core::weights::{Init, Params};
use zoo_core::{Error, Grid, Result};
use zoo_kernels::{Element, zeros};

use crate::dispatch::{Path, with};
use crate::linear::{Epilogue, Linear, Residual};
use crate::values::{Slice, Values};

/// Numbers of windows that are cut out at a time.
const CUT: usize = 1 << 20;
/// Cells that a task cuts out.
const CELLS: usize = 16;

/// Which cells an output cell sees, the same on both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stencil {
    /// Of the window.
    pub side: usize,
    /// From one window to the next.
    pub stride: usize,
    /// Zeros before the first row and column.
    pub before: usize,
    /// Zeros behind the last row and column.
    pub after: usize,
}

impl Stencil {
    /// A window around each cell; `side` is odd.
    pub const fn around(side: usize) -> Self {
        Self { side, stride: 1, before: side / 2, after: side / 2 }
    }

    /// Windows around every `stride`-th cell; `side` is odd.
    pub const fn strided(side: usize, stride: usize) -> Self {
        Self { side, stride, before: side / 2, after: side / 2 }
    }

    /// Windows side by side.
    pub const fn patches(side: usize) -> Self {
        Self { side, stride: side, before: 0, after: 0 }
    }

    /// The grid that comes of `grid`; empty where a window does not fit.
    pub fn out(self, grid: Grid) -> Grid {
        let axis = |length: usize| match (length + self.before + self.after).checked_sub(self.side) {
            Some(rest) => rest / self.stride + 1,
            None => 0,
        };
        Grid { h: axis(grid.h), w: axis(grid.w) }
    }

    /// Whether windows neither overlap nor touch zeros nor leave anything out.
    fn tiles(self, grid: Grid) -> bool {
        let Self { side, stride, before, after } = self;
        side == stride && before + after == 0 && grid.h.is_multiple_of(side) && grid.w.is_multiple_of(side)
    }
}

/// A convolution. Tensors: `weight` `[outputs, inputs, side, side]` and, if there is one, `bias` `[outputs]`.
#[derive(Debug, Clone)]
pub struct Conv2d {
    /// Inputs in the order (row, column, channel) of a window.
    proj: Linear,
    stencil: Stencil,
}

impl Conv2d {
    /// Reads the convolution at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(
        params: &Params,
        inputs: usize,
        outputs: usize,
        stencil: Stencil,
        bias: bool,
    ) -> Result<Self> {
        let side = stencil.side;
        let init = Init::fan_in(inputs * side * side);
        let weight = params.get("weight", (outputs, inputs, side, side), init)?;
        let bias = if bias { Some(params.get("bias", outputs, init)?) } else { None };
        Self::new(&weight, bias, stencil)
    }

    /// From tensors at hand: `weight` `[outputs, inputs, side, side]`, `bias` `[outputs]`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the weight has other axes.
    pub fn new(weight: &Tensor, bias: Option<Tensor>, stencil: Stencil) -> Result<Self> {
        let (outputs, inputs, rows, columns) = weight.dims4()?;
        let weight = weight.permute((0, 2, 3, 1))?.reshape((outputs, rows * columns * inputs))?;
        Ok(Self { proj: Linear::new(weight, bias), stencil })
    }

    /// `[B, H, W, inputs]` to `[B, h, w, outputs]`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the map is smaller than a window; [`Error::Tensor`] when the channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, Epilogue::default())
    }

    /// As [`Conv2d::forward`], and what follows; a residual has the shape of the result. Differentiable.
    ///
    /// # Errors
    /// As [`Conv2d::forward`].
    pub fn forward_with(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let (batch, height, width, channels) = x.dims4()?;
        let (grid, stencil) = (Grid { h: height, w: width }, self.stencil);
        let out = stencil.out(grid);
        if out.cells() == 0 {
            let side = stencil.side;
            return Err(Error::invalid(format!(
                "a map of {grid} is too small for a convolution of {side}×{side}"
            )));
        }
        if stencil.tiles(grid) {
            let (p, rows) = (stencil.side, x.reshape((batch * out.h, stencil.side, out.w, ())));
            let windows = if p == 1 { x.clone() } else { rows?.transpose(1, 2)?.contiguous()? };
            let windows = windows.reshape((batch, out.h, out.w, p * p * channels))?;
            return self.proj.forward_with(&windows, epilogue);
        }
        let residual = epilogue.residual;
        let tensors = std::iter::once(x).chain(residual.into_iter().flat_map(Residual::tensors));
        let fused = match Path::of(tensors) {
            Path::Kernel(numbers) => with!(numbers, T => self.fused::<T>(x, out, epilogue)?),
            _ => None,
        };
        match fused {
            Some(fused) => Ok(fused),
            None => self.proj.forward_with(&self.windows(x, out)?, epilogue),
        }
    }

    /// The windows of all cells, `[B, h, w, side² · inputs]`, by candle: for other devices and dtypes, and
    /// differentiable.
    fn windows(&self, x: &Tensor, out: Grid) -> Result<Tensor> {
        let Stencil { side, stride, before, after } = self.stencil;
        let x = x.pad_with_zeros(1, before, after)?.pad_with_zeros(2, before, after)?;
        let taken = |x: &Tensor, axis: usize, first: usize, count: usize| -> candle_core::Result<Tensor> {
            if stride == 1 {
                return x.narrow(axis, first, count);
            }
            let places: Vec<u32> = (0..count).map(|i| (first + i * stride) as u32).collect();
            x.index_select(&Tensor::new(places, x.device())?, axis)
        };
        let mut taps = Vec::with_capacity(side * side);
        for row in 0..side {
            let rows = taken(&x, 1, row, out.h)?;
            for column in 0..side {
                taps.push(taken(&rows, 2, column, out.w)?.contiguous()?);
            }
        }
        Ok(Tensor::cat(&taps, 3)?)
    }

    /// `None` where candle must compute.
    fn fused<T: Element + WithDType>(
        &self,
        x: &Tensor,
        out: Grid,
        Epilogue { activation, residual }: Epilogue<'_>,
    ) -> Result<Option<Tensor>> {
        let Some((proj, bias)) = self.proj.parts::<T>()? else { return Ok(None) };
        let (batch, height, width, channels) = x.dims4()?;
        let (inputs, outputs, side) = (proj.inputs(), proj.outputs(), self.stencil.side);
        if channels * side * side != inputs || inputs == 0 || outputs == 0 {
            return Ok(None); // candle says what is wrong
        }
        let shape = [batch, out.h, out.w, outputs];
        let shortcut = residual.map(|r| Values::of(r.shortcut, &shape)).transpose()?;
        let scale = residual.and_then(|r| r.scale).map(|t| Values::of(t, &[outputs])).transpose()?;
        let [bias, shortcut, scale] =
            [&bias, &shortcut, &scale].map(|values| values.as_ref().map(Values::read).transpose());
        let (bias, shortcut, scale) = (bias?, shortcut?, scale?);
        let bias = bias.as_ref().map(Slice::values::<T>).transpose()?;
        let shortcut = shortcut.as_ref().map(Slice::values::<T>).transpose()?;
        let scale = scale.as_ref().map(Slice::values::<T>).transpose()?;
        let x = Values::of(x, x.dims())?;
        let x = x.read()?;
        let map = Map { numbers: x.values::<T>()?, grid: Grid { h: height, w: width }, channels };
        let cells = batch * out.cells();
        let some = (CUT / inputs).clamp(1, cells.max(1)).next_multiple_of(CELLS);
        let mut rows = zeros::<T>(some.min(cells) * inputs);
        let mut all = zeros::<T>(cells * outputs);
        for (block, results) in all.chunks_mut(some * outputs).enumerate() {
            let (first, count) = (block * some, results.len() / outputs);
            let rows = &mut rows[..count * inputs];
            map.cut(self.stencil, out, first, rows);
            let place = first * outputs..(first + count) * outputs;
            let epilogue = zoo_kernels::Epilogue {
                bias,
                activation: activation.map(Into::into),
                residual: shortcut.map(|all| zoo_kernels::Residual { shortcut: &all[place], scale }),
            };
            proj.apply(rows, &epilogue, results);
        }
        Ok(Some(Tensor::from_vec(all, &shape, &Device::Cpu)?))
    }

    /// Numbers that the CPU holds for a result of `cells` cells in all images, beside what it reads and writes.
    pub fn held(inputs: usize, side: usize, cells: usize) -> usize {
        let window = inputs * side * side;
        window * (CUT / window.max(1)).clamp(1, cells.max(1)).next_multiple_of(CELLS).min(cells.max(1))
    }
}

/// Maps `[B, H, W, channels]`.
struct Map<'a, T> {
    numbers: &'a [T],
    grid: Grid,
    channels: usize,
}

impl<T: Element> Map<'_, T> {
    /// Writes the windows of the cells from `first` on, of the grids `out` of all images one behind the other.
    fn cut(&self, stencil: Stencil, out: Grid, first: usize, rows: &mut [T]) {
        let window = stencil.side * stencil.side * self.channels;
        rows.par_chunks_mut(CELLS * window).enumerate().for_each(|(task, rows)| {
            for (i, row) in rows.chunks_exact_mut(window).enumerate() {
                let cell = first + task * CELLS + i;
                let (image, cell) = (cell / out.cells(), cell % out.cells());
                self.window(stencil, image, (cell / out.w, cell % out.w), row);
            }
        });
    }

    /// The window of one cell; zeros where it reaches beyond the map.
    fn window(&self, stencil: Stencil, image: usize, (row, column): (usize, usize), out: &mut [T]) {
        let (Stencil { side, stride, before, .. }, Grid { h, w }, c) = (stencil, self.grid, self.channels);
        // In padded cells; those of the map are from `before` on.
        let (top, left) = (row * stride, column * stride);
        let skipped = before.saturating_sub(left).min(side);
        let end = (before + w).saturating_sub(left).min(side).max(skipped);
        for (line, out) in out.chunks_exact_mut(side * c).enumerate() {
            let Some(y) = (top + line).checked_sub(before).filter(|y| *y < h && skipped < end) else {
                out.fill(T::round(0.0));
                continue;
            };
            let start = ((image * h + y) * w + left + skipped - before) * c;
            out[..skipped * c].fill(T::round(0.0));
            out[skipped * c..end * c].copy_from_slice(&self.numbers[start..][..(end - skipped) * c]);
            out[end * c..].fill(T::round(0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::activation::Activation;

    fn noise(shape: &[usize], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1013) as f32 / 506.0 - 1.0;
        Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    }

    fn largest(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    /// The kernel, candle's operations and candle's own convolution, which pads alike on all sides.
    #[track_caller]
    fn check(stencil: Stencil, (height, width): (usize, usize)) {
        let (inputs, outputs) = (5, 7);
        let x = noise(&[2, height, width, inputs], 1);
        let (weight, bias) = (noise(&[outputs, inputs, stencil.side, stencil.side], 2), noise(&[outputs], 3));
        let conv = Conv2d::new(&weight, Some(bias.clone()), stencil).unwrap();
        let planes = x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
        let (before, after) = (stencil.before, stencil.after);
        let planes =
            planes.pad_with_zeros(2, before, after).unwrap().pad_with_zeros(3, before, after).unwrap();
        let expected = planes.conv2d(&weight, 0, stencil.stride, 1, 1).unwrap();
        let expected = expected.permute((0, 2, 3, 1)).unwrap().broadcast_add(&bias).unwrap();
        let got = conv.forward(&x).unwrap();
        assert!(largest(&got, &expected) < 1e-4, "{stencil:?}");
        let shortcut = noise(expected.dims(), 4);
        let epilogue = Epilogue {
            activation: Some(Activation::Silu),
            residual: Some(Residual { shortcut: &shortcut, scale: None }),
        };
        let expected = (expected.silu().unwrap() + &shortcut).unwrap();
        assert!(largest(&conv.forward_with(&x, epilogue).unwrap(), &expected) < 1e-4, "{stencil:?}");
        let tracked = Var::from_tensor(&x).unwrap();
        let by_candle = conv.forward_with(tracked.as_tensor(), epilogue).unwrap();
        assert!(by_candle.track_op() && largest(&by_candle, &expected) < 1e-4, "{stencil:?}");
    }

    #[test]
    fn all_ways_agree() {
        check(Stencil::around(3), (9, 13));
        check(Stencil::around(1), (4, 3));
        check(Stencil::strided(3, 2), (9, 12));
        check(Stencil::strided(7, 4), (17, 10));
        check(Stencil { side: 3, stride: 2, before: 0, after: 1 }, (8, 6));
        check(Stencil::patches(2), (6, 8));
        // What no patch fills is not seen.
        check(Stencil::patches(4), (9, 11));
        // A map that is smaller than the window.
        check(Stencil::around(7), (2, 3));
    }

    /// An image gives the same bits alone, and halves are rounded once.
    #[test]
    fn images_do_not_see_one_another() {
        let x = noise(&[3, 6, 5, 8], 1);
        let conv = Conv2d::new(&noise(&[9, 8, 3, 3], 2), None, Stencil::around(3)).unwrap();
        let (all, alone) = (conv.forward(&x).unwrap(), conv.forward(&x.narrow(0, 2, 1).unwrap()).unwrap());
        assert_eq!(largest(&all.narrow(0, 2, 1).unwrap(), &alone), 0.0);
        let narrow = |t: &Tensor| t.to_dtype(DType::BF16).unwrap();
        let half = Conv2d::new(&narrow(&noise(&[9, 8, 3, 3], 2)), None, Stencil::around(3)).unwrap();
        let rounded = half.forward(&narrow(&x)).unwrap();
        assert_eq!(rounded.dtype(), DType::BF16);
        assert!(largest(&rounded.to_dtype(DType::F32).unwrap(), &all) < 0.1);
    }

    #[test]
    fn maps_that_do_not_fit_are_refused() {
        let conv = Conv2d::new(&noise(&[4, 3, 4, 4], 1), None, Stencil::patches(4)).unwrap();
        let error = conv.forward(&noise(&[1, 3, 8, 3], 2)).unwrap_err().to_string();
        assert!(error.contains("3×8") && error.contains("4×4"), "{error}");
        assert!(conv.forward(&noise(&[1, 8, 8, 2], 2)).is_err());
    }
}
