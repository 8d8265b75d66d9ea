//! Whether splits of a set have anything in common: a look at what is written, not at how it came to be.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::part::SCENES_FILE;
use crate::error::{Error, Result};
use crate::scene::{Body, Scene, Split, keys, owner};

/// What the look found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaks {
    /// Scenes of each split.
    pub scenes: BTreeMap<String, u64>,
    /// Different coarse descriptions in all splits together.
    pub keys: u64,
    /// Coarse descriptions of scenes that another split owns, or that two splits have.
    pub shared: u64,
    /// Parts of scenes (a body, figure, text, camera, chart), exactly as they are.
    pub parts: u64,
    /// Parts that two splits have.
    pub shared_parts: u64,
}

/// A line of the scenes' file, as far as it is needed.
#[derive(Deserialize)]
struct Line {
    scene: Scene,
}

/// Looks at all scenes of a set.
///
/// # Errors
/// The first scene that stands where it does not belong, or what two splits share; a file that is none of a set's.
pub fn check(folder: &Path) -> Result<Leaks> {
    let mut found = Leaks::default();
    let mut keys_of: BTreeMap<[u8; 16], Split> = BTreeMap::new();
    let mut parts_of: BTreeMap<[u8; 16], Split> = BTreeMap::new();
    let mut first = None;
    for split in Split::ALL.iter().copied() {
        let path = folder.join(split.word()).join(SCENES_FILE);
        let Ok(file) = File::open(&path) else { continue };
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(Error::io(&path, "cannot be read"))?;
            let read = |e| Error::read(&path, format!("line {}: {e}", number + 1));
            let scene = serde_json::from_str::<Line>(&line).map_err(read)?.scene;
            *found.scenes.entry(split.word().to_owned()).or_default() += 1;
            for key in keys(&scene) {
                let other = *keys_of.entry(digest(key.as_bytes())).or_insert(split);
                if owner(&key) != split || other != split {
                    found.shared += 1;
                    first.get_or_insert_with(|| {
                        format!("{}: line {}: `{key}` belongs to another split", path.display(), number + 1)
                    });
                }
            }
            for part in parts(&scene)? {
                let other = *parts_of.entry(digest(part.as_bytes())).or_insert(split);
                if other != split {
                    found.shared_parts += 1;
                    first.get_or_insert_with(|| {
                        format!("{}: line {}: {other:?} has this too: {part}", path.display(), number + 1)
                    });
                }
            }
        }
    }
    if found.scenes.is_empty() {
        return Err(Error::read(folder, "no scenes are there; this is no set of the world"));
    }
    (found.keys, found.parts) = (keys_of.len() as u64, parts_of.len() as u64);
    match first {
        Some(message) => Err(Error::Leak { path: folder.to_owned(), message }),
        None => Ok(found),
    }
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    let hash = Sha256::digest(bytes);
    let mut out = [0; 16];
    out.copy_from_slice(&hash[..16]);
    out
}

/// The parameters of a scene, part by part, as text.
fn parts(scene: &Scene) -> Result<Vec<String>> {
    fn text(name: &str, value: &impl Serialize) -> Result<String> {
        let json = serde_json::to_string(value).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(format!("{name} {json}"))
    }
    let mut out = Vec::new();
    match &scene.body {
        Body::Room(room) => {
            out.push(text("camera", &room.camera)?);
            out.push(text("lamp", &room.lamp)?);
            out.push(text("floor", &room.floor)?);
            for object in &room.objects {
                out.push(text("object", object)?);
            }
        }
        Body::Flat(flat) => {
            out.push(text("paper", &flat.paper)?);
            for figure in &flat.figures {
                out.push(text("figure", figure)?);
            }
        }
        Body::Page(page) => {
            out.push(text("paper", &page.paper)?);
            for line in &page.texts {
                out.push(text("text", line)?);
            }
        }
        Body::Chart(chart) => out.push(text("chart", chart)?),
    }
    Ok(out)
}
