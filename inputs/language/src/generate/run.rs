//! The loop: read the prompt, then one token after the other.

use candle_core::{Device, IndexOp, Tensor};
use zoo_core::{Cache, LanguageModel, LayerHook};

use super::writing::Writing;
use super::{Control, Finish, Generated, Options};
use crate::tokens::Tokenizer;
use crate::{Error, Result};

/// A language model and its tokenizer.
pub struct Generator<'a> {
    pub(super) model: &'a dyn LanguageModel,
    pub(super) tokenizer: &'a Tokenizer,
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
        let writing = Writing::new(self, options)?;
        let length = self.room(embeddings, 1)?;
        if let Some(finish) = writing.over(control.cancel) {
            return writing.finish(finish, control.piece);
        }
        let mut cache = self.model.cache(1)?;
        let logits = match self.prefill(embeddings, &mut cache, hook, 1) {
            Err(error) if error.is_cancelled() => return writing.finish(Finish::Cancelled, control.piece),
            read => read?.concat(),
        };
        self.write(
            writing,
            logits,
            &mut Prefilled { length, device: embeddings.device(), cache: &mut cache },
            control,
        )
    }

    /// Goes on from the logits after a prompt until the answer ends. Every token but the last is then in the cache.
    pub(super) fn write(
        &self,
        mut writing: Writing<'_>,
        mut logits: Vec<f32>,
        place: &mut Prefilled<'_>,
        control: Control<'_>,
    ) -> Result<Generated> {
        let Control { cancel, piece } = control;
        let limit = self.model.descriptor().max_positions;
        let finish = loop {
            if let Some(finish) = writing.choose(&logits, piece)? {
                break finish;
            }
            if let Some(finish) = writing.over(cancel) {
                break finish;
            }
            let position = place.length + writing.ids().len() - 1;
            if position >= limit {
                break Finish::ContextFull;
            }
            let last = writing.ids().last().copied().unwrap_or_default();
            match self.decode(&[(last, position)], place.device, place.cache) {
                Err(error) if error.is_cancelled() => break Finish::Cancelled,
                rows => logits = rows?.into_iter().next().unwrap_or_default(),
            }
        };
        writing.finish(finish, piece)
    }

    /// Ids that end an answer: those of stop strings that are tokens, and the stop ids.
    pub(super) fn stop_ids(&self, options: &Options) -> Vec<u32> {
        let tokens = options.stop_strings.iter().filter_map(|stop| self.tokenizer.id(stop));
        tokens.chain(options.stop_ids.iter().copied()).collect()
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
        self.fits(length + written.saturating_sub(1))?;
        Ok(length)
    }

    /// Whether the model has so many positions.
    pub(super) fn fits(&self, needed: usize) -> Result<()> {
        let descriptor = self.model.descriptor();
        if needed > descriptor.max_positions {
            let (model, limit) = (descriptor.id.clone(), descriptor.max_positions);
            return Err(Error::ContextLimit { model, needed, limit });
        }
        Ok(())
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
        let hidden =
            self.model.prefill(embeddings, &positions(0, length, embeddings.device())?, cache, hook)?;
        let last = hidden.narrow(1, length - count, count)?;
        Ok(self.model.logits(&last)?.i(0)?.to_vec2()?)
    }

    /// Logits after one token, at its position, of each row.
    pub(super) fn decode(
        &self,
        rows: &[(u32, usize)],
        device: &Device,
        cache: &mut Cache,
    ) -> Result<Vec<Vec<f32>>> {
        let ids: Vec<u32> = rows.iter().map(|(id, _)| *id).collect();
        let positions: Vec<u32> = rows.iter().map(|(_, at)| u32::try_from(*at).unwrap_or(u32::MAX)).collect();
        let column = |values: Vec<u32>| Tensor::new(values, device)?.unsqueeze(1);
        Ok(self.model.decode(&column(ids)?, &column(positions)?, cache)?.squeeze(1)?.to_vec2()?)
    }
}

/// Where an answer is written.
pub(super) struct Prefilled<'a> {
    /// Positions of the prompt.
    pub length: usize,
    pub device: &'a Device,
    /// With the prompt in it.
    pub cache: &'a mut Cache,
}

/// Positions `[1, length]` from `start` on.
pub(super) fn positions(start: usize, length: usize, device: &Device) -> Result<Tensor> {
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(Tensor::arange(number(start), number(start + length), device)?.unsqueeze(0)?)
}
