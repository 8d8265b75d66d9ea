//! The text tower that belongs to an encoder: labels and questions as vectors beside those of images.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use zoo_core::{TextDescriptor, TextTower};
use zoo_hub::Progress;
use zoo_language::tokens::{Cleaning, TextRules, TextTokenizer};
use zoo_registry::{Clean, EncoderRow, Kind, TextRow};

use crate::opening::Opening;
use crate::plugins::ObjectKind;
use crate::weights::{WeightedRow, WeightsStatus};
use crate::{EncoderRequest, HostError, Zoo, finite};

/// A text tower with its tokenizer.
pub struct TextSession {
    tower: Box<dyn TextTower>,
    tokenizer: TextTokenizer,
    device: Device,
    untrained: bool,
}

impl TextSession {
    /// What the plugin says of it.
    pub fn descriptor(&self) -> &TextDescriptor {
        self.tower.descriptor()
    }

    /// Whether its weights come from a seed and not from training.
    pub fn untrained(&self) -> bool {
        self.untrained
    }

    /// Token ids of texts, rows of one length.
    ///
    /// # Errors
    /// [`HostError::Language`].
    pub fn ids(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Vec<u32>>, HostError> {
        Ok(self.tokenizer.batch(texts)?)
    }

    /// Vectors of length 1, one for each text: f32 `[B, D]` on the CPU.
    ///
    /// # Errors
    /// [`HostError::Language`] and [`HostError::Core`]; [`HostError::NotFinite`] for vectors that hold NaN or infinity.
    pub fn embed(&self, texts: &[impl AsRef<str>]) -> Result<Tensor, HostError> {
        let ids = self.ids(texts)?;
        let length = ids.first().map_or(0, Vec::len);
        let ids: Vec<u32> = ids.into_iter().flatten().collect();
        let ids = Tensor::from_vec(ids, (texts.len(), length), &self.device)?;
        let vectors = self.tower.embed(&ids)?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        finite::check(|| format!("the vectors of the text tower of `{}`", self.descriptor().id), &vectors)?;
        to_unit(&vectors)
    }

    /// One vector of length 1 for each label: the mean of those of the sentences that `templates` make of it, `{}` standing
    /// for the label. Without templates the label is the sentence.
    ///
    /// # Errors
    /// As [`TextSession::embed`].
    pub fn labels(&self, labels: &[String], templates: &[String]) -> Result<Tensor, HostError> {
        if templates.is_empty() {
            return self.embed(labels);
        }
        let sentences: Vec<String> = labels
            .iter()
            .flat_map(|label| templates.iter().map(move |template| template.replace("{}", label)))
            .collect();
        let vectors = self.embed(&sentences)?;
        let width = vectors.dim(1)?;
        to_unit(&vectors.reshape((labels.len(), templates.len(), width))?.mean(1)?)
    }
}

/// Vectors `[B, D]` divided by their lengths.
///
/// # Errors
/// [`HostError::Core`] when memory runs out.
pub fn to_unit(vectors: &Tensor) -> Result<Tensor, HostError> {
    let lengths = vectors.sqr()?.sum_keepdim(1)?.sqrt()?.clamp(f32::MIN_POSITIVE, f32::MAX)?;
    Ok(vectors.broadcast_div(&lengths)?)
}

/// How well texts fit an image, given the cosines of their vectors with its own: each by itself where the model was trained
/// so (a sigmoid), else shares of 1 (a softmax).
pub fn probabilities(said: &TextDescriptor, cosines: &[f64]) -> Vec<f64> {
    let logits = cosines.iter().map(|cosine| said.scale * cosine + said.bias.unwrap_or(0.0));
    if said.bias.is_some() {
        return logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    }
    let logits: Vec<f64> = logits.collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

impl Zoo {
    /// Opens the text tower of an encoder's model.
    ///
    /// # Errors
    /// [`HostError::Mismatch`] for an encoder without one; else as [`Zoo::encoder`].
    pub fn text(&self, request: &EncoderRequest) -> Result<TextSession, HostError> {
        let row = self.registry().select(&request.id)?.row;
        let Some(text) = &row.text else {
            return Err(HostError::Mismatch(format!(
                "`{}` has no text tower, so it cannot compare images with texts; `zoo info ID` tells which encoder has \
                 one",
                row.id
            )));
        };
        let opening: Opening = self.opening(&self.text_part(row, text), request.weights.clone())?;
        let path = self.tokenizer_file(row, text)?;
        let tower = opening.text()?;
        let rules = TextRules {
            context: tower.descriptor().context,
            pad: text.pad.clone(),
            end: text.end.clone(),
            clean: match text.clean {
                Clean::Nothing => Cleaning::Nothing,
                Clean::Lower => Cleaning::Lower,
                Clean::Canonical => Cleaning::Canonical,
            },
        };
        if tower.descriptor().filled && rules.pad.is_none() {
            return Err(HostError::Mismatch(format!(
                "{}: its text tower wants every text filled up, and `text.pad` of the row names no token for that",
                row.id
            )));
        }
        let tokenizer = TextTokenizer::from_file(path, rules)?;
        Ok(TextSession { tower, tokenizer, device: self.device().clone(), untrained: opening.untrained })
    }

    /// Brings the tokenizer of an encoder's text tower here, and the shards that the tower stands in.
    pub(crate) fn fetch_text(
        &self,
        row: &EncoderRow,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>, HostError> {
        let Some(text) = &row.text else { return Ok(Vec::new()) };
        let mut files = self.fetch(&self.text_part(row, text), progress)?;
        files.extend(self.fetch(&self.tokenizer_part(row, text), progress)?);
        Ok(files)
    }

    fn text_part<'a>(&self, row: &'a EncoderRow, text: &TextRow) -> WeightedRow<'a> {
        let spec = crate::judge::text_spec(row, text, self.precision());
        WeightedRow {
            row: Kind::Encoder,
            object: ObjectKind::Text,
            plugin: &row.plugin,
            spec,
            weights: Some(&row.weights),
        }
    }

    fn tokenizer_part<'a>(&self, row: &'a EncoderRow, text: &'a TextRow) -> WeightedRow<'a> {
        WeightedRow { weights: Some(&text.tokenizer), ..self.text_part(row, text) }
    }

    fn tokenizer_file(&self, row: &EncoderRow, text: &TextRow) -> Result<PathBuf, HostError> {
        let status = self.status(&self.tokenizer_part(row, text));
        let missing =
            |why: String| Err(HostError::WeightsMissing(format!("the tokenizer of `{}` {why}", row.id)));
        match status {
            WeightsStatus::Local(path) => Ok(path),
            WeightsStatus::Cached(paths) => match paths.into_iter().next() {
                Some(path) => Ok(path),
                None => missing("has no file".into()),
            },
            WeightsStatus::Missing { repo, files } => missing(format!(
                "is not on this machine: {} of {repo}; run `zoo pull {}`",
                files.join(", "),
                row.id
            )),
            WeightsStatus::Elsewhere { place } => missing(format!("is not on the Hub: {place}")),
            WeightsStatus::Generated { .. } | WeightsStatus::None => missing("is no file".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(scale: f64, bias: Option<f64>) -> TextDescriptor {
        TextDescriptor {
            id: "x".into(),
            vocab: 1,
            context: 1,
            filled: false,
            width: 1,
            scale,
            bias,
            parameters: 0,
        }
    }

    #[track_caller]
    fn check(scale: f64, bias: Option<f64>, cosines: &[f64], expected: &[f64]) {
        for (got, expected) in probabilities(&said(scale, bias), cosines).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-9, "{got} {expected}");
        }
    }

    #[test]
    fn texts_compete_or_fit_by_themselves() {
        check(2.0, None, &[0.5, 0.5], &[0.5, 0.5]);
        check(1.0, None, &[1.0, 0.0], &[0.731_058_578_6, 0.268_941_421_4]);
        check(1e6, None, &[1.0, 0.0], &[1.0, 0.0]);
        check(1.0, Some(0.0), &[1.0, 1.0], &[0.731_058_578_6, 0.731_058_578_6]);
        check(100.0, Some(-10.0), &[0.1, 0.0], &[0.5, 0.000_045_397_868_7]);
    }

    #[test]
    fn vectors_get_length_one() {
        let vectors = Tensor::new(&[[3f32, 4.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        assert_eq!(to_unit(&vectors).unwrap().to_vec2::<f32>().unwrap(), [[0.6, 0.8], [0.0, 0.0]]);
    }
}
