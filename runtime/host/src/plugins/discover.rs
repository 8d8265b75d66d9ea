//! Finding manifests. No code runs here.

use std::path::{Path, PathBuf};

use super::manifest::SUFFIX;
use super::trust::Folder;
use super::{Manifest, PluginError};

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
/// the executable. Never the current folder, and no relative path. Folders that do not exist come second.
pub(super) fn folders(dirs: &[PathBuf], data: &Path) -> Result<(Vec<Folder>, Vec<PathBuf>), PluginError> {
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
    let users = dirs.iter().chain(&from_env).cloned().chain([data.join("plugins")]);
    let all = users.map(|p| (p, false)).chain(beside.map(|p| (p, true)));
    let (mut found, mut missing): (Vec<Folder>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for (path, ours) in all {
        match path.canonicalize() {
            Ok(path) if path.is_dir() => match found.iter_mut().find(|f| f.path == path) {
                Some(known) => known.ours |= ours,
                None => found.push(Folder { path, ours }),
            },
            _ => missing.push(path),
        }
    }
    Ok((found, missing))
}

/// The manifests of a folder, by name.
pub(super) fn manifests(folder: &Folder) -> Result<Vec<Found>, PluginError> {
    let fault = |e| PluginError::io(&folder.path, "cannot list the plugin folder", e);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder.path).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(SUFFIX))
        else {
            continue;
        };
        let name = name.to_owned();
        let (text, manifest) = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let manifest = Manifest::parse(&text, &name);
                (text, manifest.map_err(|why| PluginError::Manifest { path: path.clone(), why }))
            }
            Err(e) => (String::new(), Err(PluginError::io(&path, "cannot read the manifest", e))),
        };
        all.push(Found { name, path, folder: folder.clone(), manifest, text });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}
