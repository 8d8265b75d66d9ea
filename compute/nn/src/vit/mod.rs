//! The vision transformer that every plain-ViT plugin shares.
//!
//! Families differ in numbers ([`ViTConfig`], read from a registry row over a family's [`ViTStyle`]) and in the
//! names under which their weights are published ([`zoo_core::weights::Layout`]), not in code.

pub(crate) mod block;
mod config;
mod encoder;
mod head;
pub mod layouts;
mod trunk;

pub use config::{ViTAct, ViTConfig, ViTNorm, ViTPool, ViTStyle};
pub use encoder::ViT;
pub use trunk::VisionTransformer;
