//! The data of tasks, from the Hub into a folder for `zoo eval --data`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zoo_hub::{Hub, Listed, Progress};

use crate::dataset::{chosen, listed};
use crate::run::keep_file;
use crate::task::Task;
use crate::{Error, Result};

/// What says in a folder where its files come from; it is written when all are there.
const MARK: &str = ".zoo-dataset.json";

/// The branch that data sets are published on.
const REVISION: &str = "main";

/// A data set in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Its name on the Hub.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// The folder.
    pub folder: PathBuf,
    /// Its files, from the folder.
    pub files: Vec<String>,
    /// Whether it was there already.
    pub before: bool,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    repo: String,
    commit: String,
    files: Vec<String>,
}

/// Puts the data of `task` into the folder of its name below `out`: links to the cache that the Python tools share, and
/// copies where there are no links. Of the data set it is what the task's file names: its tables, and where their pictures
/// are files, those.
///
/// A folder that is complete is left as it is and nobody is asked. One that was not made here is never touched.
///
/// # Errors
/// [`Error::Data`] for a task without a data set on the Hub, one of whose files none matches, and a folder of something
/// else; [`Error::Hub`]; [`Error::Io`].
pub fn pull(hub: &Hub, task: &Task, out: &Path, progress: &dyn Progress) -> Result<Pulled> {
    let Some(repo) = task.spec.source.hub.as_deref() else {
        return Err(Error::data(task.name(), "its file names no data set on the Hub (`hub` in `[source]`)"));
    };
    let folder = out.join(task.name());
    let (commit, files, before) = match known(&folder, task, repo)? {
        Some(mark) if mark.files.iter().all(|file| folder.join(file).exists()) => {
            (mark.commit, mark.files, true)
        }
        // The cache was cleared, or a copy was deleted: the same files again.
        Some(mark) => {
            let source = Source { repo, revision: &mark.commit };
            fill(hub, source, &mark.commit, &mark.files, &folder, progress)?;
            (mark.commit, mark.files, false)
        }
        None => {
            let listed = hub.list(repo, REVISION, progress)?;
            let files = wanted(task, repo, &listed)?;
            let part = out.join(format!(".{}.part", task.name()));
            remove(&part)?;
            let source = Source { repo, revision: REVISION };
            fill(hub, source, &listed.commit, &files, &part, progress)?;
            let mark = Mark { repo: repo.to_owned(), commit: listed.commit, files };
            let text = serde_json::to_vec_pretty(&mark).map_err(|error| Error::Input(error.to_string()))?;
            keep_file(&part.join(MARK), &text)?;
            std::fs::rename(&part, &folder).map_err(Error::io(&folder, "cannot make the folder"))?;
            (mark.commit, mark.files, false)
        }
    };
    Ok(Pulled { repo: repo.to_owned(), commit, folder, files, before })
}

/// What an earlier call put there.
fn known(folder: &Path, task: &Task, repo: &str) -> Result<Option<Mark>> {
    if !folder.exists() {
        return Ok(None);
    }
    let other = |what: &str| {
        Error::data(
            task.name(),
            format!(
                "{} is there already and {what}; move it away, or name another folder with --out",
                folder.display()
            ),
        )
    };
    let text = std::fs::read(folder.join(MARK)).map_err(|_| other("was not made by `zoo pull --dataset`"))?;
    let mark: Mark = serde_json::from_slice(&text).map_err(|_| other("is damaged"))?;
    if mark.repo != repo {
        return Err(other(&format!("holds {}, not {repo}", mark.repo)));
    }
    Ok(Some(mark))
}

/// The files of a data set that a task reads.
fn wanted(task: &Task, repo: &str, listed_files: &Listed) -> Result<Vec<String>> {
    let names: Vec<PathBuf> = listed_files.files.iter().map(PathBuf::from).collect();
    let patterns: Vec<&str> = task.spec.source.files.iter().map(|p| p.get_ref().as_str()).collect();
    let mut files = chosen(&names, &patterns)?;
    if files.is_empty() {
        let message =
            format!("the data set {repo} has no file that matches {} on `{REVISION}`", listed(&patterns));
        return Err(Error::data(task.name(), message));
    }
    if let Some(join) = task.spec.image.as_ref().and_then(|image| image.join.as_ref()) {
        let patterns: Vec<&str> = join.files.iter().map(String::as_str).collect();
        files.extend(chosen(&names, &patterns)?);
    }
    let packed = |path: &PathBuf| path.extension().is_some_and(|e| e == "parquet" || e == "tar");
    if task.spec.image.is_some() && !files.iter().all(packed) {
        files.extend(names.iter().filter(|path| picture(path)).cloned());
    }
    files.sort();
    files.dedup();
    Ok(files.iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

/// Whether a file is a picture, by its name.
fn picture(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    extension
        .is_some_and(|e| ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"].contains(&e.as_str()))
}

/// A data set, and the name of what is known of it: a branch or a commit.
struct Source<'a> {
    repo: &'a str,
    revision: &'a str,
}

/// Downloads files as of `commit` and puts them into a folder.
fn fill(
    hub: &Hub,
    Source { repo, revision }: Source<'_>,
    commit: &str,
    files: &[String],
    folder: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let paths = hub.fetch_all(repo, revision, commit, files, progress)?;
    for (path, file) in paths.iter().zip(files) {
        place(path, &folder.join(file))?;
    }
    Ok(())
}

/// A link to a file of the cache; where the system has none, another name or a copy of it.
fn place(cached: &Path, path: &Path) -> Result<()> {
    let io = |error| Error::io(path, "cannot write")(error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    let cached = std::fs::canonicalize(cached).map_err(Error::io(cached, "cannot read"))?;
    if path.is_symlink() {
        std::fs::remove_file(path).map_err(io)?;
    }
    symlink(&cached, path)
        .or_else(|_| std::fs::hard_link(&cached, path))
        .or_else(|_| std::fs::copy(&cached, path).map(drop))
        .map_err(io)
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// What a call that was killed has left.
fn remove(part: &Path) -> Result<()> {
    match std::fs::remove_dir_all(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(part, "cannot remove")(error))
        }
        _ => Ok(()),
    }
}
