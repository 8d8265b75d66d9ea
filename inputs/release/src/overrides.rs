//! `zoo.toml` beside a checkpoint: what its `config.json` cannot say, or says of another machine.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zoo_language::tokens::NewlineAfterImage;

use crate::{Error, Result};

/// The file, as it is written. Paths count from its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Overrides {
    pub template: Option<String>,
    pub newline_after_image: Option<NewlineAfterImage>,
    /// One per tower, in tower order.
    #[serde(default)]
    pub encoder: Vec<EncoderOverride>,
    pub llm: Option<LlmOverride>,
}

/// A tower's encoder, with weights of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EncoderOverride {
    pub id: String,
    pub weights: Option<PathBuf>,
    pub arch_override: Option<PathBuf>,
}

/// A decoder file in place of the checkpoint's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LlmOverride {
    pub weights: PathBuf,
}

impl Overrides {
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        Ok(zoo_registry::strict(&path.display().to_string(), &text)?)
    }
}
