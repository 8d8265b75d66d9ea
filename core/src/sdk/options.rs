//! How an object is opened, as data: what crosses the boundary beside the spec.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, DeviceLocation};
use serde::{Deserialize, Serialize};

use crate::error::tensor_message;
use crate::weights::Weights;
use crate::{Error, Quantisation, Result, Spec};

/// The name of a device: `cpu`, `cuda:0`, `metal:0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DeviceName {
    /// Host memory.
    #[default]
    Cpu,
    /// A CUDA device, by the driver's ordinal.
    Cuda(usize),
    /// A Metal device.
    Metal(usize),
}

impl DeviceName {
    /// The name of an opened device.
    pub fn of(device: &Device) -> Self {
        match device.location() {
            DeviceLocation::Cpu => Self::Cpu,
            DeviceLocation::Cuda { gpu_id } => Self::Cuda(gpu_id),
            DeviceLocation::Metal { gpu_id } => Self::Metal(gpu_id),
        }
    }

    /// Opens it, or gives the device that was opened before: tensors of two device objects do not mix, even if
    /// both stand for the same hardware.
    ///
    /// # Errors
    /// [`Error::Device`] when this build or this machine does not have it.
    pub fn open(self) -> Result<Device> {
        static OPENED: Mutex<Vec<(DeviceName, Device)>> = Mutex::new(Vec::new());
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(name, _)| *name == self) {
            return Ok(device.clone());
        }
        let device = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(id) => Device::new_cuda(id),
            Self::Metal(id) => Device::new_metal(id),
        };
        let device =
            device.map_err(|e| Error::Device(format!("{self} cannot be opened: {}", tensor_message(&e))))?;
        opened.push((self, device.clone()));
        Ok(device)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(id) => write!(f, "cuda:{id}"),
            Self::Metal(id) => write!(f, "metal:{id}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (kind, id) = text.split_once(':').unwrap_or((text, "0"));
        match (kind, id.parse()) {
            ("cpu", _) if text == "cpu" => Ok(Self::Cpu),
            ("cuda", Ok(id)) => Ok(Self::Cuda(id)),
            ("metal", Ok(id)) => Ok(Self::Metal(id)),
            _ => Err(Error::invalid(format!("`{text}` is no device; write cpu, cuda, cuda:N or metal"))),
        }
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for DeviceName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// Where an object's weights are and where it shall live.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenOptions {
    /// Weight files, or one folder that holds them. Empty for objects that have no parameters.
    #[serde(with = "super::wire_path::many")]
    pub weights: Vec<PathBuf>,
    /// Insist on this checkpoint layout instead of detecting it.
    pub layout: Option<String>,
    /// The device.
    pub device: DeviceName,
    /// Keep the weights as variables, so that gradients can be taken with respect to them.
    pub trainable: bool,
    /// Hold the matrices of a language model's layers in blocks of this format. Embeddings, norms, encoders and
    /// connectors are not quantised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantise: Option<Quantisation>,
    /// Read what makes one vector of an image, too; see [`Weights::vectors`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub vectors: bool,
    /// Make the weights from this seed instead of reading files, in memory: for measuring what nobody downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<u64>,
}

impl OpenOptions {
    /// Opens the weight files in the precision of `spec`.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn weights(&self, spec: &Spec) -> Result<Weights> {
        let dtype = spec.precision.dtype();
        let weights = match self.random {
            Some(seed) => Weights::random(seed, dtype),
            None if self.weights.is_empty() => Weights::tensors(BTreeMap::new(), dtype),
            None => Weights::open(&self.weights, dtype)?,
        };
        let weights = weights.with_layout(self.layout.clone()).vectors(self.vectors);
        Ok(weights.trainable(self.trainable).quantise(self.quantise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_round_trip_and_bad_ones_are_named() {
        for name in ["cpu", "cuda:0", "cuda:3", "metal:0"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceName>().unwrap(), DeviceName::Cuda(0));
        for bad in ["", "cpu:1", "gpu", "cuda:x", "cuda:-1"] {
            let message = bad.parse::<DeviceName>().unwrap_err().to_string();
            assert!(message.contains(&format!("`{bad}`")), "{message}");
        }
    }
}
