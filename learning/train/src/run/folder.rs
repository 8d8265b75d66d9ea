//! The folder of a run: whether it may be written, and what of an earlier run goes.

use std::fs;
use std::path::{Path, PathBuf};

use zoo_host::Pieces;

use super::checkpoint;
use super::export;
use super::trainer::Begin;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// The recipe of a run in its folder, by which it is known.
pub(super) const RECIPE: &str = "recipe.toml";

/// Whether a run may begin like this in `out`.
pub(super) fn check(out: &Path, begin: Begin) -> Result<()> {
    if begin == Begin::Nowhere || is_empty(out) {
        return Ok(());
    }
    if !out.join(RECIPE).is_file() {
        let message = "this folder is not empty and not that of a run; choose another `out`";
        return Err(Error::checkpoint(out, message));
    }
    if begin == Begin::Anew {
        let steps = checkpoint::list(out)?.last().map_or(0, |(step, _)| *step);
        let message = format!(
            "there is a run here, of {steps} steps that are kept; --resume goes on with it, --overwrite begins anew"
        );
        return Err(Error::checkpoint(out, message));
    }
    Ok(())
}

fn is_empty(out: &Path) -> bool {
    match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !out.exists(),
    }
}

/// Whether nothing that a run reads is in the folder of the one that it overwrites.
pub(super) fn apart(recipe: &Recipe, pieces: &Pieces) -> Result<()> {
    let plan = &recipe.plan;
    let Ok(out) = plan.out.canonicalize() else { return Ok(()) };
    let connector = plan.connector.as_ref().filter(|connector| *connector != "new").map(PathBuf::from);
    let adapter = plan.lora.as_ref().and_then(|lora| lora.adapter.clone());
    let data = recipe.sources().into_iter().flat_map(|source| [source.records, source.images]);
    let weights = pieces.connector.iter().chain([&pieces.llm]).flat_map(|piece| piece.weights.clone());
    let looking = pieces.encoders.iter().flat_map(|encoder| encoder.weights().to_vec());
    let read = [pieces.release.folder.clone()].into_iter().chain(connector).chain(adapter);
    let read = read.chain(data).chain(weights).chain(looking).chain(plan.features.clone());
    let inside = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path.starts_with(&out));
    match read.into_iter().find(inside) {
        None => Ok(()),
        Some(path) => Err(Error::checkpoint(
            &plan.out,
            format!("the recipe reads {}, which is in the folder that --overwrite empties", path.display()),
        )),
    }
}

/// Takes away what an earlier run made, and nothing else. That by which the folder is known comes last, so that whoever
/// is cut off can do it again.
pub(super) fn clear(out: &Path) -> Result<()> {
    let entries = fs::read_dir(out).map_err(Error::io(out, "cannot read the folder"))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !made(&name) {
            continue;
        }
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        gone.map_err(Error::io(&path, "cannot remove"))?;
    }
    Ok(())
}

/// Whether a run makes something of this name, besides [`RECIPE`].
fn made(name: &str) -> bool {
    let others = ["checkpoints", "curves.svg", "log.jsonl", "skipped.jsonl", "tensorboard"];
    others.contains(&name) || export::made(name)
}
