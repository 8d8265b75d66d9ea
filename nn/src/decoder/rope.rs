//! Rotary position embeddings (arXiv 2104.09864) in the half-split form: channel `i` turns with `i + D/2`.

use candle_core::{D, DType, Device, Tensor};
use zoo_core::Result;

use super::positions::Positions;
use super::scaling::{Frequencies, RopeScaling};

/// Rotary positions as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// How many channels of a head turn, the first ones; the others stay.
    pub rotary: usize,
    /// How the wavelengths were stretched for longer sequences.
    pub scaling: Option<RopeScaling>,
}

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

    /// `x` `[B, heads, T, D]`, contiguous, turned; in f32.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        let (channels, rotary) = (x.dim(D::Minus1)?, 2 * self.cos.dim(D::Minus1)?);
        if rotary < channels {
            let turned = self.turned(&x.narrow(D::Minus1, 0, rotary)?.contiguous()?)?;
            return Ok(Tensor::cat(&[turned, x.narrow(D::Minus1, rotary, channels - rotary)?], D::Minus1)?);
        }
        self.turned(&x)
    }

    fn turned(&self, x: &Tensor) -> Result<Tensor> {
        if !x.track_op() {
            // The kernel takes one table for all rows without the axis of rows.
            let table = |t: &Tensor| if t.dim(0)? == 1 { t.squeeze(0) } else { Ok(t.clone()) };
            return Ok(candle_nn::rotary_emb::rope(x, &table(&self.cos)?, &table(&self.sin)?)?);
        }
        // The kernel has no backward pass.
        let (cos, sin) = (self.cos.unsqueeze(1)?, self.sin.unsqueeze(1)?);
        let half = x.dim(D::Minus1)? / 2;
        let (a, b) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        Ok(Tensor::cat(&[first, second], D::Minus1)?)
    }
}
