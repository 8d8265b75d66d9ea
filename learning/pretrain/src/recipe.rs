//! What an encoder is, what it is shown, and what it is asked: one TOML file.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use serde_spanned::Spanned;
use zoo_registry::{EncoderRow, Layer, Problem, Registry, RegistryError, Selection};
use zoo_train::{Checkpoints, Optimizer, Schedule};

use crate::objective::Kind;
use crate::{Error, Result};

/// What it is shown: scenes of the training split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Where chance begins.
    pub seed: u64,
    /// Different scenes; they are shown again when all were seen.
    pub scenes: u64,
    /// Kinds of pictures, equally often; all in the world's own mix if there are none.
    #[serde(default)]
    pub kinds: Vec<zoo_world::scene::Kind>,
}

/// What stands in a recipe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpbringingPlan {
    /// The folder of the result; counted from the recipe's own.
    pub out: PathBuf,
    /// What is learnt.
    pub objective: Kind,
    /// Steps.
    pub steps: Spanned<usize>,
    /// Pictures in a step.
    pub batch: Spanned<usize>,
    /// Where the weights begin, and how pictures are cut and hidden.
    #[serde(default)]
    pub seed: u64,
    /// What it is shown.
    pub world: World,
    /// How gradients become steps, as in a recipe of `zoo train`.
    pub optimizer: Optimizer,
    /// How rates change, likewise.
    #[serde(default)]
    pub schedule: Schedule,
    /// What is kept, likewise.
    #[serde(default)]
    pub checkpoints: Checkpoints,
    /// The row of the registry that it becomes, without weights. Whoever trains it decides on its licence.
    pub encoder: Spanned<Map<String, Value>>,
}

/// A recipe, read.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The file, as messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What it says.
    pub plan: UpbringingPlan,
    /// The row that the encoder becomes.
    pub row: EncoderRow,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::Recipe`] with file and line; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io(path, "cannot read the recipe"))?;
        Self::parse(&path.display().to_string(), text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads the recipe `text`, called `name`, whose paths count from `folder`.
    ///
    /// # Errors
    /// [`Error::Recipe`].
    pub fn parse(name: &str, text: String, folder: &Path) -> Result<Self> {
        let mut plan: UpbringingPlan = zoo_registry::strict(name, &text)?;
        plan.out = folder.join(&plan.out);
        let mut problems = Vec::new();
        let mut fault = |span, message: &str| {
            problems.push(Problem::at(name, &text, span, message, None));
        };
        for (count, message) in [
            (&plan.steps, "nothing is learnt in 0 steps"),
            (&plan.batch, "a step shows at least one picture"),
            (&plan.checkpoints.every, "checkpoints are at least one step apart"),
            (&plan.checkpoints.keep, "at least one checkpoint is kept"),
        ] {
            if *count.get_ref() == 0 {
                fault(count.span(), message);
            }
        }
        let rate = &plan.optimizer.rate;
        if !rate.get_ref().is_finite() || *rate.get_ref() < 0.0 {
            fault(rate.span(), "a rate is a number that is not negative");
        }
        if plan.world.scenes == 0 {
            fault(0..0, "`world.scenes` is 0: there is nothing to look at");
        }
        if !problems.is_empty() {
            return Err(RegistryError { problems }.into());
        }
        let row = row(&plan).map_err(|message| {
            let message = format!("this is no row of an encoder: {message}");
            RegistryError { problems: vec![Problem::at(name, &text, plan.encoder.span(), message, None)] }
        })?;
        let side = row.resolution;
        let even = Selection::of(&row).grid();
        if even.w == 0 || !side.is_multiple_of(even.w) {
            let message = format!("a grid of {} × {} does not divide {side} pixels", even.h, even.w);
            let problem = Problem::at(name, &text, plan.encoder.span(), message, None);
            return Err(RegistryError { problems: vec![problem] }.into());
        }
        Ok(Self { name: name.to_owned(), text, plan, row })
    }

    /// The file of the registry that has the encoder, its weights beside it.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn registry(&self) -> Result<String> {
        overlay(&self.plan).map_err(Error::Internal)
    }
}

/// A registry with one encoder.
fn overlay(plan: &UpbringingPlan) -> Result<String, String> {
    let mut row = plan.encoder.get_ref().clone();
    row.insert("weights".into(), json!({ "path": crate::run::WEIGHTS }));
    toml::to_string(&json!({ "version": 1, "encoder": [row] })).map_err(|e| e.to_string())
}

/// The row, as the registry reads it among all others.
fn row(plan: &UpbringingPlan) -> Result<EncoderRow, String> {
    if plan.encoder.get_ref().contains_key("weights") {
        return Err("`weights` are what is made here".into());
    }
    let id = plan.encoder.get_ref().get("id").and_then(Value::as_str);
    let id = id.ok_or("it has no `id`")?.to_owned();
    let layers = [Layer::shipped(), Layer::new("[encoder]", overlay(plan)?)];
    let registry = Registry::load(&layers).map_err(|e| {
        e.problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")
    })?;
    registry.select(&id).map(|selection| selection.row.clone()).map_err(|e| e.to_string())
}
