//! A vision transformer behind the encoder trait.

use candle_core::{DType, Tensor};
use half::bf16;
use zoo_core::weights::Params;
use zoo_core::{
    Cost, Embedded, EmbeddingInfo, EncoderDescriptor, FeatureMap, FeatureRequest, LayerInfo, PrefixToken,
    Resolution, Result,
};
use zoo_kernels::FeedForward;

use super::config::{ViTAct, ViTConfig};
use super::head;
use super::trunk::VisionTransformer;
use crate::attention::SelfAttention;
use crate::encoder::{Trunk, TrunkEncoder};
use crate::pos_embed::PosMode;

/// A vision transformer encoder; what differs between families is its [`ViTConfig`] and its
/// [`Layout`](zoo_core::weights::Layout)s.
pub type ViT = TrunkEncoder<VisionTransformer>;

impl Trunk for VisionTransformer {
    type Config = ViTConfig;

    fn load(params: &Params, config: &ViTConfig) -> Result<Self> {
        Self::read(params, config)
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        self.features(pixels, request)
    }

    fn embed(&self, pixels: &Tensor, beside: Option<&FeatureRequest>) -> Result<Embedded> {
        self.vectors(pixels, beside)
    }

    fn embedding(config: &ViTConfig) -> Option<EmbeddingInfo> {
        head::info(config)
    }

    fn descriptor(config: &ViTConfig, id: &str, parameters: u64) -> EncoderDescriptor {
        let layer = LayerInfo { channels: config.embed_dim, stride: config.patch_size };
        let class = config.style.class_token.then_some(PrefixToken::Cls);
        EncoderDescriptor {
            id: id.to_owned(),
            layers: vec![layer; config.depth],
            prefix: class
                .into_iter()
                .chain(std::iter::repeat_n(PrefixToken::Register, config.style.registers))
                .collect(),
            final_norm: config.style.final_norm,
            native: config.image_size,
            resolution: match config.style.pos_mode {
                PosMode::Native if config.style.positions => Resolution::Fixed,
                _ => Resolution::AtLeast(config.patch_size),
            },
            parameters,
            vjp: true,
            options: Vec::new(),
        }
    }

    /// Patch embedding and all blocks. A matrix product of `m × k` by `k × n` counts `m k n`; norms, biases and
    /// activations are not counted. Memory is that of the CPU's kernels.
    fn cost(config: &ViTConfig, dtype: DType, batch: usize, height: usize, width: usize) -> Cost {
        let c = config;
        let patches = (height / c.patch_size) * (width / c.patch_size);
        let tokens = patches + c.prefix_tokens();
        let gated = c.style.act == ViTAct::Swiglu;
        let embed = patches * 3 * c.patch_size * c.patch_size * c.embed_dim;
        let attention_macs = tokens * 4 * c.embed_dim * c.embed_dim + 2 * tokens * tokens * c.embed_dim;
        let mlp_macs = tokens * c.embed_dim * c.mlp_dim * if gated { 3 } else { 2 };
        let macs = (batch * (embed + c.depth * (attention_macs + mlp_macs))) as u64;

        // Of attention: its input, q, k and v, what they make and the result. Of the network: both sums around the
        // branch and its inner values, which kernels make in turns and candle for all tokens.
        let size = dtype.size_in_bytes();
        let rows = batch * tokens;
        let held = SelfAttention::held(batch, c.num_heads, tokens, c.embed_dim, dtype);
        // Turned q and k are written anew, beside v.
        let turned =
            if c.style.rope.is_some() || c.style.qk_norm { 3 * rows * c.embed_dim * size } else { 0 };
        let attention = 6 * rows * c.embed_dim * size + turned + held;
        let inner = match dtype {
            DType::BF16 if c.style.mlp_norm => FeedForward::<bf16>::held_normed(rows, c.mlp_dim),
            DType::F32 if c.style.mlp_norm => FeedForward::<f32>::held_normed(rows, c.mlp_dim),
            DType::BF16 => FeedForward::<bf16>::held(rows, c.mlp_dim),
            DType::F32 => FeedForward::<f32>::held(rows, c.mlp_dim),
            _ => (if gated { 3 } else { 2 }) * rows * c.mlp_dim * size,
        };
        let mlp = 3 * rows * c.embed_dim * size + inner;
        Cost { macs, activation_bytes: attention.max(mlp) as u64 }
    }
}
