//! The pixel pipeline as data. `zoo-preprocess` carries it out, the registry spells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Resampling filter, as in Pillow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Cubic convolution with a = -0.5, support widened when shrinking.
    #[default]
    Bicubic,
    /// Triangle, support widened when shrinking.
    Bilinear,
}

/// How an image of any shape becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Padded, so that all of it is seen in its proportions.
    #[default]
    Pad,
    /// Resized by its shorter edge and cropped in the middle: in its proportions, without its ends.
    Crop,
    /// Stretched: all of it, and out of its proportions.
    Stretch,
}

impl Fit {
    fn is_pad(&self) -> bool {
        *self == Self::Pad
    }
}

/// A second resize, by the shorter edge, and a centre crop: what towers of 224 px do to an image that already
/// has 224 px.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResizeCrop {
    /// Side after the resize, in pixels.
    pub resize: u32,
    /// Filter of the resize.
    #[serde(default)]
    pub filter: Filter,
}

/// From a decoded RGB image of any size to the normalised pixels of one encoder.
///
/// 1. pad to a centred square with `pad` (offset `(max - min) / 2`, floor), unless `fit` says otherwise;
/// 2. resize to `size × size` with `filter`, 8 bits between the passes;
/// 3. `then`, if any, ending in a centre crop of `size`;
/// 4. `(x · scale - mean) / std` per channel, where `scale` is 1/255 or, with `raw`, 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Side in pixels.
    pub size: u32,
    /// RGB colour of the padding.
    pub pad: [u8; 3],
    /// How it becomes a square.
    #[serde(default, skip_serializing_if = "Fit::is_pad")]
    pub fit: Fit,
    /// Filter of the first resize.
    #[serde(default)]
    pub filter: Filter,
    /// Second resize and crop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<ResizeCrop>,
    /// Mean and standard deviation are in 0..255.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
    /// Per channel, R, G, B.
    pub mean: [f32; 3],
    /// Per channel, R, G, B.
    pub std: [f32; 3],
}

impl Preprocess {
    /// Largest side that a pipeline may ask for, in pixels.
    pub const MAX_SIZE: u32 = 16_384;

    /// Whether the numbers make a pipeline.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the number and what it may be.
    pub fn check(&self) -> Result<()> {
        let sizes = 1..=Self::MAX_SIZE;
        if !sizes.contains(&self.size) {
            return Err(Error::invalid(format!(
                "size is {}, it must be in 1..={}",
                self.size,
                Self::MAX_SIZE
            )));
        }
        if let Some(then) = &self.then
            && !(self.size..=Self::MAX_SIZE).contains(&then.resize)
        {
            return Err(Error::invalid(format!(
                "the second resize is to {}, but the crop after it takes {} pixels; it must be in {}..={}",
                then.resize,
                self.size,
                self.size,
                Self::MAX_SIZE
            )));
        }
        for (channel, (mean, std)) in self.mean.into_iter().zip(self.std).enumerate() {
            if !mean.is_finite() || !std.is_finite() || std <= 0.0 {
                return Err(Error::invalid(format!(
                    "channel {channel} has mean {mean} and std {std}; both must be finite and std positive"
                )));
            }
        }
        Ok(())
    }

    /// The same pipeline at another size; a second resize keeps its proportion.
    #[must_use]
    pub fn at(&self, size: u32) -> Self {
        let mut out = self.clone();
        out.size = size;
        if let Some(then) = &mut out.then {
            let scaled = f64::from(then.resize) * f64::from(size) / f64::from(self.size);
            then.resize = scaled.floor() as u32;
        }
        out
    }
}
