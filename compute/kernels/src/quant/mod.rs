//! Products with quantised weights: blocks of few-bit integers with scales, as GGML defines them and GGUF files hold
//! them.
//!
//! Activations are quantised too, row by row, to 8 bits and one f32 scale for each block, and the products within a
//! block are sums of integers. These are exact, and what follows them is the same sequence of f32 operations for
//! every instruction set: results are the same bits on every machine.
//!
//! A format is a `Form`: how a block is made, read, laid out for the kernels, and multiplied. The multiplication is
//! written once for each format over [`lanes::Lanes`], the sixteen outputs of a panel as vectors.

mod activations;
mod form;
mod format;
mod lanes;
mod q4_k;
mod q6_k;
mod q8_0;
mod quantised;
mod search;

pub use format::Format;
pub use quantised::Quantised;
