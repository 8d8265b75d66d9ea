//! What a plugin is told when it opens an object.

use candle_core::DType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
        serde_json::from_value(Value::Object(self.arch.clone()))
            .map_err(|e| Error::Arch { id: self.id.clone(), message: e.to_string() })
    }
}
