//! What the connector promises, without files and without a language model of note.

mod blocks;
mod by_hand;
mod common;
mod gradients;
mod inside;
mod released;
