//! The narrow waist: what an encoder, a connector, a language model and a text tower are.
//!
//! Tensors are candle's. Shapes: `B` images, `N` patch tokens in row-major order of their grid, `C` channels,
//! `T` text or sequence positions, `H` width of the language model, `D` that of a vector. Few methods are required; the others have
//! defaults in terms of those and exist so that an implementation can do better. What an object cannot do is
//! written in its descriptor, and asking for it anyway is [`Error::Unsupported`], never a panic. What a caller wants
//! besides the result (to stop, to see how far it is, a seed) is the [`CallContext`](crate::CallContext) in whose scope
//! it asks; an implementation looks at it between two blocks ([`step`](crate::step)).

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{Tensor, Var};

use crate::descriptor::{
    ConnectorDescriptor, Cost, EmbeddingInfo, EncoderDescriptor, LlmDescriptor, TextDescriptor,
};
use crate::features::{Embedded, FeatureMap, FeatureRequest, Features, ImageBatch};
use crate::fusion::{Cells, ConnectorInputs, Fused, ImageBlock, LayerAttention};
use crate::llm::{Cache, LayerHook, cross_entropy};
use crate::options::CallOptions;
use crate::{Error, Result};

/// Looks at images: normalised pixels in, feature maps out. Inference is deterministic.
pub trait Encoder: Send + Sync {
    /// What this encoder is and can do.
    fn descriptor(&self) -> &EncoderDescriptor;

    /// Feature maps of `pixels` `[B, 3, H, W]` (normalised, on the encoder's device) at the requested layers,
    /// one per layer in the order of the request. Layer indices are timm's (`forward_intermediates`).
    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>>;

    /// [`Encoder::forward`] with options of the call. Whoever lists some in its descriptor implements this, and
    /// `forward` is it with their defaults; options that are not listed are refused.
    fn forward_with(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        options: &CallOptions,
    ) -> Result<Vec<FeatureMap>> {
        options.check_on(self.descriptor(), pixels)?;
        self.forward(pixels, request)
    }

    /// [`Encoder::forward_with`] the options of the batch, with each map bound to the images it came from.
    fn features(&self, batch: &ImageBatch, request: &FeatureRequest) -> Result<Vec<Features>> {
        let maps = self.forward_with(batch.pixels(), request, batch.options())?;
        maps.into_iter().map(|map| Features::new(map, batch.origins().to_vec())).collect()
    }

    /// The vector that [`Encoder::embed`] gives, where there is one.
    fn embedding(&self) -> Option<&EmbeddingInfo> {
        None
    }

    /// One vector for each image, as [`Encoder::embedding`] says and the reference makes it, and from the same
    /// pass the maps of `beside`. It is there where the encoder was opened with
    /// [`vectors`](crate::weights::Weights::vectors).
    fn embed(
        &self,
        pixels: &Tensor,
        beside: Option<&FeatureRequest>,
        options: &CallOptions,
    ) -> Result<Embedded> {
        let _ = (pixels, beside, options);
        Err(Error::unsupported(&self.descriptor().id, "one vector for each image"))
    }

    /// Multiply-accumulates and working memory of one call on `batch` images of `height × width` pixels.
    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost;

    /// The door to gradients, where the descriptor's `vjp` says that there is one.
    fn differentiable(&self) -> Option<&dyn Differentiable> {
        None
    }

    /// Its variables, where it was opened with some and no dynamic library stands between; gradients come from
    /// [`Differentiable::vjp`].
    fn trainable(&self) -> Option<&dyn Trainable> {
        None
    }
}

/// Whatever is learnt, under the keys of the published checkpoint. Graphs of connectors and language models reach the
/// variables; whoever trains reads their gradients and replaces their values, and need not know what they belong to.
pub trait Trainable: Send + Sync {
    /// The variables, by published key: those that [`crate::weights::Weights::train`] named.
    fn variables(&self) -> &BTreeMap<String, Var>;
    /// Replaces values in bulk. Shapes and dtypes must stay; where one does not, nothing is replaced.
    fn replace(&self, values: &BTreeMap<String, Tensor>) -> Result<()>;
    /// A view of the variables whose keys `wanted` is true of.
    fn group(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<(&str, &Var)> {
        self.variables().iter().map(|(key, var)| (key.as_str(), var)).filter(|(key, _)| wanted(key)).collect()
    }
}

/// An encoder that can be trained through: its gradient graph never leaves it, products with it do.
pub trait Differentiable: Send + Sync {
    /// Names of the trainable parameters, as in the public checkpoint layout.
    fn parameter_names(&self) -> Vec<String>;
    /// Current value of a parameter.
    fn parameter(&self, name: &str) -> Result<Tensor>;
    /// Replaces a parameter; shape and dtype must stay.
    fn set_parameter(&self, name: &str, value: &Tensor) -> Result<()>;
    /// Vector-Jacobian product: gradients of `Σ ⟨map_i, cotangent_i⟩` with respect to the pixels and to the
    /// named parameters (in that order). `cotangents[i]` has the shape of the i-th requested map's tokens.
    fn vjp(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        cotangents: &[Tensor],
        parameters: &[String],
    ) -> Result<(Tensor, Vec<Tensor>)>;
}

/// Turns the feature maps of an ensemble into tokens of the language model's width. Plain candle code, so that
/// it can be trained with candle's own backward pass.
pub trait Connector: Send + Sync {
    /// What this connector expects and gives.
    fn descriptor(&self) -> &ConnectorDescriptor;

