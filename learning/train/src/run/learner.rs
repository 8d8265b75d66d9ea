//! The model that learns: from samples to their loss.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use zoo_core::{
    Connector, ConnectorInputs, Fused, ImageBlock, ImageRefiner, LanguageModel, NoHook, PlacedImage,
    Trainable,
};
use zoo_data::{Dataset, Flaw, FlawKind};
use zoo_host::{EncoderSession, Pieces};
use zoo_language::tokens::{IGNORE_LABEL, IMAGE_ID, NewlineAfterImage, Tokenized};
use zoo_nn::loss::cross_entropy;

use super::begin::{self, Origin};
use super::features::{Kept, Looked};
use crate::recipe::{New, Recipe};
use crate::{Assigned, Error, Result};

/// One sample, ready to be looked at.
pub(super) struct Sample {
    pub place: String,
    pub tokens: Tokenized,
    pub image: Option<Looked>,
}

/// What a batch came to.
pub(super) struct Outcome {
    /// Mean loss of the trained tokens; nothing where there are none.
    pub loss: Option<Tensor>,
    /// Tokens that were trained.
    pub trained: usize,
    /// Positions of the language model, images included.
    pub positions: usize,
    /// Samples that lost their end.
    pub cut: usize,
    /// Samples that could not be used.
    pub flaws: Vec<Flaw>,
}

/// Encoders that look, and a connector and a language model of which parts are trained.
pub(super) struct Learner {
    pieces: Pieces,
    encoders: Vec<EncoderSession>,
    connector: Option<Box<dyn Connector>>,
    llm: Box<dyn LanguageModel>,
    kept: Option<Kept>,
    dtype: DType,
    device: Device,
    max_length: usize,
}

/// What connector and language model begin with.
pub(super) fn origins(pieces: &Pieces, recipe: &Recipe) -> (Option<Origin>, Origin) {
    let connector = pieces.connector.as_ref().map(|piece| match recipe.plan.connector.as_deref() {
        Some("new") => Origin::Seed(recipe.plan.seed),
        Some(file) => Origin::Files(vec![file.into()]),
        None => Origin::Files(piece.weights.clone()),
    });
    let llm = match recipe.plan.llm {
        Some(New::New) => Origin::Seed(recipe.plan.seed),
        None => Origin::Files(pieces.llm.weights.clone()),
    };
    (connector, llm)
}

impl Learner {
    /// Opens all parts, with variables for what `assigned` trains; their values by published key. `writes` says whether
    /// what the encoders see may be kept.
    pub fn open(
        pieces: Pieces,
        recipe: &Recipe,
        assigned: &Assigned,
        device: &Device,
        writes: bool,
    ) -> Result<(Self, BTreeMap<String, Tensor>)> {
        let (origin, llm_origin) = origins(&pieces, recipe);
        let of = |keys: &mut dyn Iterator<Item = &str>| -> BTreeSet<String> {
            keys.filter(|key| assigned.trained.contains_key(*key)).map(str::to_owned).collect()
        };
        let trained = of(&mut begin::keys(&pieces.llm));
        let llm = pieces.llm.open_llm(&begin::llm(&pieces.llm, &llm_origin, trained.clone())?, device)?;
        let mut values = begin::values(&pieces.llm, &llm_origin, &trained)?;
        let mut connector = None;
        if let (Some(piece), Some(origin)) = (&pieces.connector, &origin) {
            let trained = of(&mut begin::keys(piece));
            let weights = begin::connector(piece, origin, trained.clone())?;
            connector = Some(piece.open_connector(&weights, device)?);
            values.extend(begin::values(piece, origin, &trained)?);
        }
        let encoders = pieces.encoders()?;
        let dtype = pieces.llm.spec.precision.dtype();
        let max_length = recipe.plan.max_length.min(llm.descriptor().max_positions);
        let kept = match &recipe.plan.features {
            Some(folder) if writes => Some(Kept::open(folder, &pieces, dtype)?),
            _ => None,
        };
        let device = device.clone();
        let learner = Self { pieces, encoders, connector, llm, kept, dtype, device, max_length };
        let there: BTreeSet<&String> = learner.parts().flat_map(|part| part.variables().keys()).collect();
        if let Some(key) = assigned.trained.keys().find(|key| !there.contains(key)) {
            return Err(Error::Internal(format!("`{key}` was to be trained and is no variable")));
        }
        Ok((learner, values))
    }

    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    fn parts(&self) -> impl Iterator<Item = &dyn Trainable> {
        self.connector.iter().filter_map(|c| c.trainable()).chain(self.llm.trainable())
    }

    /// All variables, by published key.
    pub fn variables(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.parts().flat_map(|part| part.variables())
    }

