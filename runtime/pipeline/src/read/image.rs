//! One image, from a file or from standard input.

use std::io::{self, Read};
use std::path::Path;

use zoo_preprocess::{DecodeOptions, Decoded, Error, decode, open};

/// What standard input is called.
const STDIN: &str = "standard input";

/// Decodes the image at `path`, or the one on standard input for `-`.
///
/// # Errors
/// As [`zoo_preprocess::open`].
pub fn image(path: &Path, options: &DecodeOptions) -> Result<Decoded, Error> {
    if path != Path::new("-") {
        return open(path, options);
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|source| Error::Io { name: STDIN.into(), source })?;
    decode(&bytes, STDIN, options)
}
