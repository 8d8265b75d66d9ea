//! What objects say of themselves: plain data, the same on both sides of the plugin boundary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::features::Grid;
use crate::options::OptionInfo;
use crate::{Error, Quantisation, Result};

/// One feature-giving layer of an encoder (timm's `feature_info`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Channels of its feature map.
    pub channels: usize,
    /// Pixels per cell of its grid, on each axis.
    pub stride: usize,
}

/// What a prefix token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixToken {
    /// The class token.
    Cls,
    /// A register.
    Register,
}

/// Image sizes that an encoder takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resolution {
    /// Only the native size.
    Fixed,
    /// Any height and width that are multiples of this many pixels.
    MultipleOf(usize),
    /// Any height and width of at least this many pixels; pixels beyond the last whole patch are not seen.
    AtLeast(usize),
}

/// The one vector that an encoder makes of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingInfo {
    /// Its width `D`.
    pub width: usize,
    /// What it is, in a few words: `class token, projected`.
    pub about: String,
}

/// An encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderDescriptor {
    /// Registry id.
    pub id: String,
    /// Layers in order, the last one last.
    pub layers: Vec<LayerInfo>,
    /// Prefix tokens in the order in which they are returned.
    pub prefix: Vec<PrefixToken>,
    /// Whether there is a final norm to ask for.
    pub final_norm: bool,
    /// Side in pixels of the square image that the weights were made for.
    pub native: usize,
    /// Other sizes.
    pub resolution: Resolution,
    /// Number of parameters that the forward pass holds.
    pub parameters: u64,
    /// Whether [`crate::Encoder::differentiable`] is there.
    pub vjp: bool,
    /// What else than pixels decides what it sees, and may be set for a call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionInfo>,
}

impl EncoderDescriptor {
    /// The grid of `layer` for an image of `height × width` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the sizes that would be legal.
    pub fn grid(&self, layer: usize, height: usize, width: usize) -> Result<Grid> {
        let info = self
            .layers
            .get(layer)
            .ok_or_else(|| Error::invalid(format!("{}: there is no layer {layer}", self.id)))?;
        let fault = |rule: String| {
            Err(Error::invalid(format!("{}: {height}×{width} pixels do not work; {rule}", self.id)))
        };
        match self.resolution {
            Resolution::Fixed if (height, width) != (self.native, self.native) => {
                return fault(format!("only {0}×{0} does", self.native));
            }
            Resolution::MultipleOf(m)
                if !height.is_multiple_of(m) || !width.is_multiple_of(m) || height.min(width) < m =>
            {
                return fault(format!("height and width must be multiples of {m}"));
            }
            Resolution::AtLeast(m) if height.min(width) < m => {
                return fault(format!("height and width must be at least {m}"));
            }
            _ => {}
        }
        // A stride of zero is refused where an encoder is opened; a descriptor that nobody opened may still have it.
        match (height.checked_div(info.stride), width.checked_div(info.stride)) {
            (Some(h), Some(w)) => Ok(Grid { h, w }),
            _ => Err(Error::Internal(format!("{}: layer {layer} has a stride of 0", self.id))),
        }
    }
}

/// What one call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Peak bytes of activations, weights not counted.
    pub activation_bytes: u64,
}

/// What a connector expects of one encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorInput {
    /// Channels.
    pub channels: usize,
    /// Tokens, where the connector fixes them.
    pub tokens: Option<usize>,
}

/// A connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorDescriptor {
    /// Registry id.
    pub id: String,
    /// One per encoder, in ensemble order.
    pub inputs: Vec<ConnectorInput>,
    /// Width `H` of its tokens.
    pub output: usize,
    /// Side of the square token grid, where it does not depend on the inputs.
    pub side: Option<usize>,
    /// Whether [`crate::Fused::attention`] is filled.
    pub attends: bool,
    /// Decoder layers after which [`crate::Connector::refine`] wants to run; empty for none.
    pub refine_after: Vec<usize>,
    /// Number of parameters.
    pub parameters: u64,
}

/// A text tower of an image–text model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextDescriptor {
    /// Registry id.
    pub id: String,
    /// Rows of the embedding table.
    pub vocab: usize,
    /// The most tokens of a text.
    pub context: usize,
    /// Whether every text must be filled up to `context` tokens.
    pub filled: bool,
    /// Width `D` of its vectors.
    pub width: usize,
    /// What the cosine of an image and a text is multiplied by.
    pub scale: f64,
    /// What is added then. Where there is one, an image and a text fit or do not (a sigmoid each); elsewhere texts
    /// compete for the image (a softmax).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<f64>,
    /// Number of parameters.
    pub parameters: u64,
}

/// A language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlmDescriptor {
    /// Registry id.
    pub id: String,
    /// Hidden width `H`.
    pub hidden: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Rows of the embedding table.
    pub vocab: usize,
    /// Longest sequence.
    pub max_positions: usize,
    /// Bytes of KV cache per position and sequence.
    pub cache_bytes_per_position: u64,
    /// Number of parameters.
    pub parameters: u64,
    /// How many of them are held in quantised blocks, by format; the others are not quantised.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quantised: BTreeMap<Quantisation, u64>,
}