    /// Replaces the values of variables.
    pub fn replace(&self, mut values: BTreeMap<String, Tensor>) -> Result<()> {
        for part in self.parts() {
            let own = part.variables().keys().filter_map(|key| values.remove_entry(key)).collect();
            part.replace(&own)?;
        }
        Ok(())
    }

    /// Sample `index` of `data`, or what is wrong with it.
    pub fn sample(&self, data: &Dataset, index: usize) -> Result<Result<Sample, Flaw>> {
        let (record, image) = data.read(index)?;
        let place = data.place(index);
        let flaw = |kind, message| Ok(Err(Flaw { place: place.clone(), kind, message }));
        let rendered = match self.pieces.template.render(&record.conversation) {
            Ok(rendered) => rendered,
            Err(error) => return flaw(FlawKind::Roles, error.to_string()),
        };
        // In training the newline after an image is kept, whatever the model does when it answers.
        let tokens = self.pieces.tokenizer.encode(&rendered, NewlineAfterImage::Keep)?;
        if tokens.trained() == 0 {
            return flaw(FlawKind::NothingTrained, "no token of an answer is left to be learnt".into());
        }
        let image = match image {
            None => None,
            Some(_) if self.connector.is_none() => {
                return flaw(FlawKind::Tags, "there is an image, and this model has no encoders".into());
            }
            Some(path) => match self.looked(&path)? {
                Ok(looked) => Some(looked),
                Err(message) if !path.is_file() => return flaw(FlawKind::MissingImage, message),
                Err(message) => return flaw(FlawKind::BadImage, message),
            },
        };
        Ok(Ok(Sample { place, tokens, image }))
    }

    /// The loss of samples as one batch, with its graph. They stand one behind the other in one row, which nothing of
    /// any of them can tell.
    pub fn loss(&self, samples: &[Sample]) -> Result<Outcome> {
        let fused = self.look(samples)?;
        let mut row = Row::default();
        let mut image = 0;
        for sample in samples {
            let mut block = None;
            if let (Some(_), Some(connector), Some(fused)) = (&sample.image, &self.connector, &fused) {
                block = Some((connector.block(fused, image)?, image));
                image += 1;
            }
            row.push(sample, block, self.max_length)?;
        }
        let trained = row.targets.len();
        let mut outcome =
            Outcome { loss: None, trained, positions: row.length(), cut: row.cut, flaws: row.flaws };
        if trained == 0 {
            return Ok(outcome);
        }
        let ids = Tensor::new(row.ids.as_slice(), &self.device)?.unsqueeze(0)?;
        let embedded = self.llm.embed(&ids)?.squeeze(0)?;
        let mut parts = Vec::with_capacity(row.parts.len());
        for part in row.parts {
            parts.push(match part {
                RowPiece::Text { from, length } => embedded.narrow(0, from, length)?,
                RowPiece::Image(tokens) => tokens.to_dtype(embedded.dtype())?,
            });
        }
        let embeddings = Tensor::cat(&parts, 0)?.unsqueeze(0)?;
        let positions = Tensor::new(row.positions.as_slice(), &self.device)?.unsqueeze(0)?;
        let mut cache = self.llm.packed(1)?;
        let connector = self.connector.as_deref().filter(|c| !c.descriptor().refine_after.is_empty());
        let hidden = match (connector, &fused) {
            (Some(connector), Some(fused)) if !row.images.is_empty() => {
                let mut hook = ImageRefiner::new(connector, fused, row.images)?;
                self.llm.prefill(&embeddings, &positions, &mut cache, &mut hook)?
            }
            _ => self.llm.prefill(&embeddings, &positions, &mut cache, &mut NoHook)?,
        };
        // Only what is asked about becomes logits.
        let asked = Tensor::new(row.asked.as_slice(), &self.device)?;
        let asked = hidden.squeeze(0)?.index_select(&asked, 0)?.unsqueeze(0)?;
        let logits = self.llm.logits(&asked)?.squeeze(0)?;
        let targets = Tensor::new(row.targets.as_slice(), &self.device)?;
        outcome.loss = Some(cross_entropy(&logits, &targets)?);
        Ok(outcome)
    }

