//! Bytes of pictures and masks, and files that are there whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::render::Rendering;

/// How pictures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG of quality 92.
    Jpg,
    /// PNG, exact.
    Png,
}

const QUALITY: u8 = 92;

impl Format {
    /// The ending of its files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jpg => "jpg",
            Self::Png => "png",
        }
    }

    pub(super) fn encode(self, seen: &Rendering) -> Result<Vec<u8>> {
        let (w, h) = (seen.width as u32, seen.height as u32);
        match self {
            Self::Png => png(&seen.rgb, (w, h), ExtendedColorType::Rgb8),
            Self::Jpg => {
                let mut out = Vec::new();
                JpegEncoder::new_with_quality(&mut out, QUALITY)
                    .write_image(&seen.rgb, w, h, ExtendedColorType::Rgb8)
                    .map_err(internal)?;
                Ok(out)
            }
        }
    }
}

fn internal(error: impl ToString) -> Error {
    Error::Internal(format!("a picture cannot be encoded: {}", error.to_string()))
}

fn png(bytes: &[u8], (w, h): (u32, u32), colour: ExtendedColorType) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(bytes, w, h, colour).map_err(internal)?;
    Ok(out)
}

/// Grey levels as they are.
pub(super) fn grey(levels: &[u8], seen: &Rendering) -> Result<Vec<u8>> {
    png(levels, (seen.width as u32, seen.height as u32), ExtendedColorType::L8)
}

/// Three levels for each pixel.
pub(super) fn colours(levels: &[u8], seen: &Rendering) -> Result<Vec<u8>> {
    png(levels, (seen.width as u32, seen.height as u32), ExtendedColorType::Rgb8)
}

/// Millimetres in 16 bits; 0 where there is no end.
pub(super) fn depth(seen: &Rendering) -> Result<Vec<u8>> {
    let millimetres = |metres: &f32| (f64::from(*metres) * 1000.0).round().clamp(0.0, 65535.0) as u16;
    let bytes: Vec<u8> = seen.depth.iter().flat_map(|metres| millimetres(metres).to_ne_bytes()).collect();
    png(&bytes, (seen.width as u32, seen.height as u32), ExtendedColorType::L16)
}

/// How the names of files begin and end that are not complete.
const PREFIX: &str = ".zoo-";
const SUFFIX: &str = ".part";

/// Takes away the files that a run which was killed could not complete.
pub(super) fn sweep(folder: &Path) -> Result<()> {
    let error = |source| Error::Io { path: folder.to_owned(), what: "cannot be read", source };
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type().map_err(error)?.is_dir() {
            sweep(&path)?;
        } else if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            fs::remove_file(&path).map_err(Error::io(&path, "cannot be removed"))?;
        }
    }
    Ok(())
}

/// A whole file, under its name when it is complete.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io(folder, "the folder cannot be made"))?;
    let error = |source| Error::Io { path: path.to_owned(), what: "cannot be written", source };
    let mut file =
        tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A temporary file is its owner's alone; a set is everybody's that may read the folder.
        let _ = file.as_file().set_permissions(fs::Permissions::from_mode(0o644));
    }
    file.persist(path).map_err(|e| error(e.error))?;
    Ok(())
}
