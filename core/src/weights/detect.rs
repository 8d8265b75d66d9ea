//! Which layout a checkpoint has, and behind which prefix.

use std::sync::Arc;

use super::{Checkpoint, Layout, adapter};
use crate::Result;

/// What training scripts put before all names of a model: `DistributedDataParallel`, and modules of which the model is an
/// attribute.
const WRAPPINGS: [&str; 4] = ["module.", "model.", "module.model.", "model.module."];

/// The first layout and prefix whose marker is in the files; behind a wrapping only where it is not there without one.
pub(super) fn detect(files: &Checkpoint, wanted: &[&Layout]) -> Result<(Layout, Arc<str>)> {
    let behind = |wrapping: &str| {
        wanted.iter().find_map(|layout| {
            let prefixes = layout.prefixes.iter().map(|prefix| format!("{wrapping}{prefix}"));
            let mut found = prefixes.filter(|prefix| files.contains(&format!("{prefix}{}", layout.marker)));
            found.next().map(|prefix| ((*layout).clone(), Arc::from(prefix)))
        })
    };
    if let Some(found) = behind("") {
        return Ok(found);
    }
    let mut wrapped: Vec<(Layout, Arc<str>)> =
        WRAPPINGS.iter().filter_map(|wrapping| behind(wrapping)).collect();
    wrapped.dedup_by(|(_, a), (_, b)| a == b);
    match wrapped.as_slice() {
        [found] => Ok(found.clone()),
        [] if files.keys().any(adapter::is_part) => Err(files.fault(adapter::advice(None))),
        [] => Err(files.fault(unknown(files, wanted))),
        [(_, first), (_, second), ..] => Err(files.fault(format!(
            "the weights stand there twice, under `{first}` and under `{second}`; keep the ones that are meant"
        ))),
    }
}

/// What was looked for.
fn unknown(files: &Checkpoint, wanted: &[&Layout]) -> String {
    let tried: Vec<_> = wanted
        .iter()
        .map(|l| {
            let keys: Vec<_> = l.prefixes.iter().map(|prefix| format!("`{prefix}{}`", l.marker)).collect();
            format!("{} ({})", l.name, keys.join(" or "))
        })
        .collect();
    format!(
        "no known layout: looked for {}; the file has {} tensors, such as {}",
        tried.join(", "),
        files.len(),
        files.sample()
    )
}