    /// What the encoders see of an image, or why it cannot be read.
    fn looked(&self, path: &Path) -> Result<Result<Looked, String>> {
        if let Some(looked) = self.kept.as_ref().and_then(|kept| kept.get(path, self.encoders.len())) {
            return Ok(Ok(looked));
        }
        let image = match zoo_preprocess::open(path, &Default::default()) {
            Ok(image) => image,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let seen = self.encoders.iter().map(|encoder| {
            let batch = encoder.prepare(std::slice::from_ref(&image))?;
            Ok::<_, Error>(encoder.encode(&batch)?.tokens.to_dtype(self.dtype)?)
        });
        let looked = Looked { features: seen.collect::<Result<_>>()?, size: image.size };
        if let Some(kept) = &self.kept {
            kept.put(path, &looked)?;
        }
        Ok(Ok(looked))
    }

    /// Bytes of what the encoders see of one image.
    pub fn feature_bytes(&self) -> u64 {
        let connector = self.connector.as_ref();
        let inputs = connector.map_or(&[][..], |connector| connector.descriptor().inputs.as_slice());
        let numbers: usize = inputs.iter().map(|input| input.channels * input.tokens.unwrap_or(0)).sum();
        (numbers * self.dtype.size_in_bytes()) as u64
    }

    /// What encoders and connector see of the samples that have an image.
    fn look(&self, samples: &[Sample]) -> Result<Option<Fused>> {
        let images: Vec<&Looked> = samples.iter().filter_map(|sample| sample.image.as_ref()).collect();
        let Some(connector) = self.connector.as_ref().filter(|_| !images.is_empty()) else { return Ok(None) };
        let of_encoder = |k: usize| -> Result<Tensor> {
            let seen: Vec<Tensor> = images
                .iter()
                .map(|looked| looked.features[k].to_device(&self.device))
                .collect::<Result<_, _>>()?;
            Ok(Tensor::cat(&seen, 0)?)
        };
        let features = (0..self.encoders.len()).map(of_encoder).collect::<Result<_>>()?;
        let image_sizes = images.iter().map(|image| image.size).collect();
        Ok(Some(connector.forward(&ConnectorInputs { features, image_sizes })?))
    }
}

/// Samples one behind the other.
#[derive(Default)]
struct Row {
    ids: Vec<u32>,
    parts: Vec<RowPiece>,
    positions: Vec<u32>,
    images: Vec<PlacedImage>,
    /// Where something is asked, and the token that follows there.
    asked: Vec<u32>,
    targets: Vec<u32>,
    cut: usize,
    flaws: Vec<Flaw>,
}

enum RowPiece {
    /// Of the embedded ids.
    Text { from: usize, length: usize },
    /// `[n, H]`.
    Image(Tensor),
}

impl Row {
    fn length(&self) -> usize {
        self.positions.len()
    }

    /// One more sample, cut at `limit` positions; `block` is its image and the place of that in the batch.
    fn push(&mut self, sample: &Sample, block: Option<(ImageBlock, usize)>, limit: usize) -> Result<()> {
        let start = self.length();
        let Tokenized { ids, labels } = &sample.tokens;
        let mut pieces: Vec<RowPiece> = Vec::new();
        let (mut place, mut text, mut placed) = (0, Vec::new(), None);
        let (mut asked, mut targets) = (Vec::new(), Vec::new());
        for (&id, &label) in ids.iter().zip(labels) {
            if place >= limit {
                self.cut += 1;
                break;
            }
            if id == IMAGE_ID {
                let Some((block, image)) = &block else {
                    return Err(Error::Internal(format!("{}: a place for an image and none", sample.place)));
                };
                let length = block.tokens.dim(0)?;
                if place + length > limit {
                    self.flaws.push(Flaw {
                        place: sample.place.clone(),
                        kind: FlawKind::TooLong,
                        message: format!("its image ends beyond position {limit}"),
                    });
                    return Ok(());
                }
                placed = Some(PlacedImage::new(block, *image, 0, start + place));
                pieces.push(RowPiece::Image(block.tokens.clone()));
                place += length;
                continue;
            }
            if label != IGNORE_LABEL && place > 0 {
                asked.push((start + place - 1) as u32);
                targets.push(number(label)?);
            }
            let from = self.ids.len() + text.len();
            match pieces.last_mut() {
                Some(RowPiece::Text { length, .. }) => *length += 1,
                _ => pieces.push(RowPiece::Text { from, length: 1 }),
            }
            text.push(number(id)?);
            place += 1;
        }
        if targets.is_empty() {
            self.flaws.push(Flaw {
                place: sample.place.clone(),
                kind: FlawKind::NothingTrained,
                message: format!("nothing of an answer is left within {limit} positions"),
            });
            return Ok(());
        }
        self.ids.extend(text);
        self.parts.extend(pieces);
        self.positions.extend(0..place as u32);
        self.images.extend(placed);
        self.asked.extend(asked);
        self.targets.extend(targets);
        Ok(())
    }
}

fn number(id: i64) -> Result<u32> {
    u32::try_from(id).map_err(|_| Error::Internal(format!("token id {id}")))
}
