//! A model that is ready for questions.

use std::sync::atomic::AtomicBool;

use candle_core::Device;
use zoo_core::{Connector, ImageRefiner, LanguageModel, LayerHook, NoHook};
use zoo_language::generate::{Assembled, Beams, Control, Generated, Generator, Hypothesis, Options};
use zoo_language::template::{Conversation, Template};
use zoo_language::tokens::{NewlineAfterImage, Tokenized, Tokenizer};
use zoo_release::Release;

use super::once::Once;
use super::plan::MemoryPlan;
use super::sight::Sight;
use crate::HostError;
use crate::eyes::Eyes;
use crate::opening::Opening;

/// Encoders, connector, language model, tokenizer and template of one model. It keeps nothing between requests:
/// what was seen is a [`Sight`], what was said a [`Conversation`].
pub struct ModelSession {
    pub(super) release: Release,
    pub(super) plan: MemoryPlan,
    pub(super) template: &'static Template,
    pub(super) tokenizer: Tokenizer,
    pub(super) newline: NewlineAfterImage,
    /// Where prompts are cut, if they are.
    pub(super) cut: Option<usize>,
    pub(super) eyes: Eyes,
    pub(super) opening: Opening,
    /// Opened at once, or when it is first asked where memory is short.
    pub(super) model: Once<Box<dyn LanguageModel>>,
    pub(super) device: Device,
}

impl ModelSession {
    /// Name of the model.
    pub fn id(&self) -> &str {
        &self.release.name
    }

    /// What its folder says.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The memory that it was opened with.
    pub fn plan(&self) -> &MemoryPlan {
        &self.plan
    }

    /// Its conversation template.
    pub fn template(&self) -> &'static Template {
        self.template
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What happens to the first token after an image.
    pub fn newline(&self) -> NewlineAfterImage {
        self.newline
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether an encoder has weights from a seed and not from training.
    pub fn untrained(&self) -> bool {
        self.eyes.untrained()
    }

    /// Its connector; none for a language model on its own.
    pub fn connector(&self) -> Option<&dyn Connector> {
        self.eyes.connector()
    }

    /// Its language model, which is loaded now if memory was too short to do it before.
    ///
    /// # Errors
    /// Those of loading.
    pub fn llm(&self) -> Result<&dyn LanguageModel, HostError> {
        self.model.get_or_open(|| self.opening.llm()).map(Box::as_ref)
    }

    /// How it answers unless something else is asked for: greedily, at most 512 tokens, until the template's end mark
    /// or an end token of the generation configuration. (The reference's scripts, too, ignore `do_sample` there.)
    pub fn defaults(&self) -> Options {
        Options { stop_ids: self.release.eos.clone(), ..Options::of(self.template) }
    }

    /// Its encoders and its connector.
    pub fn eyes(&self) -> &Eyes {
        &self.eyes
    }

    /// Token ids of a conversation.
    ///
    /// # Errors
    /// [`HostError::Conversation`] for more than one image: no released model was trained with several;
    /// [`HostError::Language`].
    pub fn prompt(&self, conversation: &Conversation) -> Result<Tokenized, HostError> {
        let rendered = self.template.render(conversation)?;
        let images = rendered.images();
        if images > 1 {
            return Err(HostError::Conversation(format!(
                "{} knows one image per conversation, and this one has {images}; ask about each by itself",
                self.id()
            )));
        }
        Ok(self.tokenizer.encode(&rendered, self.newline)?)
    }

    /// Embeddings of a prompt with what was seen in the places of its images.
    ///
    /// # Errors
    /// [`HostError::Language`] when prompt and sight differ in the number of images; [`HostError::Conversation`] when
    /// [`super::ModelRequest::reference_length`] would cut through an image.
    pub fn assemble(&self, prompt: &Tokenized, sight: &Sight) -> Result<Assembled, HostError> {
        let mut assembled = Assembled::new(self.llm()?, &self.device, prompt, &sight.blocks)?;
        let length = assembled.embeddings.dim(1)?;
        if let Some(cut) = self.cut.filter(|cut| *cut < length) {
            if assembled.images.iter().any(|image| image.end() > cut) {
                return Err(HostError::Conversation(format!(
                    "the prompt takes {length} positions, and the reference's {cut} end inside its image"
                )));
            }
            assembled.embeddings = assembled.embeddings.narrow(1, 0, cut)?;
        }
        Ok(assembled)
    }

    /// The connector's looks inside the language model, where it has them and there is something to see.
    ///
    /// # Errors
    /// [`HostError::Core`] when `assembled` was not made from `sight`.
    pub fn hook<'a>(
        &'a self,
        sight: &'a Sight,
        assembled: &Assembled,
    ) -> Result<Option<ImageRefiner<'a>>, HostError> {
        match (self.connector(), &sight.fused) {
            (Some(connector), Some(fused)) if !connector.descriptor().refine_after.is_empty() => {
                Ok(Some(ImageRefiner::new(connector, fused, assembled.images.clone())?))
            }
            _ => Ok(None),
        }
    }

    /// Runs `read` with [`ModelSession::hook`], or with none.
    pub(super) fn hooked<R>(
        &self,
        sight: &Sight,
        assembled: &Assembled,
        read: impl FnOnce(&mut dyn LayerHook) -> Result<R, HostError>,
    ) -> Result<R, HostError> {
        match self.hook(sight, assembled)? {
            Some(mut refiner) => read(&mut refiner),
            None => read(&mut NoHook),
        }
    }

    /// Writes the answer to the open question of `conversation`.
    ///
    /// # Errors
    /// As [`ModelSession::prompt`] and [`ModelSession::assemble`]; what the language model says, a prompt that is too
    /// long among it.
    pub fn answer(
        &self,
        conversation: &Conversation,
        sight: &Sight,
        options: &Options,
        control: Control<'_>,
    ) -> Result<Generated, HostError> {
        let assembled = self.assemble(&self.prompt(conversation)?, sight)?;
        let generator = Generator::new(self.llm()?, &self.tokenizer);
        self.hooked(sight, &assembled, |hook| {
            Ok(generator.run(&assembled.embeddings, hook, options, control)?)
        })
    }

    /// The most probable answers to the open question of `conversation`, best first.
    ///
    /// # Errors
    /// As [`ModelSession::answer`]; [`HostError::Language`] for settings that beam search cannot have.
    pub fn search(
        &self,
        conversation: &Conversation,
        sight: &Sight,
        options: &Options,
        beams: &Beams,
        cancel: &AtomicBool,
    ) -> Result<Vec<Hypothesis>, HostError> {
        let assembled = self.assemble(&self.prompt(conversation)?, sight)?;
        let generator = Generator::new(self.llm()?, &self.tokenizer);
        self.hooked(sight, &assembled, |hook| {
            Ok(generator.beam_search(&assembled.embeddings, hook, options, beams, cancel)?)
        })
    }
}
