//! Several conversations that are answered together.

use std::sync::atomic::AtomicBool;

use candle_core::{DType, Tensor};
use zoo_core::{ImageRefiner, LayerHook};
use zoo_language::generate::{Assembled, Control, Finish, Generated, Generator, Options};
use zoo_language::template::Conversation;

use super::session::ModelSession;
use super::sight::Sight;
use crate::HostError;

/// A call of so few tokens is computed by the kernel for decoding, and differs by rounding from the same tokens among more.
const SHORT: usize = 4;

impl ModelSession {
    /// Answers to the open question of each conversation, each the one that [`ModelSession::answer`] gives to it by itself,
    /// bit by bit. Prompts are read and answers written as one batch where that is true of batches: on a CPU, in f32 and
    /// bf16, by language models that do not cap their scores. Elsewhere it is one after the other.
    ///
    /// The result has an answer, or an error, for each conversation.
    pub fn answer_each(
        &self,
        asked: &[(Conversation, Sight)],
        options: &Options,
        cancel: &AtomicBool,
    ) -> Vec<Result<Generated, HostError>> {
        let alone = |(conversation, sight): &(Conversation, Sight)| {
            let control = Control { cancel, piece: &mut |_| {} };
            self.answer(conversation, sight, options, control)
        };
        if asked.len() < 2 || self.caps() || !self.device.is_cpu() {
            return asked.iter().map(alone).collect();
        }
        let assembled: Vec<Option<Assembled>> = asked
            .iter()
            .map(|(conversation, sight)| self.assemble(&self.prompt(conversation).ok()?, sight).ok())
            .map(|assembled| assembled.filter(batched))
            .collect();
        // Whoever is not in it is answered alone, and says by itself what is wrong with it.
        let rows: Vec<(&Assembled, &Sight)> = assembled
            .iter()
            .zip(asked)
            .filter_map(|(assembled, (_, sight))| Some((assembled.as_ref()?, sight)))
            .collect();
        let Ok(together) = self.together(&rows, options, cancel) else {
            return asked.iter().map(alone).collect();
        };
        let mut together = together.into_iter();
        let one = |(asked, assembled): (_, &Option<Assembled>)| match assembled {
            Some(_) => together.next().map_or_else(|| alone(asked), Ok),
            None => alone(asked),
        };
        asked.iter().zip(&assembled).map(one).collect()
    }

    fn together(
        &self,
        rows: &[(&Assembled, &Sight)],
        options: &Options,
        cancel: &AtomicBool,
    ) -> Result<Vec<Generated>, HostError> {
        let hooks = rows.iter().map(|(assembled, sight)| self.hook(sight, assembled));
        let mut hook = Rows(hooks.collect::<Result<_, _>>()?);
        let prompts: Vec<Tensor> = rows.iter().map(|(assembled, _)| assembled.embeddings.clone()).collect();
        let generator = Generator::new(self.llm()?, self.tokenizer());
        match generator.run_batch(&prompts, &mut hook, options, cancel) {
            Err(error) if error.is_cancelled() => Ok(prompts.iter().map(|_| cancelled()).collect()),
            answered => Ok(answered?),
        }
    }

    /// Whether attention or logits are capped, which candle computes, and rows not independently of each other.
    fn caps(&self) -> bool {
        self.release.decoder.arch.iter().any(|(key, value)| key.ends_with("softcapping") && !value.is_null())
    }
}

/// Whether a prompt gives the same bits in a batch as alone.
fn batched(assembled: &Assembled) -> bool {
    let embeddings = &assembled.embeddings;
    matches!(embeddings.dtype(), DType::F32 | DType::BF16) && embeddings.dims()[1] > SHORT
}

fn cancelled() -> Generated {
    Generated { ids: Vec::new(), text: String::new(), finish: Finish::Cancelled }
}

/// A hook for each row of a batch, as if it were the only one.
struct Rows<'a>(Vec<Option<ImageRefiner<'a>>>);

impl LayerHook for Rows<'_> {
    fn after(&self) -> Vec<usize> {
        self.0.iter().flatten().next().map_or_else(Vec::new, LayerHook::after)
    }

    fn call(&mut self, step: usize, layer: usize, hidden: Tensor) -> zoo_core::Result<Tensor> {
        let row = |(row, hook): (usize, &mut Option<ImageRefiner<'_>>)| {
            let states = hidden.narrow(0, row, 1)?;
            match hook {
                Some(hook) => hook.call(step, layer, states),
                None => Ok(states),
            }
        };
        let rows = self.0.iter_mut().enumerate().map(row).collect::<zoo_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&rows, 0)?)
    }
}
