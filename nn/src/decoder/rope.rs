//! Rotary position embeddings (arXiv 2104.09864) in the half-split form: channel `i` turns with `i + D/2`.

use std::f64::consts::TAU;

use candle_core::{D, DType, Device, Tensor};
use serde::Deserialize;
use zoo_core::Result;

use super::positions::Positions;

/// Rotary positions as numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RopeConfig {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// How the wavelengths were stretched for longer sequences.
    pub scaling: Option<RopeScaling>,
}

/// How wavelengths are stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// All of them by `factor` (arXiv 2306.15595).
    Linear {
        /// Stretch.
        factor: f64,
    },
    /// Llama 3.1: long ones by `factor`, short ones not at all, those between by interpolation.
    Llama3 {
        /// Stretch of the long ones.
        factor: f64,
        /// Wavelengths above `original_max_position_embeddings` over this are long.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position_embeddings` over this are short.
        high_freq_factor: f64,
        /// Longest sequence before stretching.
        original_max_position_embeddings: f64,
    },
}

/// `rope_scaling` as `config.json` has it; the kind was called `type` before it was called `rope_type`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawScaling {
    rope_type: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

impl RawScaling {
    pub(super) fn read(self) -> Result<Option<RopeScaling>, String> {
        let number = |name: &str, value: Option<f64>| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            Some(value) => Err(format!("`rope_scaling.{name}` = {value} must be positive")),
            None => Err(format!("`rope_scaling` needs `{name}`")),
        };
        let kind = self.rope_type.or(self.kind).ok_or("`rope_scaling` needs `rope_type`")?;
        match kind.as_str() {
            "default" => Ok(None),
            "linear" => Ok(Some(RopeScaling::Linear { factor: number("factor", self.factor)? })),
            "llama3" => {
                let low_freq_factor = number("low_freq_factor", self.low_freq_factor)?;
                let high_freq_factor = number("high_freq_factor", self.high_freq_factor)?;
                if high_freq_factor <= low_freq_factor {
                    return Err("`rope_scaling`: `high_freq_factor` must exceed `low_freq_factor`".into());
                }
                Ok(Some(RopeScaling::Llama3 {
                    factor: number("factor", self.factor)?,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position_embeddings: number(
                        "original_max_position_embeddings",
                        self.original_max_position_embeddings,
                    )?,
                }))
            }
            other => Err(format!(
                "`rope_scaling` of type `{other}` is not implemented; known: default, linear, llama3"
            )),
        }
    }
}

impl RopeScaling {
    fn apply(self, frequency: f64) -> f64 {
        match self {
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: original,
            } => {
                // Turns within the original length.
                let turns = original * frequency / TAU;
                let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (share + (1.0 - share) / factor)
            }
        }
    }
}

/// The frequencies of a model's heads.
#[derive(Debug, Clone)]
pub(super) struct Rope {
    frequencies: Vec<f32>,
}

impl Rope {
    pub fn new(config: &RopeConfig, head_dim: usize) -> Self {
        let frequency = |i: usize| {
            let plain = config.theta.powf(-((2 * i) as f64) / head_dim as f64);
            config.scaling.map_or(plain, |scaling| scaling.apply(plain)) as f32
        };
        Self { frequencies: (0..head_dim / 2).map(frequency).collect() }
    }

    /// Cosines and sines at `positions`.
    pub fn turns(&self, positions: &Positions, device: &Device) -> Result<Turns> {
        // Angles are rounded to f32 as the references round them: at position 8000 that shows in the fourth digit.
        let angles = positions
            .distinct()
            .flat_map(|row| row.iter().flat_map(|&p| self.frequencies.iter().map(move |f| p as f32 * f)));
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles.map(f32::sin_cos).unzip();
        let (length, half) = (positions.length(), self.frequencies.len());
        let table = |values: Vec<f32>| {
            let rows = values.len() / (length * half).max(1);
            Tensor::from_vec(values, (rows, length, half), device)
        };
        Ok(Turns { cos: table(cos)?, sin: table(sin)? })
    }
}

/// How far each channel pair turns at each token.
pub(super) struct Turns {
    /// `[B, T, D/2]` f32, or `[1, T, D/2]` where all rows have the same positions; so is `sin`.
    cos: Tensor,
    sin: Tensor,
}

impl Turns {
    /// `x` `[B, heads, T, D]`, contiguous, turned; in f32.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        if !x.track_op() {
            // The kernel takes one table for all rows without the axis of rows.
            let table = |t: &Tensor| if t.dim(0)? == 1 { t.squeeze(0) } else { Ok(t.clone()) };
            return Ok(candle_nn::rotary_emb::rope(&x, &table(&self.cos)?, &table(&self.sin)?)?);
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
