//! The image of a record, outside a table or inside.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zoo_preprocess::{Decoded, decode, open};
use zoo_records::{Picture, Row, Unread, Value};

use crate::{FlawKind, Record};

/// The column of a record's image.
const COLUMN: &str = "image";

/// The image of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// A file.
    File(PathBuf),
    /// Inside the table, as Parquet and tar shards have it.
    Inside {
        /// Follows from its content: what `zoo data convert --pictures` calls its file.
        name: String,
        /// Those of its file.
        bytes: Vec<u8>,
    },
}

impl Image {
    /// That of a record, whose `inside` was in the table; files count from `folder`.
    pub(crate) fn of(record: &Record, inside: Option<Vec<u8>>, folder: &Path) -> Option<Self> {
        let name = record.image.as_ref()?;
        Some(match inside {
            Some(bytes) => Self::Inside { name: name.clone(), bytes },
            None => Self::File(folder.join(name)),
        })
    }

    /// Whether it is a file that is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(path) if !path.is_file())
    }

    /// The picture, or why it cannot be read.
    ///
    /// # Errors
    /// One message that names it.
    pub fn open(&self) -> Result<Decoded, String> {
        match self {
            Self::File(path) => open(path, &Default::default()),
            Self::Inside { name, bytes } => decode(bytes, name, &Default::default()),
        }
        .map_err(|error| error.to_string())
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Inside { name, .. } => f.write_str(name),
        }
    }
}

/// The name of a picture of this content.
pub(crate) fn name(bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("{}/{hash}.{}", &hash[..2], Picture::extension(bytes))
}

/// What a row says.
pub(crate) struct Said<'a> {
    /// The record in JSON, whatever table it is in. A picture inside stands there by its [`name`].
    pub text: Cow<'a, [u8]>,
    /// The picture.
    pub inside: Option<Vec<u8>>,
}

/// The row, or what is wrong with it: where it stands is said beside it.
pub(crate) fn parsed(row: Unread) -> Result<Row, (FlawKind, String)> {
    row.parse().map_err(|error| match error {
        zoo_records::Error::Row { message, .. } => (FlawKind::Form, message),
        other => (FlawKind::Form, other.to_string()),
    })
}

/// What a row says, and the picture that is inside it.
pub(crate) fn said(row: &Unread) -> Result<Said<'_>, (FlawKind, String)> {
    if let Some(text) = row.json() {
        return Ok(Said { text: Cow::Borrowed(text), inside: None });
    }
    let mut row = parsed(row.clone())?;
    let inside = apart(&mut row);
    Ok(Said { text: Cow::Owned(row.json().into_bytes()), inside })
}

/// Takes a picture out of a row, and leaves its name there. `{bytes, path}` without bytes is the path.
pub(crate) fn apart(row: &mut Row) -> Option<Vec<u8>> {
    let (_, value) = row.fields_mut().iter_mut().find(|(name, _)| name == COLUMN)?;
    let bytes = match value {
        Value::Bytes(bytes) => std::mem::take(bytes),
        Value::Map(fields) => {
            let mut part = |part: &str| {
                let found = fields.iter_mut().find(|(name, _)| name == part);
                found.map_or(Value::Null, |(_, value)| std::mem::replace(value, Value::Null))
            };
            match part("bytes") {
                Value::Bytes(bytes) => bytes,
                _ => {
                    *value = part("path");
                    return None;
                }
            }
        }
        _ => return None,
    };
    *value = Value::Text(name(&bytes));
    Some(bytes)
}
