//! Files of a stage: whole or not there, and named by what they are about.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use zoo_records::write_whole;

use crate::{Error, Result};

/// 32 hexadecimal digits that follow from `parts`.
pub(crate) fn id(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// A name as a file: readable, and never that of another name.
pub(crate) fn named(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(60).collect();
    if plain == name { plain } else { format!("{plain}-{}", &id(&[name.as_bytes()])[..8]) }
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "cannot read"))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::file(path, format!("not what this stage writes: {error}; remove it to make it anew"))
    })
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| Error::file(path, error.to_string()))?;
    write(path, &text)
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes).map_err(Error::io(path, "cannot write"))
}
