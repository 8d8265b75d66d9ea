//! Building blocks that plugins share.
//!
//! **The one decision.** A network family is code once, and everything that differs between its members is data:
//! numbers from a registry row, names from a [`zoo_core::weights::Layout`]. So a plugin is a table, and a repaired
//! block is repaired for all of them.
//!
//! Numerics: weights and activations in the requested dtype; norms, softmax and every resampling in f32. Every
//! block is differentiable when its input or its weights track gradients: on a CPU most have a backward pass of their own
//! beside the kernels of the forward pass, elsewhere it is candle's. Losses are differentiated by
//! [`autograd::backward`]; [`recompute`] trades arithmetic for memory.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use zoo_core::{Grid, Result};
//! use zoo_nn::pos_embed::{PosMode, resample};
//!
//! # fn main() -> Result<()> {
//! // A 4 × 4 table of 8 channels for a 6 × 3 grid.
//! let table = Tensor::randn(0f32, 1.0, (16, 8), &Device::Cpu)?;
//! let table = resample(&table, Grid::square(4), Grid { h: 6, w: 3 }, PosMode::BicubicAntialias)?;
//! assert_eq!(table.dims(), [18, 8]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod activation;
pub mod attention;
pub mod autograd;
pub mod axial;
pub mod cast;
pub mod conv;
pub mod convnext;
pub mod cross_attention;
pub mod decoder;
pub mod depthwise;
mod dispatch;
mod embedding;
pub mod encoder;
mod gated;
mod graph;
pub mod group_norm;
mod groups;
pub mod linear;
pub mod local_attention;
pub mod loss;
mod low_rank;
pub mod mlp;
pub mod norm;
pub mod patch_embed;
pub mod pool;
pub mod pos_embed;
pub mod quantised;
mod query_pool;
pub mod recompute;
pub mod relative;
pub mod resample;
pub mod text;
mod values;
pub mod vit;
pub mod windows;
