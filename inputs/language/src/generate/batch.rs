//! Several prompts at once.

use std::sync::atomic::AtomicBool;

use candle_core::{IndexOp, Tensor};
use zoo_core::LayerHook;

use super::writing::Writing;
use super::{Finish, Generated, Generator, Options};
use crate::Result;

impl Generator<'_> {
    /// Writes the answer to each of `prompts`, `[1, T_i, H]`, as [`Generator::run`] would to each by itself. They
    /// are read as one batch, shorter ones padded on the right, and every row counts its own positions. In
    /// [`zoo_core::PlacedImage::sequence`], a hook knows the prompts by their number here.
    ///
    /// # Errors
    /// As [`Generator::run`]; one prompt that is too long fails all.
    pub fn run_batch(
        &self,
        prompts: &[Tensor],
        hook: &mut dyn LayerHook,
        options: &Options,
        cancel: &AtomicBool,
    ) -> Result<Vec<Generated>> {
        let lengths = prompts.iter().map(|p| self.room(p, 1)).collect::<Result<Vec<_>>>()?;
        let Some(longest) = lengths.iter().copied().max() else { return Ok(Vec::new()) };
        let mut rows = Vec::with_capacity(prompts.len());
        for _ in prompts {
            let writing = Writing::new(self, options)?;
            let finish = writing.over(cancel);
            rows.push((writing, finish));
        }
        if rows.iter().any(|(_, finish)| finish.is_none()) {
            let limit = self.model.descriptor().max_positions;
            let device = prompts[0].device();
            let mut cache = self.model.cache(prompts.len())?;
            let padded =
                prompts.iter().zip(&lengths).map(|(p, length)| p.pad_with_zeros(1, 0, longest - length));
            let embeddings = Tensor::cat(&padded.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
            let positions = super::run::positions(0, longest, device)?.repeat((prompts.len(), 1))?;
            let hidden = self.model.prefill(&embeddings, &positions, &mut cache, hook)?;
            let last = lengths.iter().enumerate().map(|(row, length)| hidden.i((row, length - 1)));
            let last = Tensor::stack(&last.collect::<candle_core::Result<Vec<_>>>()?, 0)?.unsqueeze(1)?;
            let mut logits: Vec<Vec<f32>> = self.model.logits(&last)?.squeeze(1)?.to_vec2()?;
            loop {
                for (((writing, finish), logits), length) in rows.iter_mut().zip(&logits).zip(&lengths) {
                    if finish.is_none() {
                        *finish = writing.choose(logits, &mut |_| {})?.or_else(|| writing.over(cancel));
                    }
                    if finish.is_none() && length + writing.ids().len() > limit {
                        *finish = Some(Finish::ContextFull);
                    }
                }
                if rows.iter().all(|(_, finish)| finish.is_some()) {
                    break;
                }
                // A row that is done goes on reading some token at its first position, which nobody asks about.
                let next = rows.iter().zip(&lengths).map(|((writing, finish), length)| {
                    match (finish, writing.ids().last()) {
                        (None, Some(&id)) => (id, length + writing.ids().len() - 1),
                        _ => (0, 0),
                    }
                });
                logits = self.decode(&next.collect::<Vec<_>>(), device, &mut cache)?;
            }
        }
        let finish = |(writing, finish): (Writing<'_>, Option<Finish>)| {
            writing.finish(finish.unwrap_or(Finish::MaxTokens), &mut |_| {})
        };
        rows.into_iter().map(finish).collect()
    }
}
