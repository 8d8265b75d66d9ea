//! Choosing a device: what was asked for is what is used, or an error.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use zoo_core::sdk::DeviceName;

use crate::HostError;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best device that this build and this machine have.
    Auto,
    /// This one and no other.
    Named(DeviceName),
}

impl Default for DeviceChoice {
    fn default() -> Self {
        Self::Named(DeviceName::Cpu)
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Named(name) => name.fmt(f),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Named)
                .map_err(|_| format!("`{text}` is no device; use cpu, cuda, cuda:N, metal or auto")),
        }
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// [`HostError::Device`] when this build lacks the backend or the machine lacks the device.
    pub fn open(self) -> Result<Device, HostError> {
        match self {
            Self::Named(name) => open(name),
            Self::Auto => {
                let accelerators = [DeviceName::Cuda(0), DeviceName::Metal(0)];
                Ok(accelerators.into_iter().find_map(|name| open(name).ok()).unwrap_or(Device::Cpu))
            }
        }
    }
}

fn open(name: DeviceName) -> Result<Device, HostError> {
    let backend = match name {
        DeviceName::Cuda(_) if cfg!(not(feature = "cuda")) => Some("cuda"),
        DeviceName::Metal(_) if cfg!(not(feature = "metal")) => Some("metal"),
        _ => None,
    };
    let why = match backend {
        Some(feature) => {
            format!("this zoo was built without it (cargo build --release --features {feature})")
        }
        None => match name.open() {
            Ok(device) => return Ok(device),
            Err(error) => error.to_string(),
        },
    };
    Err(HostError::Device(format!("device `{name}` is not available: {why}; use --device cpu or auto")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Named(DeviceName::Cuda(3))));
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().contains("cuda:N"));
    }

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        let message = DeviceChoice::Named(DeviceName::Cuda(0)).open().unwrap_err().to_string();
        assert!(message.contains("built without it"), "{message}");
        assert!(DeviceChoice::Auto.open().unwrap().is_cpu());
    }
}
