//! The decoder-only transformer that every language-model plugin shares.
//!
//! Llama's architecture (arXiv 2302.13971) and what descends from it: pre-norm blocks with RMSNorm, rotary positions
//! (half-split), grouped-query attention, gated networks. Families differ in numbers ([`DecoderConfig`], read from a
//! registry row or a `config.json`) and in a few habits ([`DecoderStyle`]). Canonical tensor names are Hugging
//! Face's.
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
//!
//! Models with two sets of rotary frequencies (LongRoPE) take the second set from the call on that goes beyond the
//! length of the first. Keys in the cache are turned over to it then, but the states before them are those of the
//! first set, where `generate` of transformers reads the whole sequence again.
//!
//! # Embeddings that are scaled
//!
//! Where a family multiplies embeddings by `sqrt(hidden_size)` ([`DecoderStyle::scaled_input`]), that happens to
//! whatever enters layer 0, so `embed` gives plain rows of the table, and image tokens that take the place of rows
//! are scaled like them: that is how a model trained with `inputs_embeds` saw them (`transformers.GemmaModel` before
//! version 5, whose later versions scale inside the embedding).

mod arch;
mod attention;
mod cache;
mod config;
pub mod gguf;
mod layer;
mod layout;
mod mlp;
mod model;
mod positions;
mod projections;
mod rope;
mod scaling;
mod step;
mod style;

pub use config::DecoderConfig;
pub use layout::layout;
pub use model::Decoder;
pub use scaling::{RopeConfig, RopeScaling};
pub use style::{DecoderStyle, Windows};
