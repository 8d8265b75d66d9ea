//! The decoder behind the language-model trait.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Init, Loaded, Weights};
use zoo_core::{Cache, Error, LanguageModel, LlmDescriptor, Result, Trainable};

use super::attention::capped;
use super::cache::{DecoderCache, LayerCache};
use super::config::DecoderConfig;
use super::gguf;
use super::layer::Layer;
use super::layout::layout;
use super::positions::Positions;
use super::rope::Rope;
use super::step::Step;
use crate::embedding;
use crate::linear::Linear;
use crate::loss;
use crate::norm::RmsNorm;
use crate::pool;
use crate::quantised::{self, RowOrder};
use crate::recompute;

/// How transformers initialises embeddings.
const EMBEDDING: Init = Init::Normal { mean: 0.0, std: 0.02 };

/// A decoder-only language model. See the [module](super) for what positions mean.
pub struct Decoder {
    /// Tells its caches from those of other models.
    serial: u64,
    config: DecoderConfig,
    descriptor: LlmDescriptor,
    dtype: DType,
    device: Device,
    /// The embedding table; `None` where it is the head's matrix, which is held once.
    embeddings: Option<Tensor>,
    layers: Vec<Arc<Layer>>,
    norm: RmsNorm,
    head: Linear,
    rope: Rope,
    loaded: Loaded,
}

impl Decoder {
    /// Opens the model `id` from weights in the layout of Hugging Face or of GGUF files.
    ///
    /// # Errors
    /// Those of [`Weights::params`], [`zoo_core::weights::Params::get`] and [`zoo_core::weights::Params::finish`].
    pub fn open(id: &str, config: DecoderConfig, weights: &Weights, device: &Device) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let c = &config;
        let tied = c.tie_word_embeddings;
        let layouts = [layout(c.style.packed, tied), gguf::layout(c.style.post_norms, tied)];
        let root = weights.params(&layouts, device)?;
        let params = root.pp("model");
        // A GGUF file may hold a tied table a second time, quantised.
        let own_head = root.layout() == gguf::NAME && root.pp("lm_head").contains("weight");
        let tied = tied && !own_head;
        let (table, size) = (params.pp("embed_tokens"), (c.vocab_size, c.hidden_size));
        let shared = if tied && !quantised::applies(&table, c.hidden_size, c.vocab_size)? {
            Some(match table.rows("weight", size, EMBEDDING) {
                Some(rows) => Linear::packed(&rows, table.dtype(), size, None),
                None => Linear::new(table.get("weight", size, EMBEDDING)?, None),
            })
        } else {
            None
        };
        let embeddings = if shared.is_none() { Some(table.get("weight", size, EMBEDDING)?) } else { None };
        let layers = (0..c.num_hidden_layers)
            .map(|i| Ok(Arc::new(Layer::load(&params.pp("layers").pp(i), c, i)?)))
            .collect::<Result<_>>()?;
        let norm = c.norm(&params.pp("norm"))?;
        let head = match (shared, &embeddings) {
            (Some(shared), _) => shared,
            (None, Some(embeddings)) if tied => quantised::load_tied(&table, embeddings)?,
            _ => quantised::load(&root.pp("lm_head"), c.hidden_size, c.vocab_size, false, RowOrder::Same)?,
        };
        drop(table);
        drop(params);
        let loaded = root.finish()?;
        let dtype = weights.dtype();
        let per_layer = 2 * c.key_channels() * dtype.size_in_bytes();
        let descriptor = LlmDescriptor {
            id: id.to_owned(),
            hidden: c.hidden_size,
            layers: c.num_hidden_layers,
            vocab: c.vocab_size,
            max_positions: c.max_position_embeddings,
            cache_bytes_per_position: (c.num_hidden_layers * per_layer) as u64,
            parameters: loaded.parameters,
            quantised: loaded.quantised.clone(),
        };
        Ok(Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            rope: Rope::new(&c.rope),
            config,
            descriptor,
            dtype,
            device: device.clone(),
            embeddings,
            layers,
            norm,
            head,
            loaded,
        })
    }

    /// Batch and length of hidden states.
    fn dims(&self, hidden: &Tensor) -> Result<(usize, usize)> {
        match *hidden.dims() {
            [batch, length, width] if width == self.config.hidden_size && batch > 0 && length > 0 => {
                Ok((batch, length))
            }
            ref dims => Err(self.fault(format!(
                "hidden states must be [B, T, {}] and not empty, got {dims:?}",
                self.config.hidden_size
            ))),
        }
    }

    /// A cache of this model.
    fn own<'a>(&self, cache: &'a mut Cache) -> Result<&'a mut DecoderCache> {
        let cache = cache.get_mut::<DecoderCache>()?;
        if cache.model != self.serial {
            return Err(Error::invalid("this KV cache belongs to another language model"));
        }
        Ok(cache)
    }

    fn empty(&self, batch: usize, packed: bool) -> Cache {
        let layers = (0..self.layers.len()).map(|_| LayerCache::new(batch)).collect();
        Cache::new(DecoderCache { model: self.serial, batch, packed, layers })
    }

    fn fault(&self, message: String) -> Error {
        Error::invalid(format!("{}: {message}", self.descriptor.id))
    }
}

