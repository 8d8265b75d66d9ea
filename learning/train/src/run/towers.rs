//! Encoders: those that only look, and those that learn by looking.
//!
//! No graph leaves an encoder, whichever door it came through: a vector-Jacobian product does. So the maps of one that
//! learns are leaves of the graph of a batch, and once their gradients are known, the encoder is asked what these mean
//! for its weights. It looks twice for that, and keeps nothing of one image while it looks at the next.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use zoo_core::weights::Checkpoint;
use zoo_core::{Differentiable, Encoder, Grid};
use zoo_data::Image;
use zoo_host::{EncoderPiece, EncoderSession, Pieces};
use zoo_nn::resample;
use zoo_preprocess::Decoded;

use super::features::{Kept, Looked};
use crate::recipe::{Recipe, matches};
use crate::{Assigned, Error, Result};

/// What one encoder that learns saw of one image: leaves of a graph.
pub(super) struct Glance {
    tower: usize,
    pixels: Tensor,
    maps: Vec<Var>,
}

/// The encoders of a model, as the reference and its keys call them.
pub(super) struct Towers {
    towers: Vec<Tower>,
    kept: Option<Arc<Kept>>,
    dtype: DType,
}

struct Tower {
    session: EncoderSession,
    /// What stands before its published keys in a recipe.
    prefix: String,
    /// Published keys of what is trained.
    trained: Vec<String>,
    files: Vec<PathBuf>,
}

/// Full key and value, by published key.
type Keyed = BTreeMap<String, (String, Tensor)>;

/// Where a checkpoint of the reference keeps encoder `k` that was trained along.
fn prefix(k: usize) -> String {
    format!("model.vision_tower_aux_list.{k}.vision_tower.")
}

impl Towers {
    /// Opens the encoders of `pieces`; those of which `recipe` trains something, with variables.
    ///
    /// # Errors
    /// [`Error::Recipe`] naming the line that trains an encoder through which no gradient passes.
    pub fn open(pieces: &Pieces, recipe: &Recipe) -> Result<Self> {
        let mut problems = Vec::new();
        let mut towers = Vec::with_capacity(pieces.encoders.len());
        for (k, piece) in pieces.encoders.iter().enumerate() {
            let prefix = prefix(k);
            let pattern = |name: &str| {
                let mut all = recipe.plan.unfreeze.iter();
                all.find(|pattern| matches(pattern.get_ref(), &format!("{prefix}{name}")))
            };
            let (session, trained) = open(piece, |name| pattern(name).is_some(), recipe)?;
            // Files of another layout have other keys, which the encoder told; this is for one that tells none.
            let meant = piece.tensors.iter().find_map(|tensor| pattern(&tensor.key));
            if let (true, Some(pattern)) = (trained.is_empty(), meant) {
                let message = format!(
                    "`{}` cannot be trained: its plugin `{}` gives no gradients of its weights",
                    piece.id,
                    piece.plugin()
                );
                problems.push(recipe.problem(pattern.span(), message, None));
            }
            towers.push(Tower { session, prefix, trained, files: piece.weights().to_vec() });
        }
        Recipe::verdict(problems)?;
        Ok(Self { towers, kept: None, dtype: pieces.llm.spec.precision.dtype() })
    }

    /// Keeps what is seen in the folder of the recipe.
    pub fn keep(&mut self, folder: &Path, pieces: &Pieces) -> Result<()> {
        self.kept = Some(Arc::new(Kept::open(folder, pieces, self.dtype)?));
        Ok(())
    }

    /// Full keys of everything that can be trained by the recipe.
    pub fn keys(&self) -> Vec<String> {
        let of = |tower: &Tower| {
            tower.trained.iter().map(|name| format!("{}{name}", tower.prefix)).collect::<Vec<_>>()
        };
        self.towers.iter().flat_map(of).collect()
    }

    /// Leaves alone what is not in `assigned`.
    pub fn assign(&mut self, assigned: &Assigned) {
        for tower in &mut self.towers {
            tower.trained.retain(|name| assigned.trained.contains_key(&format!("{}{name}", tower.prefix)));
        }
    }

    /// What the variables begin with, by full key, as exact as their files have it.
    pub fn values(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut out = BTreeMap::new();
        for tower in self.towers.iter().filter(|tower| !tower.trained.is_empty()) {
            let files = Checkpoint::open(&tower.files).ok();
            for name in &tower.trained {
                let value = match files.as_ref().filter(|files| files.contains(name)) {
                    Some(files) => files.load(name)?,
                    None => tower.door()?.parameter(name)?,
                };
                out.insert(format!("{}{name}", tower.prefix), value);
            }
        }
        Ok(out)
    }

    /// Takes the values of its variables out of `values`.
    pub fn replace(&self, values: &mut BTreeMap<String, Tensor>) -> Result<()> {
        for tower in &self.towers {
            for name in &tower.trained {
                if let Some(value) = values.remove(&format!("{}{name}", tower.prefix)) {
                    tower.door()?.set_parameter(name, &value)?;
                }
            }
        }
        Ok(())
    }

