//! What tells one family of decoders from another.

use crate::activation::Activation;

/// What the members of a family share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderStyle {
    /// Whether checkpoints hold q, k, v in one matrix `qkv_proj`, and gate and input of the feed-forward network in
    /// one `gate_up_proj`, in this order along the rows.
    pub packed: bool,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether the output of the attention has one.
    pub output_bias: bool,
    /// Whether the head is the embedding table unless the row says otherwise.
    pub tied: bool,
    /// After the gate of the feed-forward network, unless the row names another.
    pub activation: Activation,
    /// Whether an RMSNorm multiplies by `1 + weight`, so that checkpoints hold the difference from 1.
    pub unit_offset: bool,
    /// Whether what enters layer 0 is multiplied by `sqrt(hidden_size)`, rounded to the dtype of the weights.
    pub scaled_input: bool,
    /// Whether attention and feed-forward network are also normed behind, before they are added.
    pub post_norms: bool,
    /// Which layers a `sliding_window` is for, where no `layer_types` list them.
    pub windows: Windows,
}

/// The layers with a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// All.
    All,
    /// Those from `max_window_layers` on, and only if the row has `use_sliding_window = true`.
    Last,
    /// 0, 2, 4, …
    Even,
}

impl DecoderStyle {
    /// Llama's: matrices apart, no biases, a head of its own, SiLU, a window for all layers if there is one.
    pub const LLAMA: Self = Self {
        packed: false,
        qkv_bias: false,
        output_bias: false,
        tied: false,
        activation: Activation::Silu,
        unit_offset: false,
        scaled_input: false,
        post_norms: false,
        windows: Windows::All,
    };
}
