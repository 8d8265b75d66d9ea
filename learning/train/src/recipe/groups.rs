//! Which tensor is trained, and at which rate.

use std::collections::BTreeMap;

use serde_spanned::Spanned;
use zoo_registry::suggestion;

use super::{Recipe, matches};
use crate::Result;

/// The group of everything that no other group names.
pub(super) const BASE: &str = "base";

/// Tensors that share a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name in logs.
    pub name: String,
    /// Rate after warming up.
    pub rate: f64,
    /// Decay of weights that are neither biases nor of norms.
    pub weight_decay: f64,
}

/// The groups of a recipe, and which of them each trained tensor belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    /// The first is everything that no other names.
    pub groups: Vec<Group>,
    /// Published key and place in `groups`; sorted.
    pub trained: BTreeMap<String, usize>,
}

/// Keys that a recipe can name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys<'a> {
    /// Published keys of connector and language model: for `train`.
    pub model: &'a [&'a str],
    /// Those of encoders: for `unfreeze`.
    pub encoders: &'a [&'a str],
    /// Those of low-rank differences, all of which are trained.
    pub adapters: &'a [&'a str],
}

impl Recipe {
    /// The matrices among `keys`, of the language model, that get a low-rank difference.
    ///
    /// # Errors
    /// [`crate::Error::Recipe`] for patterns that match nothing and for matrices that are trained as well.
    pub fn targets<'a>(&self, keys: &[&'a str]) -> Result<Vec<&'a str>> {
        let Some(lora) = &self.plan.lora else { return Ok(Vec::new()) };
        let mut problems = Vec::new();
        for pattern in lora.targets.iter().filter(|p| !keys.iter().any(|key| matches(p.get_ref(), key))) {
            let message = format!("no matrix of the language model is called `{}`", pattern.get_ref());
            problems.push(self.problem(
                pattern.span(),
                message,
                Some(format!("they are such as {}", sample(keys))),
            ));
        }
        let any =
            |patterns: &[Spanned<String>], key: &str| patterns.iter().any(|p| matches(p.get_ref(), key));
        let found: Vec<&str> = keys.iter().copied().filter(|key| any(&lora.targets, key)).collect();
        let twice = |key: &&&str| any(self.plan.train.get_ref(), key) && !any(&self.plan.freeze, key);
        if let Some(key) = found.iter().find(twice) {
            let message = format!("`{key}` is trained as a whole, and is to get a low-rank difference");
            let help = "leave it out of `train`, or put it into `freeze`";
            problems.push(self.problem(self.plan.train.span(), message, Some(help.into())));
        }
        Self::verdict(problems)?;
        Ok(found)
    }

    /// Sorts tensors, given by published key, into what is trained at which rate and what is not.
    ///
    /// # Errors
    /// [`crate::Error::Recipe`] for patterns that match nothing and for tensors that two groups name.
    pub fn assign(&self, keys: &Keys<'_>) -> Result<Assigned> {
        let plan = &self.plan;
        let mut problems = Vec::new();
        let all: Vec<&str> = [keys.model, keys.encoders, keys.adapters].concat();
        let mut known = |pattern: &Spanned<String>, keys: &[&str]| {
            if !keys.iter().any(|key| matches(pattern.get_ref(), key)) {
                let help = suggestion(pattern.get_ref(), "", keys.iter().copied())
                    .filter(|help| help.starts_with("did you mean"))
                    .or_else(|| (!keys.is_empty()).then(|| format!("keys are such as {}", sample(keys))));
                let message = format!("no tensor of this model is called `{}`", pattern.get_ref());
                problems.push(self.problem(pattern.span(), message, help));
            }
        };
        plan.train.get_ref().iter().for_each(|pattern| known(pattern, keys.model));
        plan.unfreeze.iter().for_each(|pattern| known(pattern, keys.encoders));
        let everywhere = plan.freeze.iter().chain(plan.group.iter().flat_map(|group| &group.patterns));
        everywhere.for_each(|pattern| known(pattern, &all));
        let any =
            |patterns: &[Spanned<String>], key: &str| patterns.iter().any(|p| matches(p.get_ref(), key));
        let model = keys.model.iter().filter(|key| any(plan.train.get_ref(), key));
        let encoders = keys.encoders.iter().filter(|key| any(&plan.unfreeze, key));
        let mut trained = BTreeMap::new();
        for &key in model.chain(encoders).chain(keys.adapters).filter(|key| !any(&plan.freeze, key)) {
            let mut of = plan.group.iter().enumerate().filter(|(_, group)| any(&group.patterns, key));
            let first = of.next();
            if let (Some((_, first)), Some((_, second))) = (first, of.next()) {
                let pattern = second.patterns.iter().find(|p| matches(p.get_ref(), key));
                let message = format!("`{key}` is in group `{}` and in group `{}`", first.name, second.name);
                problems.push(self.problem(pattern.map_or(0..0, Spanned::span), message, None));
                break;
            }
            trained.insert(key.to_owned(), first.map_or(0, |(index, _)| index + 1));
        }
        if trained.is_empty() && problems.is_empty() {
            problems.push(self.problem(
                plan.train.span(),
                "everything that `train` names is frozen again",
                None,
            ));
        }
        Self::verdict(problems)?;
        let decay = plan.optimizer.weight_decay;
        let base = Group { name: BASE.into(), rate: *plan.optimizer.rate.get_ref(), weight_decay: decay };
        let own = plan.group.iter().map(|row| Group {
            name: row.name.clone(),
            rate: *row.rate.get_ref(),
            weight_decay: row.weight_decay.unwrap_or(decay),
        });
        Ok(Assigned { groups: std::iter::once(base).chain(own).collect(), trained })
    }
}

/// Whether weights of this key and so many axes decay: all but biases and norms.
pub(crate) fn decays(key: &str, axes: usize) -> bool {
    !(key.ends_with("bias") || axes == 1 && key.ends_with("weight"))
}

fn sample(keys: &[&str]) -> String {
    let step = (keys.len() / 3).max(1);
    keys.iter().step_by(step).take(3).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
