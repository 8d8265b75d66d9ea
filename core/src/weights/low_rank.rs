//! Low-rank differences to matrices that stay as they are (LoRA, arXiv 2106.09685).

use std::collections::BTreeSet;

use candle_core::Tensor;

/// Which matrices get a difference `scale · up · down`, as variables: `down` `[rank, inputs]` begins as a linear map of
/// torch does, `up` `[outputs, rank]` with zeros.
#[derive(Debug, Clone)]
pub struct LowRank {
    /// Rank.
    pub rank: usize,
    /// What the product is multiplied by.
    pub scale: f64,
    /// Share of the inputs that is left out at random, where the call has a seed ([`crate::CallContext::seed`]).
    pub dropout: f64,
    /// Published keys of the matrices.
    pub targets: BTreeSet<String>,
    /// Decides how they begin.
    pub seed: u64,
}

/// The difference to one matrix.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Published key of the matrix.
    pub key: String,
    /// `[rank, inputs]`.
    pub down: Tensor,
    /// `[outputs, rank]`.
    pub up: Tensor,
    /// As [`LowRank::scale`].
    pub scale: f64,
    /// As [`LowRank::dropout`].
    pub dropout: f64,
}

impl LowRank {
    /// Under which keys the Python package peft stores `down` and `up` of the matrix `key`.
    pub fn keys(key: &str) -> [String; 2] {
        let module = key.strip_suffix(".weight").unwrap_or(key);
        ["A", "B"].map(|part| format!("base_model.model.{module}.lora_{part}.weight"))
    }
}
