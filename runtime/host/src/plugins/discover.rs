//! Finding manifests. No code runs here.

use std::path::{Path, PathBuf};

use super::manifest::SUFFIX;
use super::trust::Folder;
use super::{Manifest, PluginError, Template, paste};

/// How authors call their part of a manifest.
const TEMPLATE: &str = "plugin.toml";

/// A manifest that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Plugin name, from the file name.
    pub name: String,
    /// The manifest file.
    pub path: PathBuf,
    /// Its folder.
    pub folder: Folder,
    /// What it says.
    pub manifest: Result<Manifest, PluginError>,
    /// Its text; empty if it cannot be read.
    pub text: String,
}

/// The folders to search, first to last: `dirs`, `ZOO_PLUGIN_PATH`, the user's `DATA/plugins`, `plugins` beside
/// the executable. Never the current folder, and no relative path.
pub(super) fn folders(dirs: &[PathBuf], data: &Path) -> Result<Searched, PluginError> {
    let from_env: Vec<PathBuf> = std::env::var_os("ZOO_PLUGIN_PATH")
        .map(|v| std::env::split_paths(&v).filter(|p| !p.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    for (dirs, what) in [(dirs, "--plugin-dir"), (&from_env, "ZOO_PLUGIN_PATH")] {
        if let Some(path) = dirs.iter().find(|p| !p.is_absolute()) {
            let why =
                format!("{what} takes absolute paths only, so that nobody's current folder becomes code");
            return Err(PluginError::Folder { path: path.clone(), why });
        }
    }
    let beside =
        std::env::current_exe().ok().and_then(|exe| Some(exe.canonicalize().ok()?.parent()?.join("plugins")));
    let asked = |path: &PathBuf, how| (path.clone(), Some(how));
    let all = dirs
        .iter()
        .map(|path| asked(path, "--plugin-dir"))
        .chain(from_env.iter().map(|path| asked(path, "ZOO_PLUGIN_PATH")))
        .chain([(data.join("plugins"), None)])
        .map(|(path, how)| (path, how, false))
        .chain(beside.map(|path| (path, None, true)));
    let mut folders = Searched::default();
    for (path, how, ours) in all {
        match path.canonicalize() {
            Ok(path) if path.is_dir() => match folders.found.iter_mut().find(|f| f.path == path) {
                Some(known) => known.ours |= ours,
                None => folders.found.push(Folder { path, ours, named: how == Some("--plugin-dir") }),
            },
            _ => folders.missing.push((path, how)),
        }
    }
    Ok(folders)
}

/// Folders to be searched.
#[derive(Debug, Default)]
pub(super) struct Searched {
    /// In the order of search.
    pub found: Vec<Folder>,
    /// Those that do not exist, and what named them: nothing for the usual ones.
    pub missing: Vec<(PathBuf, Option<&'static str>)>,
}

/// Takes out manifests in whose stead those of the same name in folders of the command line are used: those come back.
pub(super) fn shadowed(found: &mut Vec<Found>) -> Vec<(Found, PathBuf)> {
    let winners: Vec<(String, PathBuf)> =
        found.iter().filter(|f| f.folder.named).map(|f| (f.name.clone(), f.path.clone())).collect();
    let mut out = Vec::new();
    found.retain(|f| match winners.iter().find(|(name, _)| *name == f.name) {
        Some((_, path)) if !f.folder.named => {
            out.push((f.clone(), path.clone()));
            false
        }
        _ => true,
    });
    out
}

/// What to do with the author's part of a manifest that lies in a plugin folder.
fn unstaged(template: &Path, folder: &Path) -> String {
    format!(
        "this is the author's part of a manifest; `zoo plugins stage LIBRARY --manifest {} --into {}` makes the whole of \
         it",
        paste::word(template),
        paste::word(folder)
    )
}

/// The manifests of a folder, by name.
pub(super) fn manifests(folder: &Folder) -> Result<Vec<Found>, PluginError> {
    let fault = |e| PluginError::io(&folder.path, "cannot list the plugin folder", e);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder.path).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(name) = file.strip_suffix(SUFFIX).map(str::to_owned) else {
            if file == TEMPLATE {
                let why = unstaged(&path, &folder.path);
                let (name, manifest) =
                    (file.to_owned(), Err(PluginError::Manifest { path: path.clone(), why }));
                all.push(Found { name, path, folder: folder.clone(), manifest, text: String::new() });
            }
            continue;
        };
        let (text, manifest) = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let manifest = Manifest::parse(&text, &name).map_err(|why| {
                    let why =
                        if Template::parse(&text).is_ok() { unstaged(&path, &folder.path) } else { why };
                    PluginError::Manifest { path: path.clone(), why }
                });
                (text, manifest)
            }
            Err(e) => (String::new(), Err(PluginError::io(&path, "cannot read the manifest", e))),
        };
        all.push(Found { name, path, folder: folder.clone(), manifest, text });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}
