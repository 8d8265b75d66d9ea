//! What is wrong with a data set, before it is trained on.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{DataSource, Dataset, Flaw, FlawKind, Result};

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Records that can be learnt from.
    pub sound: usize,
    /// Of these, records with an image.
    pub with_image: usize,
    /// Words of all sound records.
    pub words: u64,
    /// How many flaws there are of each kind.
    pub counts: BTreeMap<FlawKind, usize>,
    /// All of them, in the order of the files.
    pub flaws: Vec<Flaw>,
}

/// Looks at every record and at every image; images are decoded where `decode` asks for it.
///
/// # Errors
/// As [`Dataset::open`].
pub fn check(sources: &[DataSource], decode: bool) -> Result<Checked> {
    let data = Dataset::open(sources)?;
    let mut out =
        Checked { sound: 0, with_image: 0, words: 0, counts: BTreeMap::new(), flaws: data.flaws().to_vec() };
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (sample, length) in data.lengths().into_iter().enumerate() {
        let (record, image) = data.read(sample)?;
        let mut flaw = |kind, message| out.flaws.push(Flaw { place: data.place(sample), kind, message });
        let content = format!("{:?}\n{:?}", record.image, record.conversation);
        if let Some(first) = seen.insert(content, sample) {
            flaw(FlawKind::Duplicate, format!("the same as {}", data.place(first)));
            continue;
        }
        if let Some(image) = &image {
            if let Some(message) = missing(image) {
                flaw(FlawKind::MissingImage, message);
                continue;
            }
            if decode && let Err(error) = zoo_preprocess::open(image, &Default::default()) {
                flaw(FlawKind::BadImage, error.to_string());
                continue;
            }
        }
        out.sound += 1;
        out.with_image += usize::from(image.is_some());
        out.words += u64::from(length.unsigned_abs());
    }
    for flaw in &out.flaws {
        *out.counts.entry(flaw.kind).or_default() += 1;
    }
    Ok(out)
}

/// What to say of an image that is not there; nothing where it is.
fn missing(path: &Path) -> Option<String> {
    if path.is_file() {
        return None;
    }
    let near = like(path).map_or_else(String::new, |near| {
        format!("; there is {}, which other systems take for the same", near.display())
    });
    Some(format!("there is no image {}{near}", path.display()))
}

/// A file beside it whose name differs in the case of letters alone.
fn like(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let found = entries.flatten().find(|e| e.file_name().to_string_lossy().to_lowercase() == name);
    found.map(|entry| entry.path())
}
