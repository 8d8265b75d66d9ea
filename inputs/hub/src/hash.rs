//! sha256 of files, whole or as they arrive.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// sha256 of a file, lower-case hex.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut hasher = Hasher::default();
    hasher.absorb(&mut file).map_err(Error::io(path))?;
    Ok(hasher.hex())
}

/// A running sha256.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes in all that `reader` gives; returns the number of bytes.
    pub(crate) fn absorb(&mut self, reader: &mut impl Read) -> std::io::Result<u64> {
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(total),
                n => {
                    self.update(&buffer[..n]);
                    total += n as u64;
                }
            }
        }
    }

    pub(crate) fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vector() {
        let mut hasher = Hasher::default();
        assert_eq!(hasher.absorb(&mut &b"abc"[..]).unwrap(), 3);
        assert_eq!(hasher.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
