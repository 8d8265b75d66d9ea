//! From what was typed about encoders and images to what the libraries are asked for.

use std::path::Path;

use serde_json::{Map, Value};
use zoo_core::path_text;
use zoo_host::{EncoderRequest, EnsembleRequest, Eyes, EyesRequest};

use crate::args::Subject;
use zoo_terminal::CliError;

/// What is to be opened; `prefix` asks one encoder for its prefix tokens too.
pub(super) fn request(subject: &Subject, prefix: bool) -> Result<EyesRequest, CliError> {
    let options = &subject.options;
    match (&subject.encoder, &subject.ensemble) {
        (Some(id), _) => Ok(EyesRequest::Encoder(EncoderRequest {
            id: id.clone(),
            weights: subject.weights.clone(),
            arch_override: options.arch_override.as_deref().map(arch_override).transpose()?,
            layers: (!options.layer.is_empty()).then(|| options.layer.clone()),
            norm: options.norm(),
            prefix,
            tokens: options.tokens,
            resolution: options.resolution,
            options: options.option.iter().cloned().collect(),
            vectors: false,
        })),
        (None, Some(id)) => {
            let weights = subject.weights.clone();
            Ok(EyesRequest::Ensemble(EnsembleRequest { weights, ..EnsembleRequest::new(id) }))
        }
        (None, None) => Err(CliError::Usage("one of --encoder and --ensemble is needed".into())),
    }
}

/// The warning that goes with every output of untrained weights.
pub(super) fn warning(eyes: &Eyes) -> Option<String> {
    let id = eyes.id();
    eyes.untrained().then(|| format!("{id} is UNTRAINED: its weights are random numbers from a fixed seed"))
}

/// Reads the file of `--arch-override`.
fn arch_override(path: &Path) -> Result<Map<String, Value>, CliError> {
    match zoo_core::json::read(path).map_err(zoo_host::HostError::from)? {
        Value::Object(map) => Ok(map),
        _ => Err(CliError::file(path, "an architecture is a JSON object, such as {\"depth\": 2}")),
    }
}

/// Refuses a name for an output that does not end in `.extension`, and the one that stands for a stream.
pub(super) fn named(option: &str, path: &Path, extension: &str) -> Result<(), CliError> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)) {
        return Ok(());
    }
    Err(CliError::Usage(format!("{option} {}: give a name in .{extension}", path_text(path))))
}
