//! The text and the tensor names of the wire, written by one side and read by the other. Authors need none of
//! this; hosts do.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::OpenOptions;
use crate::features::Grid;
use crate::fusion::Fused;
use crate::{EmbeddingInfo, EncoderDescriptor, Error, Result, Spec};

/// What `open` and `inspect` are given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// What to open.
    pub spec: Spec,
    /// Where from and where to.
    #[serde(default)]
    pub options: OpenOptions,
}

/// What an encoder says of itself: its descriptor, and beside its keys, since 1.0.2, the vector that it makes of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EncoderReply {
    /// Its descriptor.
    #[serde(flatten)]
    pub descriptor: EncoderDescriptor,
    /// Its vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingInfo>,
}

impl EncoderReply {
    /// What cannot be true of an encoder that was opened as `id`.
    pub fn faults(&self, id: &str) -> Vec<String> {
        let vector = self.embedding.iter().flat_map(EmbeddingInfo::faults);
        self.descriptor.faults(id).into_iter().chain(vector).collect()
    }
}

/// What belongs to the i-th feature map; its tensors are `tokens.i` and `prefix.i`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MapReply {
    /// Grid of the tokens.
    pub grid: Grid,
    /// 0-based layer.
    pub layer: usize,
    /// Whether the final norm was applied.
    pub normed: bool,
    /// Whether there is a `prefix.i`.
    pub prefix: bool,
}

/// What an option of a call that is a tensor is called among the inputs of an encoder; those that are numbers or words
/// stand in `options_json`, as an object, which is empty where none is set.
pub const OPTION: &str = "option.";

/// One vector for each image, beside the maps of an encoder where its flag asks for it; the result of a text tower, of
/// its input `ids`.
pub const EMBEDDING: &str = "embedding";

/// Options of an encoder's `vjp`: inputs `pixels` and `cotangent.i`, results `pixels` and `parameter.i`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VjpOptions {
    /// Parameters whose gradients are wanted.
    pub parameters: Vec<String>,
}

/// What is not a tensor of a [`Fused`]; its tensors are `tokens`, `attention.i` and `memory.i`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FusedShape {
    /// Grid of the tokens.
    pub grid: Grid,
    /// Width and height of each original image.
    pub image_sizes: Vec<(u32, u32)>,
}

/// Operations of a connector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ConnectorOp {
    /// Inputs `feature.i`; results a [`Fused`], reply [`FusedShape`].
    Forward {
        /// Width and height of each original image.
        image_sizes: Vec<(u32, u32)>,
    },
    /// Inputs a [`Fused`]; result `tokens`, reply [`BlockReply`].
    Block {
        /// The rest of the input.
        fused: FusedShape,
        /// Image of the batch.
        row: usize,
    },
    /// Inputs `feature.i`; results `share.l.k` for layer `l` and encoder `k`, reply a list of [`LayerReply`].
    Attention {
        /// Width and height of each original image.
        image_sizes: Vec<(u32, u32)>,
    },
    /// Inputs as of `Refine`; results `share.k` for encoder `k`.
    RefineAttention {
        /// The rest of the input.
        fused: FusedShape,
        /// Which of the hooked layers.
        step: usize,
        /// Grid of `hidden`.
        grid: Grid,
        /// Image of the batch.
        row: usize,
    },
    /// Inputs a [`Fused`] and `hidden`; result `hidden`.
    Refine {
        /// The rest of the input.
        fused: FusedShape,
        /// Which of the hooked layers.
        step: usize,
        /// Grid of `hidden`.
        grid: Grid,
        /// Image of the batch.
        row: usize,
    },
}

/// What belongs to the shares of one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerReply {
    /// Group of queries.
    pub group: usize,
    /// Layer of the group.
    pub layer: usize,
    /// Grid of the queries.
    pub grid: Grid,
}

/// What belongs to the tokens of one image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlockReply {
    /// Cells left.
    pub grid: Grid,
    /// Whether rows end with a newline token.
    pub newline: bool,
}

