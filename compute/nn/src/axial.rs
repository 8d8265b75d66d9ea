//! Rotary positions on two axes: of each head's channel pairs, one half turns with the row of a cell and the other with its
//! column (arXiv 2104.09864, 2303.11331, 2508.10104).

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{D, DType, Device, Tensor, WithDType};
use zoo_core::{Grid, Result};
use zoo_kernels::{Element, Rotary, written};

pub use zoo_kernels::Pairing;

use crate::dispatch::{Path, with};
use crate::graph::{self, Fresh};
use crate::values::Values;

/// Where cell `i` of an axis of `n` cells is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Places {
    /// At `(i + offset) / n · reference`: the axis has the length that it had in training, whatever its cells (EVA-02).
    Stretched {
        /// Cells of the axis in training.
        reference: usize,
        /// Added to the index.
        offset: f64,
    },
    /// At the centres of `n` equal parts of -1..1, and turning in full turns (DINOv3).
    Centred,
}

/// Rotary positions on two axes, as numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxialRope {
    /// Longest wavelength.
    pub theta: f64,
    /// Where cells are.
    pub places: Places,
    /// Whether the first half of the pairs turns with the column of a cell and not with its row.
    pub columns_first: bool,
    /// Which channels are a pair.
    pub pairing: Pairing,
}

impl AxialRope {
    /// How far each of `pairs` channel pairs of a head turns at each cell of `grid`, row-major.
    fn angles(&self, grid: Grid, pairs: usize) -> Vec<f32> {
        let bands = pairs / 2;
        // In f32, as the references compute them.
        let frequencies: Vec<f32> = (0..bands)
            .map(|band| {
                let period = self.theta.powf(band as f64 / bands as f64);
                match self.places {
                    Places::Stretched { .. } => (1.0 / period) as f32,
                    Places::Centred => (TAU / period) as f32,
                }
            })
            .collect();
        let at = |cell: usize, cells: usize| match self.places {
            Places::Stretched { reference, offset } => {
                (cell as f32 + offset as f32) / cells as f32 * reference as f32
            }
            Places::Centred => 2.0 * ((cell as f32 + 0.5) / cells as f32) - 1.0,
        };
        let mut out = Vec::with_capacity(grid.cells() * 2 * bands);
        for y in 0..grid.h {
            for x in 0..grid.w {
                let mut places = [at(y, grid.h), at(x, grid.w)];
                if self.columns_first {
                    places.reverse();
                }
                out.extend(places.iter().flat_map(|place| frequencies.iter().map(move |f| place * f)));
            }
        }
        out
    }
}

/// Grids whose turns are kept; beyond that the cache starts anew.
const CACHED: usize = 16;

/// The rotary positions of one network.
pub struct AxialPositions {
    rope: AxialRope,
    /// Channels of a head.
    channels: usize,
    /// Tokens before the cells, which do not turn.
    prefix: usize,
    device: Device,
    cache: Mutex<HashMap<Grid, Arc<Turns>>>,
}

impl AxialPositions {
    /// For heads of `channels`, a multiple of 4, and `prefix` tokens before the cells.
    pub fn new(rope: AxialRope, channels: usize, prefix: usize, device: Device) -> Self {
        Self { rope, channels, prefix, device, cache: Mutex::default() }
    }

    /// How far the tokens of `grid` turn.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the device refuses.
    pub fn turns(&self, grid: Grid) -> Result<Arc<Turns>> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache().get(&grid) {
            return Ok(found.clone());
        }
        let pairs = self.channels / 2;
        let still = self.prefix * pairs;
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            std::iter::repeat_n(0.0, still).chain(self.rope.angles(grid, pairs)).map(f32::sin_cos).unzip();
        let table = |values| Tensor::from_vec(values, (self.prefix + grid.cells(), pairs), &self.device);
        let made = Arc::new(Turns { cos: table(cos)?, sin: table(sin)?, pairing: self.rope.pairing });
        let mut cache = cache();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(grid, made.clone());
        Ok(made)
    }
}

/// How far the channel pairs of each token turn.
#[derive(Clone)]
pub struct Turns {
    /// f32 `[T, pairs]`; so is `sin`.
    cos: Tensor,
    sin: Tensor,
    pairing: Pairing,
}

impl Turns {
    /// `qkv` `[B, T, 3 · heads · channels]` with q and k turned, in f32 and rounded once; differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when a shape does not fit.
    pub(crate) fn apply(&self, qkv: &Tensor, heads: usize) -> Result<Tensor> {
        Ok(match Path::of([qkv]) {
            Path::Kernel(numbers) => with!(numbers, T => self.fused::<T>(qkv, heads)?.tensor()),
            Path::Tracked(numbers) => with!(numbers, T => self.tracked::<T>(qkv, heads)?),
            Path::Candle => self.composed(qkv, heads)?,
        })
    }

