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

impl Recipe {
    /// Sorts tensors, given by published key, into what is trained at which rate and what is not.
    ///
    /// # Errors
    /// [`crate::Error::Recipe`] for patterns that match nothing and for tensors that two groups name.
    pub fn assign(&self, keys: &[&str]) -> Result<Assigned> {
        let plan = &self.plan;
        let mut problems = Vec::new();
        let all = plan.train.get_ref().iter().chain(&plan.freeze);
        for pattern in all.chain(plan.group.iter().flat_map(|group| &group.patterns)) {
            if !keys.iter().any(|key| matches(pattern.get_ref(), key)) {
                let help = suggestion(pattern.get_ref(), "", keys.iter().copied())
                    .filter(|help| help.starts_with("did you mean"))
                    .unwrap_or_else(|| format!("keys are such as {}", sample(keys)));
                let message = format!("no tensor of this model is called `{}`", pattern.get_ref());
                problems.push(self.problem(pattern.span(), message, Some(help)));
            }
        }
        let any =
            |patterns: &[Spanned<String>], key: &str| patterns.iter().any(|p| matches(p.get_ref(), key));
        let mut trained = BTreeMap::new();
        for &key in keys.iter().filter(|key| any(plan.train.get_ref(), key) && !any(&plan.freeze, key)) {
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
