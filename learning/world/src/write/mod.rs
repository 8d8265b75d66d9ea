//! Sets on the disk: pictures, truth, and data in the formats that others read.
//!
//! A set appears under its name when it is complete. Until then it grows in a folder beside it, part by part; a part counts
//! when its records are there, and is made again otherwise, to the same bytes.

mod annotate;
mod encode;
mod leak;
mod llava;
mod merge;
mod part;
mod plan;
mod rle;
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub use encode::Format;
pub use leak::{Leaks, check};
pub use plan::{Output, Pack, Plan};
pub use rle::{compress, runs};

use crate::error::{Error, Result};

/// What becomes of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Nothing may be there.
    Anew,
    /// What an earlier run began is continued.
    Resume,
    /// What is there is replaced, when the new set is complete.
    Overwrite,
}

/// Who wants to know how far it is.
pub trait Watch {
    /// So many more scenes are written.
    fn advance(&mut self, scenes: u64);
}

impl Watch for () {
    fn advance(&mut self, _: u64) {}
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The set is complete.
    Finished(Leaks),
    /// Somebody stopped it; so many scenes are written.
    Stopped(u64),
}

/// Name of the file with the settings of a set.
pub const SETTINGS: &str = "world.json";

/// Where a set grows.
fn partial(out: &Path) -> Result<PathBuf> {
    let name = out.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Plan(format!("{}: this is no name of a folder", out.display())))?;
    Ok(out.with_file_name(format!(".{name}.unfinished")))
}

/// Whether nothing but a set is lost with what is there.
fn replaceable(out: &Path) -> bool {
    out.join(SETTINGS).is_file() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none())
}

/// Writes a set. `stop` is looked at after every part.
///
/// # Errors
/// What is there and must stay, settings that differ from those of the beginning, and the file system.
pub fn write(
    out: &Path,
    plan: &Plan,
    begin: Begin,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<Ended> {
    plan.sound()?;
    let partial = partial(out)?;
    let there = out.symlink_metadata().is_ok();
    if there && begin != Begin::Overwrite {
        return Err(Error::There(out.to_owned()));
    }
    if there && !replaceable(out) {
        return Err(Error::Other(out.to_owned()));
    }
    match (partial.is_dir(), begin) {
        (true, Begin::Anew) => return Err(Error::Unfinished { out: out.to_owned(), partial }),
        (false, Begin::Resume) => return Err(Error::NothingBegun(out.to_owned())),
        (true, Begin::Overwrite) => {
            fs::remove_dir_all(&partial).map_err(Error::io(&partial, "what was begun cannot be removed"))?;
        }
        (true, Begin::Resume) => encode::sweep(&partial)?,
        _ => {}
    }
    fs::create_dir_all(&partial).map_err(Error::io(&partial, "the folder cannot be made"))?;
    plan.agree(&partial)?;
    let mut written = 0;
    for part in part::all(plan) {
        if !part.done(&partial) {
            if stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped(written));
            }
            part.write(&partial, plan)?;
        }
        written += part.count();
        watch.advance(part.count());
    }
    merge::merge(&partial, plan)?;
    let leaks = leak::check(&partial)?;
    plan.finish(&partial, &leaks)?;
    if there {
        let old = out
            .with_file_name(format!(".{}.replaced", out.file_name().unwrap_or_default().to_string_lossy()));
        fs::rename(out, &old).map_err(Error::io(out, "what is there cannot be moved away"))?;
        fs::rename(&partial, out).map_err(Error::io(out, "the set cannot take its name"))?;
        fs::remove_dir_all(&old).map_err(Error::io(&old, "what was replaced cannot be removed"))?;
    } else {
        fs::rename(&partial, out).map_err(Error::io(out, "the set cannot take its name"))?;
    }
    Ok(Ended::Finished(leaks))
}
