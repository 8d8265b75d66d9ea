//! The text tower that image–text models share: CLIP's and SigLIP's.
//!
//! Families differ in numbers ([`TextConfig`], read from a registry row over a family's [`TextStyle`]) and in the names
//! under which their weights are published ([`layouts`]), not in code.

mod config;
pub mod layouts;
mod tower;

pub use config::{TextConfig, TextPool, TextStyle};
pub use tower::TextTransformer;
