//! How probable given answers are.

use candle_core::Tensor;
use zoo_core::LayerHook;

use super::Generator;
use crate::sampling::log_probabilities;
use crate::{Error, Result};

impl Generator<'_> {
    /// Natural log-likelihood of each option, token ids, as the continuation of the prompt `[1, T, H]`: the sum
    /// over its tokens. Divide by the number of tokens to compare options of different lengths fairly. Ids that
    /// stand for no token take no share.
    ///
    /// The prompt is read once for all options of one token and once for each longer one.
    ///
    /// # Errors
    /// [`Error::Sampling`] when an option is empty or holds an id that cannot be generated,
    /// [`Error::ContextLimit`], and whatever the model or the hook say.
    pub fn log_likelihoods(
        &self,
        embeddings: &Tensor,
        hook: &mut dyn LayerHook,
        options: &[Vec<u32>],
    ) -> Result<Vec<f64>> {
        let mut first: Option<Vec<Vec<f32>>> = None;
        let mut sums = Vec::with_capacity(options.len());
        for (index, option) in options.iter().enumerate() {
            self.room(embeddings, option.len())?;
            let rows = match option.split_last() {
                None => return Err(Error::Sampling(format!("option {index} has no tokens"))),
                Some((_, [])) => match first.take() {
                    Some(rows) => rows,
                    None => self.prefill(embeddings, &mut self.model.cache(1)?, hook, 1)?,
                },
                Some((_, known)) => {
                    let known = self.model.embed(&Tensor::new(known, embeddings.device())?.unsqueeze(0)?)?;
                    let all = Tensor::cat(&[embeddings, &known.to_dtype(embeddings.dtype())?], 1)?;
                    self.prefill(&all, &mut self.model.cache(1)?, hook, option.len())?
                }
            };
            let mut sum = 0.0;
            for (logits, id) in rows.iter().zip(option) {
                sum += log_probabilities(logits, &self.banned, &[*id])?.iter().sum::<f64>();
            }
            sums.push(sum);
            if option.len() == 1 {
                first = Some(rows);
            }
        }
        Ok(sums)
    }
}
