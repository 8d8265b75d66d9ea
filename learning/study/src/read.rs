//! Reading a study, and what can be wrong with it before anything is done.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_spanned::Spanned;
use zoo_registry::{Layer, Problem, Registry, RegistryError, suggestion};

use crate::effect::Selector;
use crate::grid::{Run, runs};
use crate::plan::{DataPlan, EncoderPlan, OneOrMany, Scalar, StudyPlan};
use crate::recipe::{self, Places};
use crate::stage::{Kind as StageKind, Stage, Stages};
use crate::{Error, Result};

/// Front of paths that count from the drawn world.
const WORLD: &str = "world:";

/// A study, read.
#[derive(Debug, Clone)]
pub struct Study {
    /// The file, as messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its folder, from which its paths count; absolute.
    pub folder: PathBuf,
    /// What it says.
    pub plan: StudyPlan,
    /// Recipes of upbringings, by encoder.
    pub(crate) upbringings: BTreeMap<String, zoo_pretrain::Recipe>,
}

impl Study {
    /// Reads a study, and the recipes that it names.
    ///
    /// # Errors
    /// [`Error::Plan`] with file and lines; [`Error::Pretrain`] for a recipe; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io(path, "cannot read the study"))?;
        let folder = std::path::absolute(path).map_err(Error::io(path, "where is it?"))?;
        Self::parse(&path.display().to_string(), text, folder.parent().unwrap_or(Path::new("")))
    }

    /// Reads the study `text`, called `name`, whose paths count from `folder`, which is absolute.
    ///
    /// # Errors
    /// As [`Study::open`].
    pub fn parse(name: &str, text: String, folder: &Path) -> Result<Self> {
        let plan: StudyPlan = zoo_registry::strict(name, &text)?;
        let mut study = Self {
            name: name.to_owned(),
            text,
            folder: folder.to_owned(),
            plan,
            upbringings: BTreeMap::new(),
        };
        let problems = study.problems();
        if !problems.is_empty() {
            return Err(RegistryError { problems }.into());
        }
        for encoder in &study.plan.encoder {
            let Some(recipe) = &encoder.recipe else { continue };
            let path = study.folder.join(recipe.get_ref());
            let read = zoo_pretrain::Recipe::open(&path).map_err(Error::pretrain(encoder.id.get_ref()))?;
            if read.row.id != *encoder.id.get_ref() {
                let message = format!("the recipe makes `{}`, not `{}`", read.row.id, encoder.id.get_ref());
                let problem = study.problem(encoder.id.span(), message, None);
                return Err(RegistryError { problems: vec![problem] }.into());
            }
            study.upbringings.insert(encoder.id.get_ref().clone(), read);
        }
        study.names()?;
        study.recipes()?;
        Ok(study)
    }

    /// Whether the registry knows every encoder and every kind of connector.
    fn names(&self) -> Result<()> {
        let mut layers = vec![Layer::shipped()];
        for path in &self.plan.registries {
            let path = self.folder.join(path);
            let text = fs::read_to_string(&path).map_err(Error::io(&path, "cannot read the registry"))?;
            layers.push(Layer::new(path.display().to_string(), text));
        }
        for (id, recipe) in &self.upbringings {
            layers.push(Layer::new(id.clone(), recipe.registry().map_err(Error::pretrain(id))?));
        }
        let registry = Registry::load(&layers)?;
        let mut problems = Vec::new();
        for encoder in &self.plan.encoder {
            if let Err(error) = registry.select(encoder.id.get_ref()) {
                problems.push(self.problem(encoder.id.span(), error.to_string(), None));
            }
        }
        for connector in &self.plan.connector {
            let kind = connector.config.get("mm_projector_type").and_then(serde_json::Value::as_str);
            let message = match kind.map(|kind| registry.projector(kind)) {
                Some(Ok(_)) => continue,
                Some(Err(error)) => error.to_string(),
                None => "its `config` names no `mm_projector_type`".to_owned(),
            };
            problems.push(self.problem(connector.id.span(), message, None));
        }
        if problems.is_empty() { Ok(()) } else { Err(RegistryError { problems }.into()) }
    }

    /// Whether stages of training have recipes that can be meant, one of each kind.
    fn recipes(&self) -> Result<()> {
        let stages = self.stages();
        let places = Places {
            model: &self.folder,
            fresh: true,
            records: None,
            world: Some(&self.folder),
            features: &self.folder,
        };
        for kind in [StageKind::Language, StageKind::Adapter, StageKind::Tune] {
            for frozen in [true, false] {
                let wanted = |stage: &&Stage| stage.kind == kind && stage.frozen() == frozen;
                if let Some(stage) = stages.all().iter().find(wanted) {
                    let text = recipe::text(self, stage, &places)?;
                    let name = format!("{}: the recipe of {}", self.name, stage.label);
                    zoo_train::Recipe::parse(&name, text, &self.folder).map_err(Error::train(kind.word()))?;
                }
            }
        }
        Ok(())
    }

    /// All runs.
    pub fn runs(&self) -> Vec<Run> {
        runs(&self.plan)
    }

    /// All stages of all runs.
    pub fn stages(&self) -> Stages {
        Stages::of(self)
    }

    /// The folder of everything that it makes.
    pub fn out(&self) -> PathBuf {
        self.folder.join(&self.plan.out)
    }

    /// The encoders of an encoder or an ensemble, in order.
    pub fn members(&self, eyes: &str) -> Vec<&EncoderPlan> {
        let ensemble = self.plan.ensemble.iter().find(|ensemble| ensemble.id.get_ref() == eyes);
        let names: Vec<&str> = match ensemble {
            Some(ensemble) => ensemble.members.iter().map(|member| member.get_ref().as_str()).collect(),
            None => vec![eyes],
        };
        let find = |name: &str| self.plan.encoder.iter().find(|encoder| encoder.id.get_ref() == name);
        names.into_iter().filter_map(find).collect()
    }

    /// What the eyes learnt from; `ensemble` of several.
    pub fn group(&self, eyes: &str) -> &str {
        match self.members(eyes).as_slice() {
            [one] => &one.group,
            _ => "ensemble",
        }
    }

    /// A path of the file; `world` is the folder of the drawn world.
    pub(crate) fn path(&self, written: &str, world: Option<&Path>) -> Result<PathBuf> {
        match (written.strip_prefix(WORLD), world) {
            (Some(rest), Some(world)) => Ok(world.join(rest)),
            (Some(_), None) => Err(Error::Internal(format!("`{written}` without a world"))),
            (None, _) => Ok(self.folder.join(written)),
        }
    }

    fn problem(&self, span: Range<usize>, message: String, help: Option<String>) -> Problem {
        Problem::at(&self.name, &self.text, span, message, help)
    }

    /// Everything that is wrong, at once.
    fn problems(&self) -> Vec<Problem> {
        let plan = &self.plan;
        let mut problems = Vec::new();
        let encoders: Vec<&str> = plan.encoder.iter().map(|e| e.id.get_ref().as_str()).collect();
        let ensembles = plan.ensemble.iter().map(|e| e.id.get_ref().as_str());
        let eyes: Vec<&str> = encoders.iter().copied().chain(ensembles).collect();
        let connectors: Vec<&str> = plan.connector.iter().map(|c| c.id.get_ref().as_str()).collect();
        let names = |data: &'_ [DataPlan]| data.iter().map(|d| d.name.clone()).collect::<Vec<String>>();
        let (adapters, tunes) = (names(&plan.adapter.data), names(&plan.tune.data));
        let mut known = |name: &Spanned<String>, all: &[&str], what: &str| {
            if !all.contains(&name.get_ref().as_str()) {
                let help = suggestion(name.get_ref(), "", all.iter().copied());
                let message = format!("no {what} is called `{}`", name.get_ref());
                problems.push(self.problem(name.span(), message, help));
            }
        };
        for member in plan.ensemble.iter().flat_map(|ensemble| &ensemble.members) {
            known(member, &encoders, "encoder of this study");
        }
        for grid in &plan.grid {
            grid.eyes.iter().for_each(|name| known(name, &eyes, "encoder or ensemble of this study"));
            grid.connector.iter().for_each(|name| known(name, &connectors, "connector of this study"));
            let adapters: Vec<&str> = adapters.iter().map(String::as_str).collect();
            grid.adapter.iter().for_each(|name| known(name, &adapters, "amount of adapter data"));
            let tunes: Vec<&str> = tunes.iter().map(String::as_str).collect();
            grid.tune.iter().for_each(|name| known(name, &tunes, "amount of tuning data"));
        }
        let mut twice = |ids: Vec<&Spanned<String>>| {
            for (at, id) in ids.iter().enumerate() {
                if ids[..at].iter().any(|other| other.get_ref() == id.get_ref()) {
                    let message = format!("two are called `{}`", id.get_ref());
                    problems.push(self.problem(id.span(), message, None));
                }
            }
        };
        twice(plan.encoder.iter().map(|e| &e.id).chain(plan.ensemble.iter().map(|e| &e.id)).collect());
        twice(plan.connector.iter().map(|c| &c.id).collect());
        let mut fault = |message: String| problems.push(self.problem(0..0, message, None));
        let stages = [("adapter", &plan.adapter.data), ("tune", &plan.tune.data)];
        for (stage, data) in stages.into_iter().flat_map(|(stage, list)| list.iter().map(move |d| (stage, d)))
        {
            if data.records.is_some() && data.samples == 0 {
                fault(format!("`{stage}.data` \"{}\": `samples` says how many samples are seen", data.name));
            }
            if stage == "tune" && data.records.is_none() {
                fault(format!("`tune.data` \"{}\" names no `records`: nothing would be learnt", data.name));
            }
        }
        for list in [&adapters, &tunes] {
            let again = list.iter().enumerate().find(|(at, name)| list[..*at].contains(name));
            if let Some((_, name)) = again {
                fault(format!("two amounts of data are called \"{name}\""));
            }
        }
        if plan.world.is_none() && self.text.contains(&format!("\"{WORLD}")) {
            fault(format!("a path begins with `{WORLD}`, and there is no `[world]`"));
        }
        for task in &plan.task {
            if task.by.is_some() == task.group.is_some() {
                let message =
                    "a task has a `group`, or is several figures `by` a column with `groups`".to_owned();
                problems.push(self.problem(task.task.span(), message, None));
            }
        }
        for finding in &plan.finding {
            for selector in [&finding.better, &finding.than] {
                if let Err(message) = self.selector(selector) {
                    problems.push(self.problem(
                        0..0,
                        format!("finding \"{}\": {message}", finding.says),
                        None,
                    ));
                }
            }
        }
        problems
    }

    /// A selector of the file.
    pub(crate) fn selector(&self, written: &BTreeMap<String, OneOrMany<Scalar>>) -> Result<Selector, String> {
        let mut selector = Selector::default();
        for (key, values) in written {
            selector.add(key, values.all().iter().map(Scalar::word).collect())?;
        }
        Ok(selector)
    }
}
