//! A picture, in whichever of the usual ways a table holds one.

use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::{Error, Place, Result, Value};

/// Python's decoder wants padding, others leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A picture as a file is: not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// The bytes of its file.
    Bytes(Vec<u8>),
    /// Its file.
    File(PathBuf),
}

impl Picture {
    /// The bytes of its file.
    ///
    /// # Errors
    /// [`Error::Io`] with the name of a file that cannot be read.
    pub fn read(self) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File(path) => std::fs::read(&path).map_err(Error::io(&path, "cannot read a picture")),
        }
    }

    /// The usual extension of the file of a picture that begins like this; `bin` for what is not known.
    pub fn extension(bytes: &[u8]) -> &'static str {
        extension(bytes)
    }

    /// What `value` holds: bytes, base64, a data URL, a path below `root`, or `{bytes, path}`.
    pub(crate) fn of(value: &Value, root: &Path) -> Result<Self, String> {
        match value {
            Value::Bytes(bytes) => Ok(Self::Bytes(bytes.clone())),
            Value::Text(text) => Self::of_text(text, root),
            Value::Map(_) => match (value.get("bytes"), value.get("path")) {
                (Some(Value::Null) | None, Some(Value::Text(path))) => Self::of_path(path, root),
                (Some(Value::Bytes(bytes)), _) => Ok(Self::Bytes(bytes.clone())),
                (Some(Value::Text(text)), _) => Self::of_text(text, root),
                _ => Err("an object with neither `bytes` nor `path` is no picture".to_owned()),
            },
            other => Err(format!("{} is no picture", other.kind())),
        }
    }

    fn of_text(text: &str, root: &Path) -> Result<Self, String> {
        if let Some(url) = text.strip_prefix("data:") {
            let data = url.split_once(',').filter(|(head, _)| head.ends_with(";base64"));
            let (_, data) = data.ok_or("a data URL of a picture is `data:image/…;base64,…`")?;
            return decode(data).map(Self::Bytes);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(format!("`{text}` is an address; nothing is downloaded here"));
        }
        // No path is that long, and no path without a dot begins like a picture.
        let head: String = text.chars().filter(|c| !c.is_ascii_whitespace()).take(16).collect();
        if text.len() >= 64 && head.len() == 16 && BASE64.decode(&head).is_ok_and(|head| is_picture(&head)) {
            return decode(text).map(Self::Bytes);
        }
        Self::of_path(text, root)
    }

    fn of_path(text: &str, root: &Path) -> Result<Self, String> {
        if text.is_empty() || text.len() > 4096 {
            return Err(format!("{} characters are neither base64 of a picture nor a path", text.len()));
        }
        let path = Path::new(text);
        // A table of somebody else must not name files outside its folder.
        if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("the path `{text}` leaves the folder of images ({})", root.display()));
        }
        Ok(Self::File(root.join(path)))
    }
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64.decode(text).map_err(|error| format!("the base64 of a picture is broken: {error}"))
}

/// Whether `bytes` begin as a picture does.
fn is_picture(bytes: &[u8]) -> bool {
    extension(bytes) != "bin"
}

/// The usual extension of what `bytes` begin with; `bin` for what is not known.
pub(crate) fn extension(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => "jpg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'G', b'I', b'F', b'8', ..] => "gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "tiff",
        // The size of a bitmap's second header follows.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => "bmp",
        _ => "bin",
    }
}

/// Whether files of this extension are pictures.
pub(crate) fn is_extension(extension: &str) -> bool {
    ["jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"].contains(&extension)
}

/// A picture in a column.
pub(crate) fn of_column(place: &Place, column: &str, value: &Value, root: &Path) -> Result<Picture> {
    Picture::of(value, root).map_err(|message| Error::row(place, format!("column `{column}`: {message}")))
}
