//! From the towers of a configuration to encoders of the registry.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zoo_registry::Registry;

use crate::config::{Config, Vision};
use crate::files::object;
use crate::overrides::{EncoderOverride, Overrides};
use crate::{Error, Result};

/// One tower of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderChoice {
    /// Registry id.
    pub id: String,
    /// Side of its image in pixels, where the tower's name says it; otherwise as in the row.
    pub resolution: Option<usize>,
    /// Tokens after resampling; otherwise as many as its grid has.
    pub tokens: Option<usize>,
    /// Layers, concatenated on channels.
    pub layers: Vec<i32>,
    /// Whether its final norm is applied.
    pub norm: bool,
    /// Weights in place of the registry's.
    pub weights: Option<PathBuf>,
    /// Architecture numbers in place of the registry's, key by key.
    pub arch_override: Option<Map<String, Value>>,
}

/// The encoders of `vision`, in tower order, with what `zoo.toml` says of them.
pub(crate) fn encoders(
    registry: &Registry,
    config: &Config,
    vision: &Vision,
    overrides: &Overrides,
    folder: &Path,
    warnings: &mut Vec<String>,
) -> Result<Vec<EncoderChoice>> {
    let toml = folder.join("zoo.toml");
    let (given, towers) = (overrides.encoder.len(), vision.towers.len());
    if given > 0 && given != towers {
        let message = format!(
            "{given} `[[encoder]]` for {towers} towers ({}); there must be one per tower, in their order",
            vision.towers.join(", ")
        );
        return Err(Error::file(&toml, message));
    }
    let mut choices = Vec::with_capacity(towers);
    for (k, tower) in vision.towers.iter().enumerate() {
        let local = overrides.encoder.get(k);
        let (found, file) = match local {
            Some(local) => (registry.select_for(&local.id, tower), toml.as_path()),
            None => (registry.select(tower), config.path()),
        };
        let selection = found.map_err(|source| Error::Lookup { path: file.to_owned(), source })?;
        let row = selection.row;
        if let (Some(_), Ok(own)) = (local, registry.select(tower))
            && own.row.id != row.id
        {
            warnings.push(format!(
                "{}: encoder {k} is `{}`, but config.json was made with `{tower}`",
                toml.display(),
                row.id
            ));
        }
        let single = vision.select_layer;
        choices.push(EncoderChoice {
            id: row.id.clone(),
            resolution: (selection.resolution != row.resolution).then_some(selection.resolution),
            tokens: vision.token_lens.as_ref().and_then(|lens| lens.get(k).copied()).or(selection.tokens),
            layers: if row.select.configured { vec![single] } else { selection.layers.clone() },
            norm: selection.norm,
            weights: local.and_then(|l| l.weights.as_deref()).map(|w| folder.join(w)),
            arch_override: arch_override(local, folder)?,
        });
    }
    Ok(choices)
}

fn arch_override(local: Option<&EncoderOverride>, folder: &Path) -> Result<Option<Map<String, Value>>> {
    local.and_then(|l| l.arch_override.as_deref()).map(|path| object(&folder.join(path))).transpose()
}
