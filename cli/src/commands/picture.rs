//! Reading the image that a command is about, and saying what was lost of it.

use std::path::Path;

use serde_json::Value;
use zoo_core::path_text;
use zoo_host::HostError;
use zoo_preprocess::{DecodeOptions, Decoded};

use crate::args::OrientationArgs;
use zoo_terminal::{CliError, Context};

/// What standard input is called in messages.
const STDIN: &str = "standard input";

/// Decodes an image in full: before a model is loaded, so that an image that is wrong is told of at once. What was lost
/// of it is said in one note; [`notes`] has it for programs.
pub(super) fn open(
    path: &Path,
    orientation: &OrientationArgs,
    context: &Context<'_>,
) -> Result<Decoded, CliError> {
    open_with(path, &orientation.decode_options(), context)
}

/// [`open`] with other options.
pub(super) fn open_with(
    path: &Path,
    options: &DecodeOptions,
    context: &Context<'_>,
) -> Result<Decoded, CliError> {
    let decoded = zoo_pipeline::read::image(path, options).map_err(HostError::from)?;
    if !decoded.notes.is_empty() {
        let words: Vec<String> = decoded.notes.iter().map(ToString::to_string).collect();
        let name = if path == Path::new("-") { STDIN.into() } else { path_text(path) };
        context.note(&format!("{name}: {}", words.join("; ")));
    }
    Ok(decoded)
}

/// What was lost or decided on the way from the file to pixels, in words.
pub(super) fn notes(decoded: &Decoded) -> Value {
    decoded.notes.iter().map(ToString::to_string).collect()
}
