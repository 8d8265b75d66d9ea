//! A language model behind the table. Its caches stay here; the host holds their ids.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;

use super::served::{Call, Reply, Served};
use super::wire::{CacheReply, LlmOp, from_json, to_json};
use crate::{Cache, Error, LanguageModel, Result};

pub(super) struct ServedLlm {
    plugin: &'static str,
    model: Box<dyn LanguageModel>,
    device: Device,
    caches: Mutex<HashMap<u64, Arc<Mutex<Cache>>>>,
    next: AtomicU64,
}

impl ServedLlm {
    pub fn new(plugin: &'static str, model: Box<dyn LanguageModel>, device: Device) -> Self {
        Self { plugin, model, device, caches: Mutex::default(), next: AtomicU64::new(1) }
    }

    /// Runs `work` on the cache `id`.
    fn with_cache<T>(&self, id: u64, work: impl FnOnce(&mut Cache) -> Result<T>) -> Result<T> {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let cache = caches.get(&id).cloned();
        drop(caches);
        let cache = cache.ok_or_else(|| Error::invalid(format!("there is no KV cache {id}")))?;
        let mut cache = cache.lock().map_err(|_| {
            Error::invalid("this KV cache is unusable since a call on it panicked; make a new one")
        })?;
        work(&mut cache)
    }
}

impl Served for ServedLlm {
    fn plugin(&self) -> &'static str {
        self.plugin
    }

    fn id(&self) -> &str {
        &self.model.descriptor().id
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn describe(&self) -> Result<String> {
        to_json(self.model.descriptor())
    }

    fn call(&self, call: Call<'_>) -> Result<Reply> {
        let mut inputs = call.inputs;
        match from_json("operation of a language model", call.options)? {
            LlmOp::Embed => Ok(Reply::one("hidden", self.model.embed(&inputs.take("ids")?)?)),
            LlmOp::CacheNew { batch } => {
                let cache = Arc::new(Mutex::new(self.model.cache(batch)?));
                let id = self.next.fetch_add(1, Ordering::Relaxed);
                self.caches.lock().unwrap_or_else(PoisonError::into_inner).insert(id, cache);
                Ok(Reply { json: to_json(&CacheReply { cache: id })?, ..Reply::default() })
            }
            LlmOp::CacheDrop { cache } => {
                let dropped = self.caches.lock().unwrap_or_else(PoisonError::into_inner).remove(&cache);
                drop(dropped);
                Ok(Reply::default())
            }
            LlmOp::CacheSelect { cache, rows } => {
                self.with_cache(cache, |cache| self.model.select_rows(cache, &rows))?;
                Ok(Reply::default())
            }
            LlmOp::Layers { range, cache } => {
                let (hidden, positions) = (inputs.take("hidden")?, inputs.take("positions")?);
                let hidden =
                    self.with_cache(cache, |cache| self.model.layers(range, &hidden, &positions, cache))?;
                Ok(Reply::one("hidden", hidden))
            }
            LlmOp::Logits => Ok(Reply::one("logits", self.model.logits(&inputs.take("hidden")?)?)),
        }
    }
}
