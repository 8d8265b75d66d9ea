//! What a language model makes of a prompt: hidden states between its layers, logits, and the tokens that follow.

use candle_core::{D, DType, Tensor};
use zoo_core::{Error, LanguageModel, LayerHook, Result};

use super::case::LlmOutput;

/// A model that has read its prompt.
pub(super) struct Trace<'a> {
    model: &'a dyn LanguageModel,
    ids: Tensor,
    positions: Tensor,
    /// After each layer.
    hidden: Vec<Tensor>,
}

/// Keeps what every layer gave.
struct Keep(Vec<Tensor>, usize);

impl LayerHook for Keep {
    fn after(&self) -> Vec<usize> {
        (0..self.1).collect()
    }

    fn call(&mut self, _: usize, _: usize, hidden: Tensor) -> Result<Tensor> {
        self.0.push(hidden.clone());
        Ok(hidden)
    }
}

impl<'a> Trace<'a> {
    /// Reads `ids` `[B, T]`, stopping after every layer.
    pub fn new(model: &'a dyn LanguageModel, ids: &Tensor) -> Result<Self> {
        let (batch, length) = ids.dims2()?;
        let ids = ids.to_dtype(DType::U32)?;
        let positions = Tensor::arange(0, length as u32, ids.device())?.repeat((batch, 1))?;
        let mut keep = Keep(Vec::new(), model.descriptor().layers);
        model.prefill(&model.embed(&ids)?, &positions, &mut model.cache(batch)?, &mut keep)?;
        Ok(Self { model, ids, positions, hidden: keep.0 })
    }

    /// One output; `count` is how many tokens to decode, where that is what is wanted.
    pub fn output(&mut self, what: &LlmOutput, count: usize) -> Result<Tensor> {
        match what {
            LlmOutput::Hidden { layer } => {
                let missing = || Error::invalid(format!("there is no layer {layer}"));
                self.hidden.get(*layer).cloned().ok_or_else(missing)
            }
            LlmOutput::Logits {} => {
                let last = self.hidden.last().ok_or_else(|| Error::invalid("a model without layers"))?;
                self.model.logits(last)
            }
            LlmOutput::Greedy {} => self.greedy(count),
        }
    }

    /// Reads the prompt in one piece and decodes.
    fn greedy(&self, count: usize) -> Result<Tensor> {
        let (batch, length) = self.ids.dims2()?;
        let mut cache = self.model.cache(batch)?;
        let embedded = self.model.embed(&self.ids)?;
        let hidden = self.model.prefill(&embedded, &self.positions, &mut cache, &mut zoo_core::NoHook)?;
        let mut logits = self.model.logits(&hidden.narrow(1, length - 1, 1)?)?;
        let mut tokens = Vec::with_capacity(count);
        for position in length.. {
            let next = logits.argmax(D::Minus1)?;
            tokens.push(next.clone());
            if tokens.len() >= count {
                break;
            }
            let at = Tensor::full(position as u32, (batch, 1), next.device())?;
            logits = self.model.decode(&next, &at, &mut cache)?;
        }
        Ok(Tensor::cat(&tokens, 1)?.to_dtype(DType::I64)?)
    }
}
