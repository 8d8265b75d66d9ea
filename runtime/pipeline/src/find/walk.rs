//! Below a folder. What cannot be entered or followed is told once, and the rest is looked at.

use std::ffi::OsStr;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use super::kind::{has_image_name, not_an_image};
use super::{Contents, FindError, Found, Input};

/// What is met below a folder.
pub(super) enum Met {
    /// A file.
    File,
    /// Something that is passed over, and why.
    Passed(&'static str),
    /// Something that cannot be looked into.
    Failed(FindError),
}

/// The images below `root`, by their contents.
pub(super) fn images(root: &Path, found: &mut Found) -> Result<(), FindError> {
    let before = (found.inputs.len(), found.failures.len());
    walk(root, usize::MAX, |below, path, met| match met {
        Met::File => match not_an_image(path) {
            Ok(None) => found.inputs.push(input(root, below, path, Contents::Image)),
            Ok(Some(reason)) => found.pass(path.to_path_buf(), reason),
            Err(error) => found.fail(path, error.into()),
        },
        Met::Passed(reason) => found.pass(path.to_path_buf(), reason),
        Met::Failed(error) => found.fail(path, error),
    });
    // What could not be looked into is told already.
    if (found.inputs.len(), found.failures.len()) == before { Err(FindError::NoImages) } else { Ok(()) }
}

/// An input that was found below `root`.
pub(super) fn input(root: &Path, below: &Path, path: &Path, contents: Contents) -> Input {
    // Nobody who types `.` wants to read `./` before every name.
    let path = if root == Path::new(".") { below } else { path };
    Input { path: path.to_path_buf(), name: below.to_path_buf(), contents }
}

/// Calls `each` with everything below `root` that is no folder and not hidden, at most `depth` folders down, in the
/// order of the names: its path below `root`, its path, and what it is. Links are followed, but not in circles.
pub(super) fn walk(root: &Path, depth: usize, mut each: impl FnMut(&Path, &Path, Met)) {
    let below = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_path_buf();
    let mut hidden = Vec::new();
    let visible = |entry: &DirEntry| {
        let visible = entry.depth() == 0 || !is_hidden(entry.file_name());
        if !visible && has_image_name(entry.path()) {
            hidden.push(entry.path().to_path_buf());
        }
        visible
    };
    let all = WalkDir::new(root).follow_links(true).max_depth(depth).sort_by_file_name();
    for entry in all.into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => each(&below(entry.path()), entry.path(), Met::File),
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => {
                let reason = "this is a pipe, a socket or a device; name it itself";
                each(&below(entry.path()), entry.path(), Met::Passed(reason));
            }
            Err(error) => {
                let path = error.path().map_or_else(|| root.to_path_buf(), Path::to_path_buf);
                if path == root || !path.file_name().is_some_and(is_hidden) {
                    each(&below(&path), &path, problem(&path, error));
                }
            }
        }
    }
    for path in hidden {
        each(&below(&path), &path, Met::Passed("hidden files are not looked at; name it itself"));
    }
}

fn problem(path: &Path, error: walkdir::Error) -> Met {
    if error.loop_ancestor().is_some() {
        return Met::Passed("this link leads to a folder that it stands in");
    }
    let link = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_symlink());
    Met::Failed(match error.into_io_error() {
        Some(error) if link && error.kind() == std::io::ErrorKind::NotFound => FindError::Dangling,
        Some(error) => error.into(),
        None => FindError::Missing,
    })
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}
