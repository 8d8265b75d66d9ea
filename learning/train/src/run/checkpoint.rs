//! What a run leaves behind to go on from: everything that is trained, its moments, and where it was.

use std::borrow::Cow;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::optimiser::{Optimiser, Slot};
use crate::{Error, Result};

/// The folder of checkpoints in the folder of a run.
const FOLDER: &str = "checkpoints";
const TRAINED: &str = "trained.safetensors";
const MOMENTS: [&str; 2] = ["first-moments.safetensors", "second-moments.safetensors"];
const STATE: &str = "state.json";

/// What belongs to a checkpoint beside tensors. Order and randomness follow from the recipe and the number of steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Of this format.
    pub version: u32,
    /// Steps that were done.
    pub step: usize,
    /// Of the text of the recipe.
    pub recipe: String,
    /// Of the texts of the data.
    pub data: String,
    /// Samples so far, and those of them that could not be used.
    pub samples: u64,
    /// See `samples`.
    pub skipped: u64,
}

/// A fingerprint of a text: 16 hexadecimal digits.
pub fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Writes a checkpoint to the folder `out` of a run, complete or not at all.
///
/// # Errors
/// [`Error::Io`], [`Error::Checkpoint`].
pub fn save(out: &Path, state: &State, optimiser: &Optimiser) -> Result<()> {
    let folder = out.join(FOLDER);
    fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the folder"))?;
    let path = folder.join(name(state.step));
    let temporary = tempfile::Builder::new().prefix(".incomplete-").tempdir_in(&folder);
    let temporary = temporary.map_err(Error::io(&folder, "cannot write a checkpoint"))?;
    tensors(&temporary.path().join(TRAINED), optimiser, |slot| &slot.value)?;
    for (i, name) in MOMENTS.into_iter().enumerate() {
        tensors(&temporary.path().join(name), optimiser, |slot| &slot.moments[i])?;
    }
    let json = serde_json::to_vec_pretty(state).map_err(|e| Error::Internal(e.to_string()))?;
    write_synced(&temporary.path().join(STATE), &json)?;
    if path.exists() {
        fs::remove_dir_all(&path).map_err(Error::io(&path, "cannot replace the checkpoint"))?;
    }
    fs::rename(temporary.keep(), &path).map_err(Error::io(&path, "cannot write the checkpoint"))
}

/// Removes all but the last `keep` checkpoints, and what was cut off while it was written.
///
/// # Errors
/// [`Error::Io`].
pub fn prune(out: &Path, keep: usize) -> Result<()> {
    let folder = out.join(FOLDER);
    let old = list(out)?;
    let old = old.iter().rev().skip(keep).map(|(_, path)| path.clone());
    let entries = fs::read_dir(&folder).map_err(Error::io(&folder, "cannot read the folder"))?;
    let broken = entries.flatten().map(|entry| entry.path());
    let broken =
        broken.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(".incomplete-")));
    for path in old.chain(broken) {
        fs::remove_dir_all(&path).map_err(Error::io(&path, "cannot remove an old checkpoint"))?;
    }
    Ok(())
}

/// Steps and folders of the checkpoints of a run, the last one last.
///
/// # Errors
/// [`Error::Io`].
pub fn list(out: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let folder = out.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(Error::io(&folder, "cannot read the folder"))?;
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok();
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<(usize, PathBuf)> = paths.filter_map(|path| Some((step(&path)?, path))).collect();
    found.sort();
    Ok(found)
}

/// What a checkpoint says of itself.
///
/// # Errors
/// [`Error::Checkpoint`] for one of another version; [`Error::Io`].
pub fn state(path: &Path) -> Result<State> {
    let file = path.join(STATE);
    let text = fs::read_to_string(&file).map_err(Error::io(&file, "cannot read the checkpoint"))?;
    let state: State = serde_json::from_str(&text).map_err(|e| Error::checkpoint(&file, e.to_string()))?;
    if state.version != 1 {
        return Err(Error::checkpoint(
            &file,
            format!("version {}; this program reads version 1", state.version),
        ));
    }
    Ok(state)
}

/// Puts what a checkpoint holds into `optimiser`.
///
/// # Errors
/// [`Error::Checkpoint`] for one of other tensors; [`Error::Io`].
pub fn load(path: &Path, state: &State, optimiser: &mut Optimiser) -> Result<()> {
    fill(&path.join(TRAINED), optimiser, |slot| &mut slot.value)?;
    for (i, name) in MOMENTS.into_iter().enumerate() {
        fill(&path.join(name), optimiser, |slot| &mut slot.moments[i])?;
    }
    optimiser.steps = state.step;
    Ok(())
}

fn name(step: usize) -> String {
    format!("step-{step:08}")
}

fn fill(path: &Path, optimiser: &mut Optimiser, of: impl Fn(&mut Slot) -> &mut Vec<f32>) -> Result<()> {
    let fault = |message: String| Error::checkpoint(path, message);
    let mut stored = candle_core::safetensors::load(path, &Device::Cpu).map_err(|e| fault(e.to_string()))?;
    for (key, slot) in optimiser.slots_mut() {
        let tensor: Option<Tensor> = stored.remove(key);
        let tensor = tensor.filter(|t| t.dims() == slot.shape && t.dtype() == DType::F32);
        let tensor =
            tensor.ok_or_else(|| fault(format!("there is no f32 tensor `{key}` of {:?}", slot.shape)))?;
        *of(slot) = tensor.flatten_all()?.to_vec1()?;
    }
    match stored.keys().next() {
        None => Ok(()),
        Some(key) => Err(fault(format!("`{key}` is not trained by this recipe"))),
    }
}

fn tensors(path: &Path, optimiser: &Optimiser, of: impl Fn(&Slot) -> &Vec<f32>) -> Result<()> {
    let tensors = optimiser.slots().iter().map(|(key, slot)| (key, Numbers(&slot.shape, of(slot))));
    safetensors::serialize_to_file(tensors, None, path)
        .map_err(|e| Error::checkpoint(path, e.to_string()))?;
    synced(path)
}

/// Numbers of a tensor on their way to a file.
pub(super) struct Numbers<'a>(pub &'a [usize], pub &'a [f32]);

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.0
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.1.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        size_of_val(self.1)
    }
}

/// Waits until a file is on the disk, so that a checkpoint with a name is a whole one even after a loss of power.
pub(super) fn synced(path: &Path) -> Result<()> {
    let sync = || fs::File::open(path)?.sync_all();
    sync().map_err(Error::io(path, "cannot write"))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io(path, "cannot write"))
}