    /// Fuses one feature tensor per encoder, in ensemble order, into `[B, grid, H]` tokens.
    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused>;

    /// Its variables, as for [`Encoder::trainable`].
    fn trainable(&self) -> Option<&dyn Trainable> {
        None
    }

    /// The sequence block of image `row`: padding cut away and row ends marked, where the connector does so.
    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        ImageBlock::plain(fused, row)
    }

    /// In-LLM aggregation: hidden states of the cells of one image after the `step`-th hooked decoder layer,
    /// `[h·w, H]` in, the same shape out (residual included). Cambrian-1, section 3 of arXiv 2406.16860.
    fn refine(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Tensor> {
        let _ = (step, cells, fused);
        Err(Error::unsupported(&self.descriptor().id, "aggregation inside the language model"))
    }

    /// Where each layer looks while [`Connector::forward`] fuses these inputs, layer by layer of each group.
    fn attention(&self, inputs: &ConnectorInputs) -> Result<Vec<LayerAttention>> {
        let _ = inputs;
        Err(Error::unsupported(&self.descriptor().id, "telling where its layers look"))
    }

    /// Where [`Connector::refine`] looks: the share of attention of each encoder, f32 `[h·w]`, summing to 1 over
    /// encoders.
    fn refine_attention(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Vec<Tensor>> {
        let _ = (step, cells, fused);
        Err(Error::unsupported(&self.descriptor().id, "telling where its layers look"))
    }
}

/// Reads texts as the image tower of its model looks at images: what belongs together has vectors that point the same
/// way. Texts are tokens by then; tokenizers are the host's.
pub trait TextTower: Send + Sync {
    /// Sizes, and how a vector is compared with that of an image.
    fn descriptor(&self) -> &TextDescriptor;
    /// Vectors `[B, D]` of token ids `[B, T]` (u32), rows filled up as the descriptor and the tokenizer say; not
    /// normalised.
    fn embed(&self, ids: &Tensor) -> Result<Tensor>;
}

/// A decoder-only language model cut into pieces that a host can stop between.
pub trait LanguageModel: Send + Sync {
    /// Sizes and abilities.
    fn descriptor(&self) -> &LlmDescriptor;
    /// Embeddings `[B, T, H]` of token ids `[B, T]` (u32).
    fn embed(&self, ids: &Tensor) -> Result<Tensor>;
    /// An empty KV cache for `batch` sequences.
    fn cache(&self, batch: usize) -> Result<Cache>;
    /// Decoder layers `range` on hidden states `[B, T, H]` at `positions` `[B, T]` (u32); appends to the cache. A
    /// position that was used before is used anew: its token is replaced, and those after it are not seen.
    fn layers(
        &self,
        range: Range<usize>,
        hidden: &Tensor,
        positions: &Tensor,
        cache: &mut Cache,
    ) -> Result<Tensor>;
    /// Final norm and head: f32 logits `[B, T, V]` of hidden states `[B, T, H]`.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor>;

    /// Mean cross-entropy, in nats, of `targets` (u32, `[N]`) as what follows the `N` hidden states `[B, T, H]`, with
    /// `B · T = N`; a scalar in f32. A model may know a way that does not make the logits of all of them.
    fn loss(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        cross_entropy(&self.logits(hidden)?.flatten_to(1)?, targets)
    }

    /// A KV cache for one pass over `batch` rows of sequences that stand one behind the other, as training reads them:
    /// where positions go back to 0 a sequence begins, and sees nothing of those before it.
    fn packed(&self, batch: usize) -> Result<Cache> {
        let _ = batch;
        Err(Error::unsupported(&self.descriptor().id, "several sequences in one row"))
    }

    /// Its variables, as for [`Encoder::trainable`].
    fn trainable(&self) -> Option<&dyn Trainable> {
        None
    }

    /// All layers over a prompt, stopping after each layer that `hook` names so that it may replace the hidden
    /// states. The keys and values of a hooked layer come from its input, hence from before the replacement.
    fn prefill(
        &self,
        embeddings: &Tensor,
        positions: &Tensor,
        cache: &mut Cache,
        hook: &mut dyn LayerHook,
    ) -> Result<Tensor> {
        let depth = self.descriptor().layers;
        let (mut hidden, mut start) = (embeddings.clone(), 0);
        for (step, layer) in hook.after().into_iter().filter(|&l| l < depth).enumerate() {
            hidden = self.layers(start..layer + 1, &hidden, positions, cache)?;
            hidden = hook.call(step, layer, hidden)?;
            start = layer + 1;
        }
        if start < depth { self.layers(start..depth, &hidden, positions, cache) } else { Ok(hidden) }
    }

    /// Makes `cache` one of `rows.len()` sequences, the i-th a copy of its present row `rows[i]`; rows may be
    /// repeated, left out and reordered. Beam search does so after each step.
    fn select_rows(&self, cache: &mut Cache, rows: &[usize]) -> Result<()> {
        let _ = (cache, rows);
        Err(Error::unsupported(&self.descriptor().id, "reordering the rows of its KV cache"))
    }

    /// One decode step: logits `[B, 1, V]` of the ids `[B, 1]` at `positions`. Hooks do not run here.
    fn decode(&self, ids: &Tensor, positions: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let hidden = self.layers(0..self.descriptor().layers, &self.embed(ids)?, positions, cache)?;
        self.logits(&hidden)
    }
}
