//! Rotary positions as numbers: wavelengths, and how they are stretched for sequences longer than the first ones.

use std::f64::consts::TAU;

use serde::Deserialize;

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

/// How wavelengths are stretched.
#[derive(Debug, Clone, PartialEq)]
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
        /// Wavelengths above `original` over this are long.
        low_freq_factor: f64,
        /// Wavelengths below `original` over this are short.
        high_freq_factor: f64,
        /// Longest sequence before stretching.
        original: f64,
    },
    /// YaRN (arXiv 2309.00071): as `Llama3`, but interpolated along the channels and with a colder softmax.
    Yarn {
        /// Stretch of the long ones.
        factor: f64,
        /// Channels that turn this often within `original`, and all before them, are not stretched.
        beta_fast: f64,
        /// Channels that turn this often within `original`, and all after them, are.
        beta_slow: f64,
        /// Whether the two bounds are rounded outwards to whole channels.
        truncate: bool,
        /// Longest sequence before stretching.
        original: f64,
        /// Factor on queries and keys.
        attention_factor: f64,
    },
    /// LongRoPE (arXiv 2402.13753): a stretch for each channel, and others once a sequence is longer than `original`.
    LongRope {
        /// Stretches up to `original` positions.
        short: Vec<f64>,
        /// Stretches beyond.
        long: Vec<f64>,
        /// Longest sequence before stretching.
        original: usize,
        /// Factor on queries and keys, at any length.
        attention_factor: f64,
    },
}

/// `rope_scaling`, or `rope_parameters`, as `config.json` has it; the kind was called `type` before it was called
/// `rope_type`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct RawScaling {
    rope_type: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    short_factor: Option<Vec<f64>>,
    long_factor: Option<Vec<f64>>,
}

/// What a [`RawScaling`] refers to: the keys beside it.
pub(super) struct Stretched {
    pub head_dim: usize,
    pub theta: f64,
    /// `partial_rotary_factor`.
    pub partial: Option<f64>,
    /// `max_position_embeddings`.
    pub positions: usize,
    /// `original_max_position_embeddings`, which goes before that of the scaling.
    pub original: Option<f64>,
}

fn positive(name: &str, value: Option<f64>) -> Result<f64, String> {
    match value {
        Some(value) if value.is_finite() && value > 0.0 => Ok(value),
        Some(value) => Err(format!("`rope_scaling.{name}` = {value} must be positive")),
        None => Err(format!("`rope_scaling` needs `{name}`")),
    }
}

impl RawScaling {
    pub fn read(self, beside: Stretched) -> Result<RopeConfig, String> {
        let theta = self.rope_theta.unwrap_or(beside.theta);
        if !theta.is_finite() || theta <= 0.0 {
            return Err(format!("`rope_theta` = {theta} must be positive"));
        }
        let partial = self.partial_rotary_factor.or(beside.partial).unwrap_or(1.0);
        let rotary = (beside.head_dim as f64 * partial) as usize;
        if !(0.0..=1.0).contains(&partial) || rotary == 0 || !rotary.is_multiple_of(2) {
            return Err(format!(
                "`partial_rotary_factor` = {partial} of {} channels must leave a whole number of pairs",
                beside.head_dim
            ));
        }
        Ok(RopeConfig { theta, rotary, scaling: self.scaling(rotary, &beside)? })
    }

