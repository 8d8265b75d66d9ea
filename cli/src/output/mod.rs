//! Writing results. Whatever appears under its final name is complete: everything is written beside it under a
//! temporary name first, and renamed.

mod atomic;
mod names;
mod npy;
mod safetensors;
mod spool;
pub mod table;

pub use atomic::write;
pub use names::unique;
pub use npy::write_npy;
pub use safetensors::{Metadata, Plain, TensorOut, write_safetensors};
pub use spool::{Rows, Spool};
