//! Backward passes: from the gradient of a result to those of what it was made of.
//!
//! Products need none of their own: the gradient of a product's rows is a product with the transposed weights
//! ([`Packed::transposed`](crate::Packed::transposed), [`Packed::transpose`](crate::Packed::transpose)), that of its
//! weights one of the transposed gradient ([`Packed::apply_transposed`](crate::Packed::apply_transposed)).
//!
//! What several rows add to is summed in the order of the rows, whoever does it: so gradients depend on the number of
//! threads no more than results do.

mod activation;
mod attention;
mod columns;
mod depthwise;
mod gated;
mod local;
mod norm;

pub use attention::AttentionGradient;
pub use columns::sum_rows;
pub use local::{LocalGradients, sum_per_key};
pub use norm::NormGradients;
