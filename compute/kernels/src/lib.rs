//! What a CPU computes: products with packed and [quantised](quant) weights, with the norm before and the activation
//! and shortcut behind them; feed-forward networks; attention; depthwise convolutions; norms; and the backward passes of all these.
//!
//! **The one decision.** Which additions make a number, and in which order, follows from the sizes of its row alone,
//! and a weight matrix has one form in memory, the panels that the vector unit of this machine reads. So a row's
//! result depends neither on the rows beside it nor on the threads, and there is no second copy of the weights.
//!
//! Slices in, slices out; the instruction set is chosen at run time. `out` may be numbers or memory that holds none yet
//! ([`Slot`], [`written`]): such kernels return the numbers that they wrote.
//!
//! ```
//! use zoo_kernels::{Activation, Epilogue, Packed};
//!
//! // Two outputs of three inputs, as PyTorch stores them.
//! let weight = Packed::new(&[1f32, 0.0, 0.0, 0.0, 1.0, 1.0], 2, 3);
//! let x = [1f32, 2.0, 3.0, -4.0, 5.0, 6.0];
//! let mut out = [0f32; 4];
//! weight.apply(&x, &Epilogue { bias: Some(&[0.5, 0.0]), ..Epilogue::default() }, &mut out);
//! assert_eq!(out, [1.5, 5.0, -3.5, 11.0]);
//! assert_eq!(Activation::Silu.of(0.0), 0.0);
//! ```

mod activation;
mod arithmetic;
mod attention;
mod block;
mod cast;
mod cross_entropy;
mod depthwise;
mod element;
mod epilogue;
mod feed_forward;
mod finish;
mod gated;
mod gradients;
mod isa;
mod kernel;
mod lanes;
#[cfg(all(test, target_arch = "x86_64"))]
#[path = "../tests/common/levels.rs"]
mod levels;
mod local_attention;
mod norm;
mod out;
mod packed;
mod packing;
mod pages;
mod panels;
mod patches;
pub mod peak;
mod prefetch;
mod product;
pub mod quant;
mod results;
mod rotary;
mod stored;
mod tile;
mod weights;

pub use activation::Activation;
pub use attention::{Attention, AttentionSize, Bias, Decomposed, Heads};
pub use cast::cast;
pub use cross_entropy::{Distribution, VocabularyPart};
pub use depthwise::{Depthwise, Maps};
pub use element::Element;
pub use epilogue::{Epilogue, Residual};
pub use feed_forward::FeedForward;
pub use gated::Gated;
pub use gradients::{AttentionGradient, LocalGradients, NormGradients, sum_per_key, sum_rows};
pub use isa::Isa;
pub use local_attention::{FineGrid, LocalAttention, add_per_key};
pub use norm::{Norm, NormKind};
pub use out::{Slot, written};
pub use packed::Packed;
pub use pages::zeros;
pub use patches::Patches;
pub use rotary::{Pairing, Rotary};
pub use stored::Stored;
