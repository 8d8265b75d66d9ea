//! Paths on the wire, which is JSON: as text where they are text, otherwise as `{"bytes": […]}`. File names need not be
//! UTF-8; what older plugins read is what it was.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Bytes { bytes: Vec<u8> },
}

impl Wire {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes { bytes: path.as_os_str().as_encoded_bytes().to_vec() },
        }
    }

    fn path<E: serde::de::Error>(self) -> Result<PathBuf, E> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Bytes { bytes } => os_string(bytes)
                .map(PathBuf::from)
                .ok_or_else(|| E::custom("a path that this system cannot have")),
        }
    }
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

/// For `#[serde(with)]` on a path.
pub(super) mod one {
    use super::*;

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::of(path).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Wire::deserialize(deserializer)?.path()
    }
}

/// For `#[serde(with)]` on a list of paths.
pub(super) mod many {
    use super::*;

    pub fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| Wire::of(path)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        let wires = Vec::<Wire>::deserialize(deserializer).map_err(D::Error::custom)?;
        wires.into_iter().map(Wire::path).collect()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use crate::Error;
    use crate::sdk::OpenOptions;
    use crate::sdk::failure::{from_wire, to_wire};

    #[test]
    fn a_name_that_is_not_utf8_arrives_as_it_was() {
        let path = |bytes: &[u8]| std::path::PathBuf::from(OsStr::from_bytes(bytes));
        let options =
            OpenOptions { weights: vec![path(b"a/b.bin"), path(b"caf\xe9.bin")], ..OpenOptions::default() };
        let json = serde_json::to_string(&options).unwrap();
        assert!(json.contains(r#"["a/b.bin",{"bytes":[99,97,102,233,"#), "{json}");
        assert_eq!(serde_json::from_str::<OpenOptions>(&json).unwrap(), options);
        let error = || Error::File { path: path(b"caf\xe9"), message: "truncated".into() };
        let there = from_wire(&to_wire(error()));
        assert!(matches!(&there, Error::File { path, .. } if path.as_os_str().as_bytes() == b"caf\xe9"));
        assert_eq!(there.to_string(), r"caf\xE9: truncated");
    }
}
