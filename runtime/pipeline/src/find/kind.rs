//! What a file holds. Its contents decide; its name only spares a look.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zoo_preprocess::{HEAD, sniff};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// An image.
    Image,
    /// Normalised pixels in a safetensors file.
    Pixels,
}

/// Extensions of files that need no look: if they are no images, decoding says so.
const IMAGES: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "jfif"];

impl Contents {
    /// What a file holds that was named itself: an image, unless it is a safetensors file.
    pub fn of(path: &Path) -> Self {
        match extension(path).as_str() {
            "safetensors" => Self::Pixels,
            known if IMAGES.contains(&known) => Self::Image,
            _ if head(path).is_ok_and(|head| is_safetensors(&head)) => Self::Pixels,
            _ => Self::Image,
        }
    }
}

/// Whether the name is that of an image.
pub fn has_image_name(path: &Path) -> bool {
    IMAGES.contains(&extension(path).as_str())
}

/// Why a file in a folder is no image that can be read, if it is none.
pub(super) fn not_an_image(path: &Path) -> io::Result<Option<String>> {
    if IMAGES.contains(&extension(path).as_str()) {
        return Ok(None);
    }
    let head = head(path)?;
    if is_safetensors(&head) {
        return Ok(Some("this is a safetensors file; name it itself if it holds pixels".into()));
    }
    Ok(if head.is_empty() { Some("the file is empty".into()) } else { sniff(&head).err() })
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Eight bytes of length, then a JSON object.
fn is_safetensors(head: &[u8]) -> bool {
    let length = head.first_chunk().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| (2..=100_000_000).contains(&length)) && head.get(8..10) == Some(b"{\"")
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}
