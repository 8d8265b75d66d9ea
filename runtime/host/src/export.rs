//! From a model folder to a file that holds its language model quantised.

use std::path::Path;

use zoo_core::weights::Checkpoint;
use zoo_core::{Error, Quantisation};
use zoo_nn::decoder::gguf::{Export, ExportOptions};

use crate::{HostError, Zoo};

impl Zoo {
    /// The GGUF file of the language model of `model`, a registry id whose files are in the Hub cache or a model
    /// folder; nothing is written yet. Encoders and connector stay in their files.
    ///
    /// # Errors
    /// Those of reading the folder; [`HostError::Core`] for a kind of language model or of weights that GGUF files
    /// do not hold.
    pub fn export(&self, model: impl AsRef<Path>, format: Quantisation) -> Result<Export, HostError> {
        let (release, _) = self.release(model.as_ref())?;
        let decoder = &release.decoder;
        let mut rows = self.registry().decoders();
        let row =
            rows.find(|row| (&row.plugin, &row.architecture) == (&decoder.plugin, &decoder.architecture));
        let architecture = row.and_then(|row| row.gguf.first()).ok_or_else(|| {
            Error::invalid(format!(
                "{}: its language model (`{}` of plugin `{}`) has no name in GGUF files; `--quantise {format}` holds \
                 it so while it is asked",
                release.name, decoder.architecture, decoder.plugin
            ))
        })?;
        let files = Checkpoint::open(&decoder.weights)?;
        let options = ExportOptions { architecture, name: &release.name, arch: &decoder.arch, format };
        Ok(Export::plan(&files, &options)?)
    }
}
