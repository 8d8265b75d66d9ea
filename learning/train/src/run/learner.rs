//! The model that learns: from samples to their loss.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use zoo_core::{Connector, ConnectorInputs, Fused, ImageRefiner, LanguageModel, NoHook, Trainable};
use zoo_data::{Flaw, FlawKind, Image};
use zoo_host::Pieces;
use zoo_language::tokens::{NewlineAfterImage, Tokenized};

use super::ahead::{Fetched, Picture};
use super::begin::{self, Origin};
use super::features::Looked;
use super::lora;
use super::row::{Row, RowPiece};
use super::towers::Towers;
use crate::recipe::{Long, New, Recipe};
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
    towers: Towers,
    connector: Option<Box<dyn Connector>>,
    llm: Box<dyn LanguageModel>,
    dtype: DType,
    device: Device,
    max_length: usize,
    long: Long,
    longest: AtomicUsize,
    largest_image: AtomicUsize,
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
    /// Opens connector and language model beside `towers`, with variables for what `assigned` trains; all values by
    /// published key. `writes` says whether what the encoders see may be kept.
    pub fn open(
        pieces: Pieces,
        mut towers: Towers,
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
        let differences = lora::differences(recipe, &pieces.llm)?;
        let weights = begin::llm(&pieces.llm, &llm_origin, trained.clone(), differences.clone())?;
        let llm = pieces.llm.open_llm(&weights, device)?;
        let mut values = begin::values(&pieces.llm, &llm_origin, &trained)?;
        if let Some(differences) = &differences {
            values.extend(lora::values(recipe, differences, llm.trainable())?);
        }
        let mut connector = None;
        if let (Some(piece), Some(origin)) = (&pieces.connector, &origin) {
            let trained = of(&mut begin::keys(piece));
            let weights = begin::connector(piece, origin, trained.clone())?;
            connector = Some(piece.open_connector(&weights, device)?);
            values.extend(begin::values(piece, origin, &trained)?);
        }
        towers.assign(assigned);
        values.extend(towers.values()?);
        let dtype = pieces.llm.spec.precision.dtype();
        let max_length = recipe.plan.max_length.min(llm.descriptor().max_positions);
        if let (Some(folder), true) = (&recipe.plan.features, writes) {
            towers.keep(folder, &pieces)?;
        }
        let (device, long) = (device.clone(), recipe.plan.batch.long);
        let [longest, largest_image] = [0, 0].map(AtomicUsize::new);
        let learner =
            Self { pieces, towers, connector, llm, dtype, device, max_length, long, longest, largest_image };
        let looking = learner.towers.keys();
        let there: BTreeSet<&String> =
            learner.parts().flat_map(|part| part.variables().keys()).chain(&looking).collect();
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

    /// The encoders.
    pub fn towers(&self) -> &Towers {
        &self.towers
    }

    /// The variables of connector and language model, by published key.
    pub fn variables(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.parts().flat_map(|part| part.variables())
    }

    /// Replaces the values of variables.
    pub fn replace(&self, mut values: BTreeMap<String, Tensor>) -> Result<()> {
        for part in self.parts() {
            let own = part.variables().keys().filter_map(|key| values.remove_entry(key)).collect();
            part.replace(&own)?;
        }
        self.towers.replace(&mut values)
    }

    /// The sample that stands at `place`, ready to be looked at; or what is wrong with it.
    pub fn sample(&self, place: String, fetched: Fetched) -> Result<Result<Sample, Flaw>> {
        let flaw = |kind, message| Ok(Err(Flaw { place: place.clone(), kind, message }));
        let rendered = match self.pieces.template.render(&fetched.record.conversation) {
            Ok(rendered) => rendered,
            Err(error) => return flaw(FlawKind::Roles, error.to_string()),
        };
        // In training the newline after an image is kept, whatever the model does when it answers.
        let tokens = self.pieces.tokenizer.encode(&rendered, NewlineAfterImage::Keep)?;
        if tokens.trained() == 0 {
            return flaw(FlawKind::NothingTrained, "no token of an answer is left to be learnt".into());
        }
        let image = match fetched.image {
            None => None,
            Some(_) if self.connector.is_none() => {
                return flaw(FlawKind::Tags, "there is an image, and this model has no encoders".into());
            }
            Some(image) => match self.looked(&image, fetched.picture)? {
                Ok(looked) => Some(looked),
                Err(message) if image.is_missing() => return flaw(FlawKind::MissingImage, message),
                Err(message) => return flaw(FlawKind::BadImage, message),
            },
        };
        Ok(Ok(Sample { place, tokens, image }))
    }

    /// The loss of samples as one batch, with its graph. They stand in one [`Row`]. The seed of the [`zoo_core::CallContext`]
    /// decides what is left out at random; 0 is an answer's pass, where nothing is.
    pub fn loss(&self, samples: &[Sample]) -> Result<Outcome> {
        let fused = self.look(samples)?;
        let mut row = Row::default();
        let mut image = 0;
        for sample in samples {
            let mut block = None;
            if let (Some(_), Some(connector), Some(fused)) = (&sample.image, &self.connector, &fused) {
                let tokens = connector.block(fused, image)?;
                self.largest_image.fetch_max(tokens.tokens.dim(0)?, Ordering::Relaxed);
                block = Some((tokens, image));
                image += 1;
            }
            row.push(sample, block, self.max_length, self.long)?;
        }
        let trained = row.targets.len();
        self.longest.fetch_max(row.length(), Ordering::Relaxed);
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
        let asked = Tensor::new(row.asked.as_slice(), &self.device)?;
        let asked = hidden.squeeze(0)?.index_select(&asked, 0)?.unsqueeze(0)?;
        let targets = Tensor::new(row.targets.as_slice(), &self.device)?;
        outcome.loss = Some(self.llm.loss(&asked, &targets)?);
        Ok(outcome)
    }

    /// What the encoders see of an image, or why it cannot be read.
    fn looked(&self, image: &Image, picture: Option<Picture>) -> Result<Result<Looked, String>> {
        if let Some(looked) = self.towers.seen(image) {
            return Ok(Ok(looked));
        }
        // What was kept when the sample was read may have been taken away since.
        Ok(match picture.unwrap_or_else(|| image.open()) {
            Ok(picture) => Ok(self.towers.look(image, &picture)?),
            Err(message) => Err(message),
        })
    }

    /// Positions of the longest sequence.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Positions of the longest batch so far.
    pub fn longest(&self) -> usize {
        self.longest.load(Ordering::Relaxed)
    }

    /// Tokens of the largest image so far.
    pub fn image_tokens(&self) -> usize {
        self.largest_image.load(Ordering::Relaxed)
    }

    /// Tokens that the language model chooses among.
    pub fn vocabulary(&self) -> usize {
        self.llm.descriptor().vocab
    }

    /// Width of the language model.
    pub fn width(&self) -> usize {
        self.llm.descriptor().hidden
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
        let features = (0..self.towers.len()).map(of_encoder).collect::<Result<_>>()?;
        let image_sizes = images.iter().map(|image| image.size).collect();
        Ok(Some(connector.forward(&ConnectorInputs { features, image_sizes })?))
    }
}
