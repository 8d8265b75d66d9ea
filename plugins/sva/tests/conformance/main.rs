//! What the connector promises, without files and without a language model of note.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod blocks;
mod by_hand;
mod common;
mod gradients;
mod inside;
mod released;