    /// What the encoders see of the picture of an image.
    pub fn look(&self, image: &Image, picture: &Decoded) -> Result<Looked> {
        let mut looked = Looked { features: Vec::new(), size: picture.size, glances: Vec::new() };
        for (k, tower) in self.towers.iter().enumerate() {
            let batch = tower.session.prepare(std::slice::from_ref(picture))?;
            if tower.trained.is_empty() {
                looked.features.push(tower.session.encode(&batch)?.tokens.to_dtype(self.dtype)?);
                continue;
            }
            let pixels = batch.pixels().clone();
            let maps = tower.encoder()?.forward(&pixels, &tower.session.request())?;
            let leaves =
                maps.iter().map(|map| Var::from_tensor(&map.tokens)).collect::<Result<Vec<_>, _>>()?;
            let last = maps.last().ok_or_else(|| Error::Internal("an encoder gave no feature map".into()))?;
            let grid = tower.session.tokens().map_or(Ok(last.grid), Grid::of_tokens)?;
            let parts: Vec<_> =
                leaves.iter().zip(&maps).map(|(leaf, map)| (leaf.as_tensor(), map.grid)).collect();
            looked.features.push(resample::joined(&parts, grid)?.to_dtype(self.dtype)?);
            looked.glances.push(Glance { tower: k, pixels, maps: leaves });
        }
        if let Some(kept) = &self.kept {
            kept.put(image, &looked)?;
        }
        Ok(looked)
    }

    /// What was seen of an image, where it is kept.
    pub fn seen(&self, image: &Image) -> Option<Looked> {
        self.kept.as_ref().and_then(|kept| kept.get(image, self.towers.len()))
    }

    /// Where what was seen is kept.
    pub fn kept(&self) -> Option<&Arc<Kept>> {
        self.kept.as_ref()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.towers.len()
    }

    /// Gives `add` the gradients of the weights, by full key, that follow from those of what was seen.
    pub fn gradients(
        &self,
        looked: &Looked,
        gradients: &GradStore,
        mut add: impl FnMut(&str, &Tensor) -> Result<()>,
    ) -> Result<()> {
        for glance in &looked.glances {
            let tower = &self.towers[glance.tower];
            let found: Vec<_> = glance.maps.iter().map(|map| gradients.get(map.as_tensor())).collect();
            // A sample that was left out after all.
            if found.iter().all(Option::is_none) {
                continue;
            }
            let cotangents = glance.maps.iter().zip(found).map(|(map, gradient)| match gradient {
                Some(gradient) => Ok(gradient.clone()),
                None => map.as_tensor().zeros_like(),
            });
            let cotangents = cotangents.collect::<Result<Vec<_>, candle_core::Error>>()?;
            let request = tower.session.request();
            let (_, found) = tower.door()?.vjp(&glance.pixels, &request, &cotangents, &tower.trained)?;
            for (name, gradient) in tower.trained.iter().zip(&found) {
                add(&format!("{}{name}", tower.prefix), gradient)?;
            }
        }
        Ok(())
    }

    /// All tensors of the encoders that learn, with the place of each encoder.
    pub fn tensors(&self) -> impl Iterator<Item = Result<(usize, Keyed)>> + '_ {
        let learning = self.towers.iter().enumerate().filter(|(_, tower)| !tower.trained.is_empty());
        learning.map(|(k, tower)| {
            let door = tower.door()?;
            let tensor = |name: String| {
                let value = door.parameter(&name)?;
                Ok((name.clone(), (format!("{}{name}", tower.prefix), value)))
            };
            Ok((k, door.parameter_names().into_iter().map(tensor).collect::<Result<_>>()?))
        })
    }
}

impl Tower {
    fn encoder(&self) -> Result<&dyn Encoder> {
        let id = self.session.id();
        self.session.encoder().ok_or_else(|| Error::Internal(format!("`{id}` was to stay open")))
    }

    fn door(&self) -> Result<&dyn Differentiable> {
        let id = self.session.id();
        let door = self.encoder()?.differentiable();
        door.ok_or_else(|| Error::Internal(format!("`{id}` was to be trained and has no gradients")))
    }
}

/// An encoder, and those of its keys that are `wanted`.
fn open(
    piece: &EncoderPiece,
    wanted: impl Fn(&str) -> bool,
    recipe: &Recipe,
) -> Result<(EncoderSession, Vec<String>)> {
    if piece.vjp && !recipe.plan.unfreeze.is_empty() {
        let session = piece.open(true)?;
        let names = session.encoder().and_then(Encoder::differentiable).map(Differentiable::parameter_names);
        let names = names.unwrap_or_default();
        let trained: Vec<String> = names.into_iter().filter(|name| wanted(name)).collect();
        if !trained.is_empty() {
            return Ok((session, trained));
        }
    }
    Ok((piece.open(false)?, Vec::new()))
}
