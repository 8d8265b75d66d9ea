//! From a file to a recipe whose every number can be meant.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_spanned::Spanned;

use super::Recipe;
use crate::{Error, Result};

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Recipe`] with everything that is wrong, line by line.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the recipe"))?;
        Self::parse(&path.display().to_string(), text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads the recipe `text`, called `name`, whose paths count from `folder`.
    ///
    /// # Errors
    /// [`Error::Recipe`].
    pub fn parse(name: &str, text: String, folder: &Path) -> Result<Self> {
        let plan = zoo_registry::strict(name, &text)?;
        let mut recipe = Self { name: name.to_owned(), text, plan };
        recipe.check()?;
        let plan = &mut recipe.plan;
        plan.out = folder.join(&plan.out);
        if let Some(adapter) = plan.lora.as_mut().and_then(|lora| lora.adapter.as_mut()) {
            *adapter = folder.join(&*adapter);
        }
        plan.features = plan.features.as_ref().map(|features| folder.join(features));
        for source in &mut plan.data {
            *source.records.get_mut() = folder.join(source.records.get_ref());
            let own = || Spanned::new(source.records.span(), PathBuf::new());
            let images = source.images.get_or_insert_with(own);
            *images.get_mut() = folder.join(images.get_ref());
        }
        // A folder beside the recipe goes before a name of the registry.
        if folder.join(plan.model.get_ref()).is_dir() {
            let beside = folder.join(plan.model.get_ref()).display().to_string();
            plan.model = Spanned::new(plan.model.span(), beside);
        }
        if let Some(file) = plan.connector.as_mut().filter(|c| *c != "new") {
            *file = folder.join(&*file).display().to_string();
        }
        Ok(recipe)
    }

    /// Whether the data are where the recipe says. What is in them is seen by whoever reads them.
    ///
    /// # Errors
    /// [`Error::Recipe`] with each line that names what is not there.
    pub fn look(&self) -> Result<()> {
        let mut problems = Vec::new();
        for row in &self.plan.data {
            let (records, images) = (&row.records, row.images.as_ref());
            if !records.get_ref().exists() {
                let message = format!("there are no records `{}`", records.get_ref().display());
                problems.push(self.problem(records.span(), message, None));
            }
            // A folder that nobody named is the recipe's own.
            if let Some(images) = images.filter(|images| !images.get_ref().as_os_str().is_empty())
                && !images.get_ref().is_dir()
            {
                let message = format!("there is no folder of images `{}`", images.get_ref().display());
                problems.push(self.problem(images.span(), message, None));
            }
        }
        Ok(Self::verdict(problems)?)
    }

    fn check(&self) -> Result<()> {
        let plan = &self.plan;
        let mut problems = Vec::new();
        let mut fault = |span: Range<usize>, message: &str, help: Option<&str>| {
            problems.push(self.problem(span, message, help.map(str::to_owned)));
        };
        match (&plan.steps, &plan.epochs) {
            (None, None) => {
                fault(0..0, "the recipe does not say how long to train", Some("write `steps` or `epochs`"))
            }
            (Some(_), Some(epochs)) => {
                fault(epochs.span(), "`steps` and `epochs` both say how long to train", None)
            }
            (Some(n), None) | (None, Some(n)) if *n.get_ref() == 0 => {
                fault(n.span(), "nothing is trained in 0", None)
            }
            _ => {}
        }
        let counts = [
            (&plan.batch.size, "a batch has at least one sample"),
            (&plan.batch.accumulate, "a step has at least one batch"),
            (&plan.checkpoints.every, "checkpoints are at least one step apart"),
            (&plan.checkpoints.keep, "at least one checkpoint is kept"),
        ];
        for (count, message) in counts {
            if *count.get_ref() == 0 {
                fault(count.span(), message, None);
            }
        }
        let rates = std::iter::once(&plan.optimizer.rate).chain(plan.group.iter().map(|group| &group.rate));
        for rate in rates {
            if !rate.get_ref().is_finite() || *rate.get_ref() < 0.0 {
                fault(rate.span(), "a rate is a number that is not negative", None);
            }
        }
        if !(0.0..=1.0).contains(plan.schedule.warmup.get_ref()) {
            fault(plan.schedule.warmup.span(), "`warmup` is a share of the steps, from 0 to 1", None);
        }
        if let Some(lora) = &plan.lora {
            if *lora.rank.get_ref() == 0 {
                fault(lora.rank.span(), "a difference of rank 0 is none", None);
            }
            if !lora.alpha.get_ref().is_finite() || *lora.alpha.get_ref() <= 0.0 {
                fault(lora.alpha.span(), "`alpha` is a number above 0", None);
            }
            if !(0.0..1.0).contains(lora.dropout.get_ref()) {
                fault(lora.dropout.span(), "`dropout` is a share, from 0 to below 1", None);
            }
        }
        if let (Some(pattern), Some(_)) = (plan.unfreeze.first(), &plan.features) {
            fault(
                pattern.span(),
                "what encoders see is kept (`features`), and they are trained, after which they see something else",
                Some("leave out one of the two"),
            );
        }
        if plan.train.get_ref().is_empty() && plan.lora.is_none() && plan.unfreeze.is_empty() {
            fault(
                plan.train.span(),
                "nothing is trained",
                Some("write patterns of keys; `\"*\"` is everything"),
            );
        }
        for (index, group) in plan.group.iter().enumerate() {
            let span = group.patterns.first().map_or(0..0, |p| p.span());
            if plan.group[..index].iter().any(|other| other.name == group.name) {
                fault(span.clone(), &format!("two groups are called `{}`", group.name), None);
            }
            if group.name == super::groups::BASE {
                fault(span, "`base` is everything without a group; choose another name", None);
            }
        }
        for row in &plan.data {
            if !row.weight.get_ref().is_finite() || *row.weight.get_ref() < 0.0 {
                fault(row.weight.span(), "`weight` says how often samples come, 0 or more", None);
            }
        }
        if !plan.data.is_empty() && plan.data.iter().all(|row| *row.weight.get_ref() == 0.0) {
            fault(plan.data[0].weight.span(), "all sources have weight 0, so nothing is learnt from", None);
        }
        if !plan.stop.times.get_ref().is_finite() || *plan.stop.times.get_ref() < 0.0 {
            fault(plan.stop.times.span(), "`times` is a number that is not negative", None);
        }
        if plan.data.is_empty() {
            fault(0..0, "there are no data", Some("write `[[data]]` and below it `records = \"FILE\"`"));
        }
        Ok(Self::verdict(problems)?)
    }
}