    /// Gradients turn back by as much.
    fn tracked<T: Element + WithDType>(&self, qkv: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        let back = Self { sin: self.sin.neg()?, ..self.clone() };
        let source = qkv.clone();
        graph::operation("axial positions", [qkv], self.fused::<T>(qkv, heads)?, move |gradient, sink| {
            sink.add(&source, back.fused::<T>(gradient, heads)?.tensor())
        })
    }

    /// By candle.
    fn composed(&self, qkv: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, tokens, width) = qkv.dims3()?;
        let channels = width / 3 / heads.max(1);
        let qk = qkv.narrow(2, 0, width / 3 * 2)?.to_dtype(DType::F32)?;
        let pairs = channels / 2;
        // `[B, T, heads, …]` with the members of a pair on an axis of their own.
        let (shape, axis) = match self.pairing {
            Pairing::Halves => ([batch, tokens, 2 * heads, 2, pairs], 3),
            Pairing::Neighbours => ([batch, tokens, 2 * heads, pairs, 2], 4),
        };
        let qk = qk.reshape(shape.as_slice())?;
        let (a, b) = (qk.narrow(axis, 0, 1)?, qk.narrow(axis, 1, 1)?);
        let table = |table: &Tensor| table.reshape((1, tokens, 1, pairs))?.unsqueeze(axis);
        let (cos, sin) = (table(&self.cos)?, table(&self.sin)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        let qk = Tensor::cat(&[first, second], axis)?.reshape((batch, tokens, width / 3 * 2))?;
        let v = qkv.narrow(2, width / 3 * 2, width / 3)?;
        Ok(Tensor::cat(&[qk.to_dtype(qkv.dtype())?, v], D::Minus1)?)
    }

    /// In one pass over all cores.
    fn fused<T: Element + WithDType>(&self, qkv: &Tensor, heads: usize) -> candle_core::Result<Fresh> {
        let (_, tokens, width) = qkv.dims3()?;
        let (rows, pairs) = self.cos.dims2()?;
        if rows != tokens || 6 * pairs * heads != width {
            candle_core::bail!("rotary positions of {rows} tokens and {pairs} pairs for {:?}", qkv.dims());
        }
        let table = |t: &Tensor| Values::of(t, t.dims());
        let (x, cos, sin) = (Values::of(qkv, qkv.dims())?, table(&self.cos)?, table(&self.sin)?);
        let (from, cos, sin) = (x.read()?, cos.read()?, sin.read()?);
        let rotary =
            Rotary { cos: cos.values()?, sin: sin.values()?, pairs, pairing: self.pairing, still: heads };
        let from: &[T] = from.values()?;
        let out = written(from.len(), |out| {
            Ok::<_, candle_core::Error>(rotary.apply(from, 3 * heads, 2 * pairs, out))
        })?;
        Ok(Fresh::new(out, qkv.shape()))
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    fn qkv(dtype: DType) -> Tensor {
        let values: Vec<f32> = (0..2 * 7 * 48).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect();
        Tensor::from_vec(values, (2, 7, 48), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    /// The kernel and candle turn alike; v and the prefix token stay, and lengths do.
    #[test]
    fn both_ways_turn_alike() {
        let places = [Places::Stretched { reference: 4, offset: 1.0 }, Places::Centred];
        for (places, pairing) in places.into_iter().zip([Pairing::Neighbours, Pairing::Halves]) {
            let rope = AxialRope { theta: 100.0, places, columns_first: false, pairing };
            let positions = AxialPositions::new(rope, 8, 1, Device::Cpu);
            let turns = positions.turns(Grid { h: 2, w: 3 }).unwrap();
            for dtype in [DType::F32, DType::BF16] {
                let x = qkv(dtype);
                let fused = match dtype {
                    DType::BF16 => turns.fused::<bf16>(&x, 2),
                    _ => turns.fused::<f32>(&x, 2),
                };
                let plain = turns.composed(&x, 2).unwrap();
                let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
                let (fused, plain, x) = (wide(&fused.unwrap().tensor()), wide(&plain), wide(&x));
                let apart = (&fused - &plain).unwrap().abs().unwrap().max_all().unwrap();
                assert!(apart.to_scalar::<f32>().unwrap() < 1e-2, "{dtype:?}");
                let part =
                    |t: &Tensor, from, length| t.narrow(2, from, length).unwrap().flatten_all().unwrap();
                assert_eq!(
                    part(&fused, 32, 16).to_vec1::<f32>().unwrap(),
                    part(&x, 32, 16).to_vec1::<f32>().unwrap()
                );
                let still = |t: &Tensor| t.narrow(1, 0, 1).unwrap().flatten_all().unwrap();
                assert_eq!(still(&fused).to_vec1::<f32>().unwrap(), still(&x).to_vec1::<f32>().unwrap());
                let moved = (&fused - &x).unwrap().abs().unwrap().max_all().unwrap();
                assert!(moved.to_scalar::<f32>().unwrap() > 0.1);
            }
            graph::tests::check_linear(&qkv(DType::F32), |x| turns.apply(x, 2), |x| turns.composed(x, 2));
        }
    }
}