/// Operations of a language model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum LlmOp {
    /// Input `ids`; result `hidden`.
    Embed,
    /// Reply [`CacheReply`]. The cache stays in the plugin until it is dropped.
    CacheNew {
        /// Sequences.
        batch: usize,
    },
    /// Frees a cache.
    CacheDrop {
        /// From [`CacheReply`].
        cache: u64,
    },
    /// Replaces the rows of a cache.
    CacheSelect {
        /// From [`CacheReply`].
        cache: u64,
        /// Present row of each future one.
        rows: Vec<usize>,
    },
    /// Inputs `hidden` and `positions`; result `hidden`.
    Layers {
        /// Decoder layers.
        range: Range<usize>,
        /// From [`CacheReply`].
        cache: u64,
    },
    /// Input `hidden`; result `logits`.
    Logits,
}

/// Names a cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CacheReply {
    /// Id, never used twice by one object.
    pub cache: u64,
}

/// Tensors by name.
#[derive(Debug, Default)]
pub struct Tensors(BTreeMap<String, Tensor>);

impl Tensors {
    /// Adds one; a second of the same name is a mistake of the other side.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming it.
    pub fn insert(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        match self.0.insert(name.to_owned(), tensor) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!("two tensors are called `{name}`"))),
        }
    }

    /// Takes the tensor called `name`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming it and those that are there.
    pub fn take(&mut self, name: &str) -> Result<Tensor> {
        self.0.remove(name).ok_or_else(|| {
            let there: Vec<_> = self.0.keys().map(|k| format!("`{k}`")).collect();
            Error::invalid(format!("there is no tensor `{name}`, only {}", there.join(", ")))
        })
    }

    /// Takes `name.0`, `name.1`, … as far as they go.
    pub fn list(&mut self, name: &str) -> Vec<Tensor> {
        (0..).map_while(|i| self.0.remove(&format!("{name}.{i}"))).collect()
    }

    /// Takes all whose names begin so, by the rest of their names.
    pub fn rest(&mut self, beginning: &str) -> BTreeMap<String, Tensor> {
        let names: Vec<String> = self.0.keys().filter(|name| name.starts_with(beginning)).cloned().collect();
        let taken =
            names.iter().filter_map(|name| Some((name[beginning.len()..].to_owned(), self.0.remove(name)?)));
        taken.collect()
    }

    /// Moves all to a device.
    ///
    /// # Errors
    /// Copying failed.
    pub fn to_device(mut self, device: &Device) -> Result<Self> {
        for tensor in self.0.values_mut() {
            *tensor = tensor.to_device(device)?;
        }
        Ok(self)
    }

    /// Takes the parts of a [`Fused`].
    ///
    /// # Errors
    /// There are no tokens.
    pub fn fused(&mut self, shape: FusedShape) -> Result<Fused> {
        Ok(Fused {
            tokens: self.take("tokens")?,
            grid: shape.grid,
            attention: self.list("attention"),
            memory: self.list("memory"),
            image_sizes: shape.image_sizes,
        })
    }
}

/// `name.0`, `name.1`, … for a list of tensors.
pub fn named_list<'a>(name: &str, tensors: &'a [Tensor]) -> impl Iterator<Item = (String, &'a Tensor)> {
    tensors.iter().enumerate().map(move |(i, t)| (format!("{name}.{i}"), t))
}

/// The parts of a [`Fused`].
pub fn fused_parts(fused: &Fused) -> (Vec<(String, &Tensor)>, FusedShape) {
    let mut tensors = vec![("tokens".to_owned(), &fused.tokens)];
    tensors.extend(named_list("attention", &fused.attention));
    tensors.extend(named_list("memory", &fused.memory));
    (tensors, FusedShape { grid: fused.grid, image_sizes: fused.image_sizes.clone() })
}

/// JSON of plain data.
///
/// # Errors
/// [`Error::Internal`]; plain data does not fail.
pub fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Internal(format!("JSON: {e}")))
}

/// Plain data from the JSON of the other side.
///
/// # Errors
/// [`Error::InvalidInput`] saying what the text should have been.
pub fn from_json<T: for<'de> Deserialize<'de>>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::invalid(format!("{what}: {e}")))
}
