//! The loop: read the prompt, then one token after the other.

use std::sync::atomic::Ordering;

use candle_core::{IndexOp, Tensor};
use zoo_core::{Cache, LanguageModel, LayerHook};

use super::stop::StopFilter;
use super::text::TextStream;
use super::{Control, Finish, Generated, Options};
use crate::sampling::Sampler;
use crate::tokens::Tokenizer;
use crate::{Error, Result};

/// A language model and its tokenizer.
pub struct Generator<'a> {
    pub(super) model: &'a dyn LanguageModel,
    tokenizer: &'a Tokenizer,
    /// Rows of the head that stand for no token.
    pub(super) banned: Vec<u32>,
}

impl<'a> Generator<'a> {
    /// A generator that never writes an id unknown to `tokenizer`.
    pub fn new(model: &'a dyn LanguageModel, tokenizer: &'a Tokenizer) -> Self {
        let banned = tokenizer.unknown_ids(model.descriptor().vocab);
        Self { model, tokenizer, banned }
    }

    /// Writes the answer to a prompt of `embeddings` `[1, T, H]`. `hook` runs while the prompt is read and not
    /// afterwards.
    ///
    /// # Errors
    /// [`Error::ContextLimit`] when the prompt leaves no position, [`Error::Sampling`], and whatever the model
    /// or the hook say.
    pub fn run(
        &self,
        embeddings: &Tensor,
        hook: &mut dyn LayerHook,
        options: &Options,
        control: Control<'_>,
    ) -> Result<Generated> {
        let Control { cancel, piece: give } = control;
        let mut sampler = Sampler::new(options.sampling.clone(), self.banned.clone())?;
        let stop_ids: Vec<u32> = options
            .stop_strings
            .iter()
            .filter_map(|stop| self.tokenizer.id(stop))
            .chain(options.stop_ids.iter().copied())
            .collect();
        let mut stream = TextStream::new(self.tokenizer);
        let mut filter = StopFilter::new(&options.stop_strings);
        let (mut ids, mut text) = (Vec::new(), String::new());
        let mut give = |certain: &str| {
            if !certain.is_empty() {
                text.push_str(certain);
                give(certain);
            }
        };

        let limit = self.model.descriptor().max_positions;
        let length = self.room(embeddings, 1)?;
        let mut cache = self.model.cache(1)?;
        let finish = loop {
            if cancel.load(Ordering::Relaxed) {
                break Finish::Cancelled;
            }
            if ids.len() >= options.max_new_tokens {
                break Finish::MaxTokens;
            }
            let logits = match ids.last() {
                None => self.prefill(embeddings, &mut cache, hook, 1)?.concat(),
                Some(&id) => {
                    let position = length + ids.len() - 1;
                    if position >= limit {
                        break Finish::ContextFull;
                    }
                    self.decode(id, position, embeddings, &mut cache)?
                }
            };
            let id = sampler.next(&logits, &ids)?;
            ids.push(id);
            if stop_ids.contains(&id) {
                break Finish::StopId(id);
            }
            let (certain, stop) = filter.push(&stream.push(id)?);
            give(&certain);
            if let Some(stop) = stop {
                break Finish::StopString(stop);
            }
        };
        let finish = match finish {
            stopped @ Finish::StopString(_) => stopped,
            other => {
                let (certain, stop) = filter.push(&stream.finish()?);
                give(&certain);
                if stop.is_none() {
                    give(&filter.finish());
                }
                stop.map_or(other, Finish::StopString)
            }
        };
        Ok(Generated { ids, text, finish })
    }

    /// Length of the prompt, if there is room for it and `written` tokens. The last of them needs no position:
    /// nothing is asked about what follows it.
    pub(super) fn room(&self, embeddings: &Tensor, written: usize) -> Result<usize> {
        let (batch, length, _) = embeddings.dims3()?;
        if batch != 1 {
            return Err(zoo_core::Error::invalid(format!(
                "one prompt at a time; this is a batch of {batch}"
            ))
            .into());
        }
        let descriptor = self.model.descriptor();
        let needed = length + written.saturating_sub(1);
        if needed > descriptor.max_positions {
            let (model, limit) = (descriptor.id.clone(), descriptor.max_positions);
            return Err(Error::ContextLimit { model, needed, limit });
        }
        Ok(length)
    }

    /// Logits of the last `count` positions of a prompt.
    pub(super) fn prefill(
        &self,
        embeddings: &Tensor,
        cache: &mut Cache,
        hook: &mut dyn LayerHook,
        count: usize,
    ) -> Result<Vec<Vec<f32>>> {
        let length = embeddings.dim(1)?;
        let end = u32::try_from(length).unwrap_or(u32::MAX);
        let positions = Tensor::arange(0, end, embeddings.device())?.unsqueeze(0)?;
        let hidden = self.model.prefill(embeddings, &positions, cache, hook)?;
        let last = hidden.narrow(1, length - count, count)?;
        Ok(self.model.logits(&last)?.i(0)?.to_vec2()?)
    }

    fn decode(&self, id: u32, position: usize, like: &Tensor, cache: &mut Cache) -> Result<Vec<f32>> {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        let ids = Tensor::new(&[[id]], like.device())?;
        let positions = Tensor::new(&[[position]], like.device())?;
        Ok(self.model.decode(&ids, &positions, cache)?.flatten_all()?.to_vec1()?)
    }
}
