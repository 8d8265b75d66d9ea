//! The narrow waist of Zoo: the traits that encoders, connectors, language models and text towers implement, the plain data
//! around them, weight files, and the kit for plugin authors.
//!
//! **The one decision.** Traits speak candle tensors, because connectors and language models must be
//! differentiable; but no candle type ever crosses a dynamic library. Between a host and a plugin stand the C
//! tables of `zoo-abi` and DLPack tensors, and both ends look like the same trait. So the same encoder can be
//! linked statically into a test or loaded from a file, and nothing above this crate can tell.
//!
//! The traits are one page: [`traits`](Encoder). This crate names no encoder family.

#![warn(missing_docs)]

mod call;
mod descriptor;
pub mod dlpack;
mod error;
mod faults;
mod features;
mod fusion;
mod geometry;
pub mod json;
mod llm;
mod options;
mod path_text;
mod preprocess;
mod refine;
pub mod sdk;
mod spec;
mod traits;
pub mod weights;

pub use call::{CallContext, step, wanted};
pub use descriptor::{
    ConnectorDescriptor, ConnectorInput, Cost, EmbeddingInfo, EncoderDescriptor, LayerInfo, LlmDescriptor,
    PrefixToken, Resolution, TextDescriptor,
};
pub use error::{Error, Result};
pub use features::{Embedded, FeatureMap, FeatureRequest, Features, Grid, ImageBatch, Layers, Origin};
pub use fusion::{Cells, ConnectorInputs, Fused, ImageBlock, LayerAttention};
pub use geometry::{Region, padding, shown, unpad};
pub use llm::{Cache, LayerHook, NoHook, cross_entropy};
pub use options::{CallOptions, Extent, OptionInfo, OptionKind};
pub use path_text::{path_bytes, path_text};
pub use preprocess::{Filter, Fit, Preprocess, ResizeCrop};
pub use refine::{ImageRefiner, PlacedImage};
pub use spec::{Precision, Quantisation, Spec};
pub use traits::{Connector, Differentiable, Encoder, LanguageModel, TextTower, Trainable};
