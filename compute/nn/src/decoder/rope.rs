//! Rotary position embeddings (arXiv 2104.09864) in the half-split form: channel `i` turns with `i + D/2`.

use candle_core::{D, DType, Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::{Element, Pairing, Rotary, written};

use super::positions::Positions;
use super::scaling::{Frequencies, RopeConfig};
use crate::dispatch::{Path, with};
use crate::graph::{self, Fresh};
use crate::values::Values;

/// The frequencies of a model's heads.
#[derive(Debug, Clone)]
pub(super) struct Rope(Frequencies);

impl Rope {
    pub fn new(config: &RopeConfig) -> Self {
        Self(config.frequencies())
    }

    /// Whether sequences of `length` positions have other frequencies than short ones.
    pub fn long(&self, length: usize) -> bool {
        self.0.beyond.as_ref().is_some_and(|(original, _)| length > *original)
    }

    /// Cosines and sines at `positions`.
    pub fn turns(&self, positions: &Positions, long: bool, device: &Device) -> Result<Turns> {
        let frequencies = match &self.0.beyond {
            Some((_, beyond)) if long => beyond,
            _ => &self.0.base,
        };
        let rows: Vec<&[u32]> = positions.distinct().collect();
        Turns::new(&rows, frequencies, self.0.factor, device)
    }

    /// From short to long frequencies, for the keys at positions before `end`.
    pub fn lengthening(&self, end: usize, device: &Device) -> Result<Option<Turns>> {
        let Some((_, beyond)) = &self.0.beyond else { return Ok(None) };
        let change: Vec<f32> = beyond.iter().zip(&self.0.base).map(|(long, short)| long - short).collect();
        let positions: Vec<u32> = (0..end as u32).collect();
        Turns::new(&[&positions], &change, 1.0, device).map(Some)
    }
}

/// How far each channel pair turns at each token.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    /// `[B, T, R/2]` f32, or `[1, T, R/2]` where all rows have the same positions; so is `sin`.
    cos: Tensor,
    sin: Tensor,
}

impl Turns {
    fn new(rows: &[&[u32]], frequencies: &[f32], factor: f32, device: &Device) -> Result<Self> {
        // Angles are rounded to f32 as the references round them: at position 8000 that shows in the fourth digit.
        let angles = rows
            .iter()
            .flat_map(|row| row.iter().flat_map(|&p| frequencies.iter().map(move |f| p as f32 * f)));
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles
            .map(|angle| {
                let (sin, cos) = angle.sin_cos();
                (sin * factor, cos * factor)
            })
            .unzip();
        let shape = (rows.len(), rows.first().map_or(0, |row| row.len()), frequencies.len());
        Ok(Self { cos: Tensor::from_vec(cos, shape, device)?, sin: Tensor::from_vec(sin, shape, device)? })
    }

    /// Of no tokens.
    #[cfg(test)]
    pub fn none() -> Self {
        let table = Tensor::zeros((0, 0, 0), DType::F32, &Device::Cpu).unwrap();
        Self { cos: table.clone(), sin: table }
    }

    /// `x` `[B, T, heads, D]`, turned in f32 and rounded back; differentiable.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        match Path::of([x]) {
            Path::Kernel(numbers) => {
                return Ok(with!(numbers, T => self.compute::<T>(x, Way::There)?.tensor()));
            }
            Path::Tracked(numbers) => return Ok(with!(numbers, T => self.tracked::<T>(x)?)),
            Path::Candle => {}
        }
        let (channels, rotary) = (x.dim(D::Minus1)?, 2 * self.cos.dim(D::Minus1)?);
        let wide = x.to_dtype(DType::F32)?;
        let (cos, sin) = (self.cos.unsqueeze(2)?, self.sin.unsqueeze(2)?);
        let half = rotary / 2;
        let (a, b) = (wide.narrow(D::Minus1, 0, half)?, wide.narrow(D::Minus1, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        let rest = wide.narrow(D::Minus1, rotary, channels - rotary)?;
        let parts = if rotary < channels { vec![first, second, rest] } else { vec![first, second] };
        Ok(Tensor::cat(&parts, D::Minus1)?.to_dtype(x.dtype())?)
    }

    fn tracked<T: Element + WithDType>(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (source, turns) = (x.clone(), self.clone());
        graph::operation("rotary positions", [x], self.compute::<T>(x, Way::There)?, move |gradient, sink| {
            sink.add(&source, turns.compute::<T>(gradient, Way::Back)?.tensor())
        })
    }

    /// In one pass over all cores, without a graph. Turning back is what gradients go through.
    pub fn compute<T: Element + WithDType>(&self, x: &Tensor, way: Way) -> candle_core::Result<Fresh> {
        let (_, _, heads, channels) = x.dims4()?;
        let table = |t: &Tensor| Values::of(t, t.dims());
        let sin = match way {
            Way::There => self.sin.clone(),
            Way::Back => self.sin.neg()?,
        };
        let (x, cos, sin) = (Values::of(x, x.dims())?, table(&self.cos)?, table(&sin)?);
        let (from, cos, sin) = (x.read()?, cos.read()?, sin.read()?);
        let pairs = self.cos.dim(D::Minus1)?;
        let (pairing, still) = (Pairing::Halves, 0);
        let rotary = Rotary { cos: cos.values()?, sin: sin.values()?, pairs, pairing, still };
        let from: &[T] = from.values()?;
        let out =
            written(from.len(), |out| Ok::<_, candle_core::Error>(rotary.apply(from, heads, channels, out)))?;
        Ok(Fresh::new(out, x.shape()))
    }
}

/// Which way channels turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    There,
    Back,
}
