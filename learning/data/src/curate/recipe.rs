//! The recipe of a mixture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Result};

/// The recipe of a mixture. Paths count from the folder of its file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurateRecipe {
    /// Decides which records are taken.
    pub seed: u64,
    /// Most records of each source.
    pub cap: Option<u64>,
    /// Records of the mixture.
    pub total: Option<u64>,
    /// Share of each category, in any unit.
    pub ratio: Option<BTreeMap<String, f64>>,
    /// Sources of which nothing is taken.
    pub drop: Vec<String>,
    /// Files of records that name their source themselves.
    pub records: Vec<PathBuf>,
    /// The key under which they name it.
    pub tag: String,
    /// Another recipe, whose sources these are too: a file beside this one, or a shipped recipe.
    pub sources_of: Option<String>,
    /// The sources.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// The recipe, as messages call it.
    #[serde(skip)]
    pub name: String,
    /// Its folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A source of records.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What it teaches.
    pub category: String,
    /// Its files; records that name their source need none.
    #[serde(default)]
    pub records: Vec<PathBuf>,
    /// The folder of its images, as it is to stand before the paths of the mixture.
    pub images: Option<String>,
    /// Most records of it.
    pub cap: Option<u64>,
    /// Sources of one unit share a cap; its own name where it is absent.
    pub unit: Option<String>,
    /// Records that it has, in place of counting: for plans without files.
    pub count: Option<u64>,
}

/// Name and text of each recipe that is part of the program.
pub fn recipes() -> &'static [(&'static str, &'static str)] {
    macro_rules! shipped {
        ($($name:literal),* $(,)?) => {
            &[$(($name, include_str!(concat!("../../recipes/", $name, ".toml")))),*]
        };
    }
    shipped![
        "cambrian-10m",
        "cambrian-7m",
        "cambrian-t150",
        "cambrian-t250",
        "cambrian-t350",
        "cambrian-t450",
        "cambrian-ratio-1",
        "cambrian-ratio-2",
        "cambrian-ratio-3",
        "cambrian-ratio-4",
        "cambrian-ratio-5",
    ]
}

/// Recipes that take their sources of each other, one behind the other.
const DEEPEST: u32 = 16;

impl CurateRecipe {
    /// Reads a file, or the shipped recipe of this name.
    ///
    /// # Errors
    /// [`Error::Data`] with line and column; what cannot be meant.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_within(name, DEEPEST)
    }

    fn open_within(name: &str, deeper: u32) -> Result<Self> {
        let path = Path::new(name);
        let shipped = recipes().iter().find(|(shipped, _)| *shipped == name).filter(|_| !path.exists());
        match shipped {
            Some((_, text)) => Self::parse_within(name, Path::new(""), text, deeper),
            None if path.extension().is_none() && !path.exists() => {
                let names: Vec<&str> = recipes().iter().map(|(name, _)| *name).collect();
                let message = format!("there is no such file, and shipped recipes are {}", names.join(", "));
                Err(Error::data(path, message))
            }
            None => {
                let text =
                    std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the recipe"))?;
                Self::parse_within(name, path.parent().unwrap_or(Path::new("")), &text, deeper)
            }
        }
    }

    /// Reads the text of a recipe that stands in `folder`.
    ///
    /// # Errors
    /// As [`CurateRecipe::open`].
    pub fn parse(name: &str, folder: &Path, text: &str) -> Result<Self> {
        Self::parse_within(name, folder, text, DEEPEST)
    }

    fn parse_within(name: &str, folder: &Path, text: &str, deeper: u32) -> Result<Self> {
        let wrong = |message: String| Error::data(Path::new(name), message);
        let mut recipe: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            wrong(format!("line {line}: {}", error.message()))
        })?;
        name.clone_into(&mut recipe.name);
        recipe.folder = folder.to_owned();
        if recipe.tag.is_empty() {
            "source".clone_into(&mut recipe.tag);
        }
        if let Some(other) = &recipe.sources_of {
            let deeper = deeper.checked_sub(1).ok_or_else(|| {
                wrong("recipes take their sources of each other in a circle (`sources_of`)".to_owned())
            })?;
            let beside = folder.join(other);
            let name = if beside.exists() { beside.to_str().unwrap_or(other) } else { other };
            let other = Self::open_within(name, deeper)?;
            recipe.sources.extend(other.sources);
        }
        for (i, source) in recipe.sources.iter().enumerate() {
            if recipe.sources[..i].iter().any(|before| before.name == source.name) {
                return Err(wrong(format!("two sources are called `{}`", source.name)));
            }
            if source.count.is_none() && source.records.is_empty() && recipe.records.is_empty() {
                return Err(wrong(format!("source `{}` has neither `records` nor a `count`", source.name)));
            }
        }
        if recipe.sources.is_empty() {
            return Err(wrong("there is no [[source]]".to_owned()));
        }
        if let Some(other) = recipe.drop.iter().find(|name| !recipe.sources.iter().any(|s| s.name == **name))
        {
            return Err(wrong(format!("`drop` names `{other}`, which is no source")));
        }
        if let Some(ratio) = &recipe.ratio
            && (ratio.values().any(|r| !r.is_finite() || *r < 0.0) || ratio.values().sum::<f64>() <= 0.0)
        {
            return Err(wrong("ratios are numbers from 0 up, and not all 0".to_owned()));
        }
        Ok(recipe)
    }

    /// Something that cannot be meant.
    pub(super) fn wrong(&self, message: String) -> Error {
        Error::data(Path::new(&self.name), message)
    }

    /// Whether there are files behind every source, so that a mixture can be written.
    pub fn has_records(&self) -> bool {
        self.sources.iter().all(|source| source.count.is_none())
    }
}
