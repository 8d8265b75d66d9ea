//! The decoder-only transformer that every language-model plugin shares.
//!
//! Llama's architecture (arXiv 2302.13971) and what descends from it: pre-norm blocks with RMSNorm, rotary positions
//! (half-split), grouped-query attention, gated SiLU networks. Families differ in numbers ([`DecoderConfig`], read
//! from a registry row or a `config.json` over a family's [`DecoderStyle`]) and in whether q, k and v stand in one
//! matrix. Canonical tensor names are Hugging Face's.
//!
//! # Positions and padding
//!
//! **The KV cache is addressed by position.** A token at position `p` of a row is stored under `p`, and sees the
//! keys of its row under `0 ..= p` (with a sliding window `w`: the last `w` of them). A later token of the row at
//! the same position replaces the earlier one. Hence
//!
//! * rows of different lengths are padded by giving the padding positions that real tokens take later, or that
//!   nothing real reaches: on the right `0, 1, 2, …` straight on past the row's end, after which decoding goes on
//!   at the row's own length; on the left any number of zeros before the real `0`. Outputs at padding are finite
//!   and mean nothing; those at real tokens are those of the row on its own;
//! * a prompt may go in as one piece or as many;
//! * a cache is turned back by using an earlier position again.
//!
//! The positions of a row may not leave gaps, and end at `max_position_embeddings`; both are errors that say so.

mod attention;
mod cache;
mod config;
mod layer;
mod layout;
mod mlp;
mod model;
mod positions;
mod projections;
mod rope;

pub use config::{DecoderConfig, DecoderStyle};
pub use layout::layout;
pub use model::Decoder;
pub use rope::{RopeConfig, RopeScaling};