impl LanguageModel for Decoder {
    fn descriptor(&self) -> &LlmDescriptor {
        &self.descriptor
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, length) = ids.dims2()?;
        let ids = ids.to_dtype(DType::U32)?.flatten_all()?;
        let vocab = self.config.vocab_size;
        // Checked here, as a GPU would read past the table instead of failing.
        if let Some(stray) = ids.to_vec1::<u32>()?.into_iter().find(|&id| id as usize >= vocab) {
            return Err(self.fault(format!("token id {stray} is not in the vocabulary of {vocab}")));
        }
        let ids = ids.to_device(&self.device)?;
        let rows = match &self.embeddings {
            Some(table) => embedding::rows(table, &ids)?,
            None => self.head.rows(&ids)?,
        };
        Ok(rows.reshape((batch, length, self.config.hidden_size))?)
    }

    fn cache(&self, batch: usize) -> Result<Cache> {
        Ok(self.empty(batch, false))
    }

    fn packed(&self, batch: usize) -> Result<Cache> {
        Ok(self.empty(batch, true))
    }

    fn trainable(&self) -> Option<&dyn Trainable> {
        self.loaded.trainable()
    }

    fn layers(
        &self,
        range: Range<usize>,
        hidden: &Tensor,
        positions: &Tensor,
        cache: &mut Cache,
    ) -> Result<Tensor> {
        let (batch, length) = self.dims(hidden)?;
        let layers = self.layers.get(range.clone()).ok_or_else(|| {
            self.fault(format!("layers {range:?} of a model of {} layers", self.layers.len()))
        })?;
        let cache = self.own(cache)?;
        if cache.batch != batch {
            return Err(self.fault(format!("{batch} rows with a KV cache for {}", cache.batch)));
        }
        let read = if cache.packed { Positions::read_packed } else { Positions::read };
        let positions = read(positions, batch, length, self.config.max_position_embeddings)?;
        let packed = cache.packed;
        let caches = cache.layers.get_mut(range.clone()).unwrap_or_default();
        let long = self.rope.long(positions.end()) || caches.iter().any(LayerCache::long);
        if long {
            caches.iter_mut().try_for_each(|cache| cache.lengthen(&self.rope))?;
        }
        let mut hidden = hidden.to_dtype(self.dtype)?;
        if range.start == 0 && self.config.style.scaled_input {
            // candle rounds the factor to the dtype of the tensor.
            hidden = (hidden * (self.config.hidden_size as f64).sqrt())?;
        }
        pool::within(&self.device, || {
            let step = Arc::new(Step::new(positions, &self.config, &self.rope, long, &self.device)?);
            for (done, (layer, cache)) in layers.iter().zip(caches).enumerate() {
                zoo_core::step(done, layers.len())?;
                hidden = if packed {
                    // Nobody reads the cache of a pass over packed rows again.
                    let (layer, step) = (layer.clone(), step.clone());
                    recompute::block(&[&hidden], move |x| {
                        layer.forward(&x[0], &step, &mut LayerCache::new(batch))
                    })?
                } else {
                    layer.forward(&hidden, &step, cache)?
                };
            }
            Ok(hidden)
        })
    }

    fn loss(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (batch, length) = self.dims(hidden)?;
        let cap = self.config.logit_cap;
        let loss = pool::within(&self.device, || {
            let normed = self.norm.forward(&hidden.to_dtype(self.dtype)?)?;
            let rows = normed.reshape((batch * length, self.config.hidden_size))?;
            loss::through_head(&self.head, &rows, targets, cap)
        })?;
        match loss {
            Some(loss) => Ok(loss),
            None => loss::cross_entropy(&self.logits(hidden)?.flatten_to(1)?, targets),
        }
    }

    fn select_rows(&self, cache: &mut Cache, rows: &[usize]) -> Result<()> {
        let cache = self.own(cache)?;
        if let Some(stray) = rows.iter().find(|&&row| row >= cache.batch) {
            return Err(self.fault(format!("row {stray} of a KV cache for {}", cache.batch)));
        }
        cache.layers.iter_mut().try_for_each(|layer| layer.select(rows))?;
        cache.batch = rows.len();
        Ok(())
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.dims(hidden)?;
        pool::within(&self.device, || {
            let normed = self.norm.forward(&hidden.to_dtype(self.dtype)?)?;
            capped(self.head.forward(&normed)?.to_dtype(DType::F32)?, self.config.logit_cap)
        })
    }
}
