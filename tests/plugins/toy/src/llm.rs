//! A language model that counts: each layer adds the number of positions that its cache has seen so far.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use zoo_core::weights::Weights;
use zoo_core::{Cache, Error, LanguageModel, LlmDescriptor, Result, Spec, step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arch {
    hidden: usize,
    layers: usize,
    vocab: usize,
}

struct Counter {
    descriptor: LlmDescriptor,
    table: Tensor,
}

/// Positions seen, per layer.
struct Seen(Vec<usize>);

pub fn load(spec: &Spec, _: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>> {
    let Arch { hidden, layers, vocab } = spec.arch()?;
    let table = Tensor::arange(0_f32, (vocab * hidden) as f32, device)?.reshape((vocab, hidden))?.sin()?;
    Ok(Box::new(Counter {
        descriptor: LlmDescriptor {
            id: spec.id.clone(),
            hidden,
            layers,
            vocab,
            max_positions: 64,
            cache_bytes_per_position: 0,
            parameters: 0,
            quantised: Default::default(),
        },
        table,
    }))
}

impl LanguageModel for Counter {
    fn descriptor(&self) -> &LlmDescriptor {
        &self.descriptor
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (b, t) = ids.dims2()?;
        Ok(self.table.index_select(&ids.flatten_all()?, 0)?.reshape((b, t, self.descriptor.hidden))?)
    }

    fn cache(&self, _batch: usize) -> Result<Cache> {
        Ok(Cache::new(Seen(vec![0; self.descriptor.layers])))
    }

    fn layers(
        &self,
        range: Range<usize>,
        hidden: &Tensor,
        positions: &Tensor,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let seen = cache.get_mut::<Seen>()?;
        let length = positions.dim(1)?;
        let mut hidden = hidden.clone();
        let (first, total) = (range.start, range.len());
        for layer in range {
            step(layer - first, total)?;
            let count = seen.0.get_mut(layer).ok_or_else(|| Error::invalid(format!("no layer {layer}")))?;
            *count += length;
            hidden = (hidden + *count as f64)?;
        }
        Ok(hidden)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(hidden.to_dtype(DType::F32)?.broadcast_matmul(&self.table.t()?)?)
    }
}
