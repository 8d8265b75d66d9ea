//! The numbers on the way from an image and a question to an answer, for comparing implementations.

use candle_core::{DType, Device, IndexOp, Tensor};
use zoo_language::template::Conversation;

use super::session::ModelSession;
use super::sight::Sight;
use crate::{HostError, finite};

/// Tokens that a trace writes.
const GENERATED: usize = 8;

/// What a model computed on the way to an answer, on the CPU.
#[derive(Debug, Clone)]
pub struct Trace {
    /// i64 `[T]`: token ids of the prompt, -200 for the image.
    pub input_ids: Tensor,
    /// f32 `[n, H]`: the image as it stands among the text, after the connector, padding cut away and newlines in
    /// place; `[0, H]` without an image.
    pub image_tokens: Tensor,
    /// f32 `[V]`: logits at the last position of the prompt.
    pub logits: Tensor,
    /// i64 `[8]`: the tokens of greedy search. It does not stop at end marks, so that there are always eight.
    pub generated: Tensor,
}

impl ModelSession {
    /// Traces the open question of `conversation`.
    ///
    /// # Errors
    /// As [`ModelSession::answer`].
    pub fn trace(&self, conversation: &Conversation, sight: &Sight) -> Result<Trace, HostError> {
        let prompt = self.prompt(conversation)?;
        let assembled = self.assemble(&prompt, sight)?;

        let (llm, device) = (self.llm()?, self.device());
        let length = assembled.embeddings.dim(1)?;
        let positions = Tensor::arange(0, u32_of(length), device)?.unsqueeze(0)?;
        let mut cache = llm.cache(1)?;
        let hidden = self.hooked(sight, &assembled, |hook| {
            Ok(llm.prefill(&assembled.embeddings, &positions, &mut cache, hook)?)
        })?;
        let mut logits = llm.logits(&hidden.narrow(1, length - 1, 1)?)?.i((0, 0))?;
        let first = logits.clone();
        let banned = self.tokenizer().unknown_ids(llm.descriptor().vocab);
        let mut generated = Vec::with_capacity(GENERATED);
        for position in length..length + GENERATED {
            let id = highest(&logits.to_vec1()?, &banned);
            generated.push(i64::from(id));
            if generated.len() < GENERATED {
                let ids = Tensor::new(&[[id]], device)?;
                let positions = Tensor::new(&[[u32_of(position)]], device)?;
                logits = llm.decode(&ids, &positions, &mut cache)?.i((0, 0))?;
            }
        }
        let width = llm.descriptor().hidden;
        let tokens: Vec<Tensor> = sight.blocks.iter().map(|block| block.tokens.clone()).collect();
        let image_tokens = if tokens.is_empty() {
            Tensor::zeros((0, width), DType::F32, &Device::Cpu)?
        } else {
            host(&Tensor::cat(&tokens, 0)?)?
        };
        let logits = host(&first)?;
        finite::check(|| format!("the image tokens of `{}`", self.id()), &image_tokens)?;
        finite::check_logits(|| format!("the logits of `{}`", self.id()), &logits)?;
        Ok(Trace {
            input_ids: Tensor::new(prompt.ids, &Device::Cpu)?,
            image_tokens,
            logits,
            generated: Tensor::new(generated, &Device::Cpu)?,
        })
    }
}

/// The id of the highest logit that may be written; the lowest of equal ones.
fn highest(logits: &[f32], banned: &[u32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &logit) in (0..).zip(logits) {
        if logit > best.1 && banned.binary_search(&id).is_err() {
            best = (id, logit);
        }
    }
    best.0
}

fn u32_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn host(tensor: &Tensor) -> Result<Tensor, HostError> {
    Ok(tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous()?)
}
