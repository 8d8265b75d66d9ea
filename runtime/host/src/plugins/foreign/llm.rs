use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use zoo_core::sdk::wire::{CacheReply, LlmOp, to_json};
use zoo_core::{Cache, Error, LanguageModel, LlmDescriptor, Result};

use super::Foreign;

pub(in super::super) struct ForeignLlm {
    foreign: Arc<Foreign>,
    descriptor: LlmDescriptor,
}

/// A cache that lives in the plugin; freed there when this is dropped.
struct Handle {
    foreign: Arc<Foreign>,
    id: u64,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let free = || self.foreign.operate(&[], &to_json(&LlmOp::CacheDrop { cache: self.id })?);
        if let Err(e) = free() {
            tracing::warn!("a KV cache was not freed: {e}");
        }
    }
}

impl ForeignLlm {
    pub fn new(foreign: Foreign) -> Result<Self> {
        let descriptor = foreign.describe(LlmDescriptor::faults)?;
        Ok(Self { foreign: Arc::new(foreign), descriptor })
    }

    /// The id of a cache of this model.
    fn handle(&self, cache: &mut Cache) -> Result<u64> {
        let handle = cache.get_mut::<Handle>()?;
        if !Arc::ptr_eq(&handle.foreign, &self.foreign) {
            return Err(Error::invalid("this KV cache belongs to another language model"));
        }
        Ok(handle.id)
    }

    fn one(&self, op: &LlmOp, inputs: &[(&str, &Tensor)], result: &str, last: usize) -> Result<Tensor> {
        let (mut tensors, _) = self.foreign.operate(inputs, &to_json(op)?)?;
        let tensor = tensors.take(result).map_err(|e| self.foreign.broken(e))?;
        let lead = inputs.first().map_or(&[][..], |(_, t)| t.dims());
        let (batch, length) = (lead.first().copied().unwrap_or(0), lead.get(1).copied().unwrap_or(0));
        self.foreign.expect(result, &tensor, &[batch, length, last])?;
        Ok(tensor)
    }
}

impl LanguageModel for ForeignLlm {
    fn descriptor(&self) -> &LlmDescriptor {
        &self.descriptor
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.one(&LlmOp::Embed, &[("ids", ids)], "hidden", self.descriptor.hidden)
    }

    fn cache(&self, batch: usize) -> Result<Cache> {
        let (_, reply) = self.foreign.operate(&[], &to_json(&LlmOp::CacheNew { batch })?)?;
        let CacheReply { cache } = self.foreign.reply("a language model", &reply)?;
        Ok(Cache::new(Handle { foreign: self.foreign.clone(), id: cache }))
    }

    fn layers(
        &self,
        range: Range<usize>,
        hidden: &Tensor,
        positions: &Tensor,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let op = LlmOp::Layers { range, cache: self.handle(cache)? };
        self.one(&op, &[("hidden", hidden), ("positions", positions)], "hidden", self.descriptor.hidden)
    }

    fn select_rows(&self, cache: &mut Cache, rows: &[usize]) -> Result<()> {
        let op = LlmOp::CacheSelect { cache: self.handle(cache)?, rows: rows.to_vec() };
        self.foreign.operate(&[], &to_json(&op)?)?;
        Ok(())
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.one(&LlmOp::Logits, &[("hidden", hidden)], "logits", self.descriptor.vocab)
    }
}