    fn scaling(self, rotary: usize, beside: &Stretched) -> Result<Option<RopeScaling>, String> {
        let listed = self.short_factor.is_some() || self.long_factor.is_some();
        let kind = match self.rope_type.as_deref().or(self.kind.as_deref()) {
            // What `longrope` was called in the first Phi-3 files.
            Some("su") => "longrope",
            Some("yarn") if listed => "longrope",
            Some(kind) => kind,
            None if self.factor.is_none() && !listed => "default",
            None => return Err("`rope_scaling` needs `rope_type`".into()),
        };
        let original = beside.original.or(self.original_max_position_embeddings);
        let original =
            positive("original_max_position_embeddings", original.or(Some(beside.positions as f64)));
        Ok(Some(match kind {
            // Dynamic stretching begins beyond `max_position_embeddings`, where no sequence goes.
            "default" | "dynamic" => return Ok(None),
            "linear" => RopeScaling::Linear { factor: positive("factor", self.factor)? },
            "llama3" => {
                let low_freq_factor = positive("low_freq_factor", self.low_freq_factor)?;
                let high_freq_factor = positive("high_freq_factor", self.high_freq_factor)?;
                if high_freq_factor <= low_freq_factor {
                    return Err("`rope_scaling`: `high_freq_factor` must exceed `low_freq_factor`".into());
                }
                RopeScaling::Llama3 {
                    factor: positive("factor", self.factor)?,
                    low_freq_factor,
                    high_freq_factor,
                    original: original?,
                }
            }
            "yarn" => {
                let original = original?;
                let factor = positive("factor", self.factor.or(Some(beside.positions as f64 / original)))?;
                let scale = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
                let derived = match (self.mscale, self.mscale_all_dim) {
                    (Some(m), Some(all)) if m != 0.0 && all != 0.0 => scale(m) / scale(all),
                    _ => scale(1.0),
                };
                RopeScaling::Yarn {
                    factor,
                    beta_fast: positive("beta_fast", self.beta_fast.or(Some(32.0)))?,
                    beta_slow: positive("beta_slow", self.beta_slow.or(Some(1.0)))?,
                    truncate: self.truncate.unwrap_or(true),
                    original,
                    attention_factor: positive("attention_factor", self.attention_factor.or(Some(derived)))?,
                }
            }
            "longrope" => {
                let original = original?;
                let factor = self.factor.unwrap_or(beside.positions as f64 / original);
                let derived = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() };
                RopeScaling::LongRope {
                    short: stretches("short_factor", self.short_factor, rotary / 2)?,
                    long: stretches("long_factor", self.long_factor, rotary / 2)?,
                    original: original as usize,
                    attention_factor: positive("attention_factor", self.attention_factor.or(Some(derived)))?,
                }
            }
            other => {
                return Err(format!(
                    "`rope_scaling` of type `{other}` is not implemented; known: default, linear, dynamic, llama3, \
                     yarn, longrope"
                ));
            }
        }))
    }
}

fn stretches(name: &str, values: Option<Vec<f64>>, pairs: usize) -> Result<Vec<f64>, String> {
    let values = values.ok_or_else(|| format!("`rope_scaling` needs `{name}`"))?;
    if values.len() != pairs {
        return Err(format!("`rope_scaling.{name}` has {} numbers for {pairs} channel pairs", values.len()));
    }
    for &value in &values {
        positive(name, Some(value))?;
    }
    Ok(values)
}

/// The frequencies of channel pairs, and what multiplies the turned channels.
#[derive(Debug, Clone)]
pub(super) struct Frequencies {
    /// Radians per position.
    pub base: Vec<f32>,
    /// Those for sequences longer than so many positions.
    pub beyond: Option<(usize, Vec<f32>)>,
    pub factor: f32,
}

impl RopeConfig {
    pub(super) fn frequencies(&self) -> Frequencies {
        let pairs = self.rotary / 2;
        let plain: Vec<f64> =
            (0..pairs).map(|i| self.theta.powf(-((2 * i) as f64) / self.rotary as f64)).collect();
        let of = |stretch: &dyn Fn(usize, f64) -> f64| -> Vec<f32> {
            plain.iter().enumerate().map(|(i, &frequency)| stretch(i, frequency) as f32).collect()
        };
        let steady = |base| Frequencies { base, beyond: None, factor: 1.0 };
        match &self.scaling {
            None => steady(of(&|_, frequency| frequency)),
            Some(RopeScaling::Linear { factor }) => steady(of(&|_, frequency| frequency / factor)),
            Some(RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original }) => {
                steady(of(&|_, frequency| {
                    // Turns within the original length.
                    let turns = original * frequency / TAU;
                    let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    frequency * (share + (1.0 - share) / factor)
                }))
            }
            Some(RopeScaling::Yarn {
                factor,
                beta_fast,
                beta_slow,
                truncate,
                original,
                attention_factor,
            }) => {
                // The pair, not whole, that turns so often within the original length.
                let pair = |turns: f64| {
                    self.rotary as f64 * (original / (turns * TAU)).ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (pair(*beta_fast), pair(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, high) = (low.max(0.0), high.min(self.rotary as f64 - 1.0));
                let width = if low == high { 0.001 } else { high - low };
                let base = of(&|i, frequency| {
                    let stretched = ((i as f64 - low) / width).clamp(0.0, 1.0);
                    frequency * (1.0 - stretched) + frequency / factor * stretched
                });
                Frequencies { factor: *attention_factor as f32, ..steady(base) }
            }
            Some(RopeScaling::LongRope { short, long, original, attention_factor }) => Frequencies {
                base: of(&|i, frequency| frequency / short[i]),
                beyond: Some((*original, of(&|i, frequency| frequency / long[i]))),
                factor: *attention_factor as f32,
            },
        }
    }
}
