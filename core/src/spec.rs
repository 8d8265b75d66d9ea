//! What a plugin is told when it opens an object.

use std::fmt;
use std::str::FromStr;

use candle_core::DType;
use half::bf16;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zoo_kernels::Packed;
use zoo_kernels::quant::{Format, Quantised};

use crate::{Error, Result};

/// Element type of weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE single.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half.
    F16,
}

impl Precision {
    /// candle's name for it.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Bytes per element.
    pub fn bytes(self) -> u64 {
        self.dtype().size_in_bytes() as u64
    }

    /// Bytes that weights of this shape take when a CPU computes with them: whatever has rows may stand in panels, of
    /// whose last one not all rows exist.
    pub fn held(self, shape: &[usize]) -> u64 {
        let rows = shape.first().copied().unwrap_or(1);
        let inputs: usize = shape.iter().skip(1).product();
        match self {
            _ if shape.len() < 2 => (rows * inputs) as u64 * self.bytes(),
            Self::F32 => Packed::bytes::<f32>(rows, inputs) as u64,
            Self::Bf16 => Packed::bytes::<bf16>(rows, inputs) as u64,
            Self::F16 => (rows * inputs) as u64 * self.bytes(),
        }
    }
}

/// Block formats of a language model's matrices, as GGML defines them: few bits for each weight, and scales that a
/// block of neighbours in a row shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quantisation {
    /// 8 bits, blocks of 32: 8.5 bits for each weight.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 6 bits, blocks of 256: 6.5625 bits for each weight.
    #[serde(rename = "q6_k")]
    Q6K,
    /// 4 bits, blocks of 256: 4.5 bits for each weight.
    #[serde(rename = "q4_k")]
    Q4K,
}

impl Quantisation {
    /// All of them, the most exact first.
    pub const ALL: [Self; 3] = [Self::Q8_0, Self::Q6K, Self::Q4K];

    /// Its name: `q8_0`, `q6_k`, `q4_k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q6K => "q6_k",
            Self::Q4K => "q4_k",
        }
    }

    /// Weights in a block; a row of inputs must be a whole number of blocks.
    pub fn block_length(self) -> usize {
        self.format().block_length()
    }

    /// The kernels' name for it.
    pub fn format(self) -> Format {
        match self {
            Self::Q8_0 => Format::Q8_0,
            Self::Q6K => Format::Q6K,
            Self::Q4K => Format::Q4K,
        }
    }

    /// The format that a matrix of so many inputs gets when this one is asked for: [`Quantisation::Q8_0`] where
    /// its blocks fit and those of this one do not, `None` where neither fits.
    pub fn fitting(self, inputs: usize) -> Option<Self> {
        [self, Self::Q8_0].into_iter().find(|q| inputs > 0 && inputs.is_multiple_of(q.block_length()))
    }

    /// Bytes that a matrix of so many rows takes when this format is asked for; as [`Precision::held`] where no format
    /// fits.
    pub fn held(self, rows: usize, inputs: usize, plain: Precision) -> u64 {
        match self.fitting(inputs) {
            Some(q) => Quantised::bytes(q.format(), rows, inputs) as u64,
            None => plain.held(&[rows, inputs]),
        }
    }
}

impl fmt::Display for Quantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quantisation {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|q| q.name() == text).ok_or_else(|| {
            Error::invalid(format!("`{text}` is no quantisation; there are q8_0, q6_k and q4_k"))
        })
    }
}

/// One encoder, connector or language model to be opened: a registry row, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Registry id; used in descriptors and messages.
    pub id: String,
    /// Which of the plugin's architectures.
    pub architecture: String,
    /// Architecture numbers, overrides already applied.
    #[serde(default)]
    pub arch: Map<String, Value>,
    /// Element type.
    #[serde(default)]
    pub precision: Precision,
}

impl Spec {
    /// The architecture numbers as the plugin's own type, which should `deny_unknown_fields`.
    ///
    /// # Errors
    /// [`Error::Arch`] with the offending key and the keys that exist.
    pub fn arch<T: DeserializeOwned>(&self) -> Result<T> {
        serde_path_to_error::deserialize(Value::Object(self.arch.clone())).map_err(|e| {
            let (path, message) = (e.path().to_string(), e.inner().to_string());
            // A key that is unknown or missing stands in serde's message; one of another type does not.
            let named =
                path == "." || message.contains(&format!("`{}`", path.rsplit('.').next().unwrap_or(&path)));
            let message = if named { message } else { format!("`{path}`: {message}") };
            Error::Arch { id: self.id.clone(), message }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "read, and not looked at")]
        struct Arch {
            depth: usize,
            sides: Vec<usize>,
        }
        for (arch, part) in [
            (r#"{"depth": "12", "sides": []}"#, "`depth`: invalid type: string"),
            (r#"{"depth": 1, "sides": [1, -2]}"#, "`sides[1]`: invalid value: integer `-2`"),
            (r#"{"depht": 1, "sides": []}"#, "unknown field `depht`, expected `depth` or `sides`"),
            (r#"{"depth": 1}"#, "missing field `sides`"),
        ] {
            let spec: Spec =
                serde_json::from_str(&format!(r#"{{"id": "x", "architecture": "a", "arch": {arch}}}"#))
                    .unwrap();
            let message = spec.arch::<Arch>().unwrap_err().to_string();
            assert!(message.starts_with("x: architecture: ") && message.contains(part), "{message}");
        }
    }

    #[test]
    fn names_of_quantisations_round_trip() {
        for q in Quantisation::ALL {
            assert_eq!(q.name().parse::<Quantisation>().unwrap(), q);
            assert_eq!(serde_json::to_string(&q).unwrap(), format!("\"{q}\""));
        }
        let message = "q5_k".parse::<Quantisation>().unwrap_err().to_string();
        assert!(message.contains("`q5_k`") && message.contains("q6_k"), "{message}");
    }

    #[test]
    fn a_format_that_does_not_fit_gives_way() {
        let fitting = |inputs| Quantisation::Q4K.fitting(inputs);
        assert_eq!([512, 96, 100].map(fitting), [Some(Quantisation::Q4K), Some(Quantisation::Q8_0), None]);
        // Sixteen rows make a panel.
        let held = [512, 96, 100].map(|n| Quantisation::Q4K.held(10, n, Precision::Bf16));
        assert_eq!(held, [16 * 288, 16 * 102 + 32, Precision::Bf16.held(&[10, 100])]);
        assert_eq!(Precision::Bf16.held(&[64, 3, 4, 5]), 64 * 60 * 2);
        assert_eq!([Precision::F32, Precision::F16].map(|p| p.held(&[7])), [28, 14]);
    }
}
