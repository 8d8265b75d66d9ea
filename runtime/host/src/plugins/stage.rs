//! Putting a built library into a plugin folder, with its manifest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zoo_core::sdk::Provides;
use zoo_registry::{Layer, Problem, Registry};

use super::manifest::{SUFFIX, check_name};
use super::trust::Lock;
use super::{Manifest, PluginDoor, PluginError, PluginSet, load, paste, trust};
use crate::judge::Judge;

/// What an author writes of a plugin: `plugin.toml` beside the crate. The rest of the manifest is asked of the
/// library.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Plugin name.
    pub name: String,
    /// One line.
    pub description: String,
    /// SPDX expression for the code.
    pub licence: String,
    /// Where the code is published.
    pub source: Option<String>,
    /// Architectures; the library must say the same.
    pub provides: Provides,
    /// Registry rows that come with the plugin.
    pub registry: Option<toml::Table>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`PluginError::Manifest`] naming the file, the line and what is wrong.
    pub fn read(path: &Path) -> Result<Self, PluginError> {
        Self::parse(&text(path)?).map_err(|why| PluginError::Manifest { path: path.to_path_buf(), why })
    }

    /// Its manifest in the plugin folder `dest`.
    pub fn manifest_in(&self, dest: &Path) -> PathBuf {
        dest.join(format!("{}{SUFFIX}", self.name))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let template: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        check_name(&template.name)?;
        Ok(template)
    }
}

fn text(path: &Path) -> Result<String, PluginError> {
    std::fs::read_to_string(path)
        .map_err(|e| PluginError::io(path, "cannot read the author's part of the manifest (--manifest)", e))
}

/// A plugin that was staged.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its library in the plugin folder.
    pub library: PathBuf,
    folder: PathBuf,
}

/// Copies `library` into the folder `dest` and writes its manifest there, from the template and from what the
/// library says of itself. The registry rows of the template are held against the library first. This runs code of the
/// library: stage only what you built or trust.
///
/// # Errors
/// The library is no plugin of this name, says something else than the template, contradicts one of its rows, or cannot
/// be copied. Then nothing was written.
pub fn stage(library: &Path, template: &Path, dest: &Path) -> Result<Staged, PluginError> {
    let (author, text) = (Template::read(template)?, text(template)?);
    let path = library.canonicalize().map_err(|e| PluginError::io(library, "cannot find the library", e))?;
    let identity = load::identify(&author.name, &path)?;
    if identity.provides.sorted() != author.provides.sorted() {
        let provides = toml::to_string(&identity.provides).unwrap_or_default();
        let (name, path) = (author.name, template.to_path_buf());
        return Err(PluginError::Provides {
            name,
            path,
            provides: format!("[provides]\n{}", provides.trim_end()),
        });
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut manifest = Manifest {
        name: author.name,
        version: identity.version.clone(),
        description: author.description,
        licence: author.licence,
        source: author.source,
        abi: identity.abi,
        target: identity.target.clone(),
        backend: identity.backend.clone(),
        file,
        sha256: String::new(),
        provides: author.provides,
        registry: author.registry,
    };
    manifest.check_identity(template, &identity)?;
    if manifest.registry.is_some() {
        judge(&manifest, &path, template, &text)?;
    }
    place(&mut manifest, &path, dest, Some(&text))?;
    let library = dest.join(&manifest.file);
    Ok(Staged { manifest, library, folder: dest.to_path_buf() })
}

impl Staged {
    /// Trusts this library, whatever was trusted before; the lock is that in `data`.
    ///
    /// # Errors
    /// [`PluginError::Io`] when the lock cannot be written.
    pub fn trust(&self, data: &Path) -> Result<(), PluginError> {
        Lock::of(data).trust(&self.manifest.name, &self.manifest.sha256)
    }

    /// What to type to trust it, if another library of this name was trusted before.
    ///
    /// # Errors
    /// The lock cannot be read.
    pub fn untrusted(&self, data: &Path) -> Result<Option<String>, PluginError> {
        let differs = Lock::of(data).differs(&self.manifest.name, &self.manifest.sha256)?;
        Ok(differs.then(|| self.command("trust", data)))
    }

    /// `zoo plugins VERB NAME`, naming the folder where it is not one that is searched anyway.
    pub fn command(&self, verb: &str, data: &Path) -> String {
        let path = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let usual =
            PluginSet::discover(&[], data).is_ok_and(|set| set.folders().iter().any(|f| f.path == path));
        paste::command(verb, &self.manifest.name, Some(&*path).filter(|_| !usual))
    }
}

/// Holds the rows of a template against the shipped registry and against the library that they name.
fn judge(manifest: &Manifest, library: &Path, template: &Path, text: &str) -> Result<(), PluginError> {
    let file = template.display().to_string();
    let layers = [Layer::shipped(), Layer::manifest(&*file, text)];
    let registry = Registry::load(&layers)
        .map_err(|e| PluginError::Manifest { path: template.to_path_buf(), why: e.to_string() })?;
    let plugin = load::try_out(manifest, library)?;
    let door = |name: &str| {
        if name == manifest.name {
            return Ok(PluginDoor::Dynamic(plugin.clone()));
        }
        let (name, folders, known) = (name.to_owned(), String::new(), manifest.name.clone());
        Err(PluginError::NotFound { name, folders, known })
    };
    let names = || vec![manifest.name.clone()];
    let judge = Judge { registry: &registry, door: &door, names: &names };
    let judged = judge.rows(&registry.written_in(Some(&file)));
    let rows: Vec<String> = registry.set_aside().iter().chain(&judged.problems).map(Problem::line).collect();
    if rows.is_empty() { Ok(()) } else { Err(PluginError::Rows { rows }) }
}

/// Copies a library and writes its manifest: as the author wrote it, below what was asked of the library, so that the
/// order and the comments of the author stay.
pub(super) fn place(
    manifest: &mut Manifest,
    library: &Path,
    dest: &Path,
    author: Option<&str>,
) -> Result<PathBuf, PluginError> {
    let read = |e| PluginError::io(library, "cannot read the library", e);
    std::fs::create_dir_all(dest).map_err(|e| PluginError::io(dest, "cannot make the plugin folder", e))?;
    manifest.sha256 =
        std::fs::File::open(library).and_then(|mut file| trust::hash(&mut file)).map_err(read)?;
    let path = dest.join(format!("{}{SUFFIX}", manifest.name));
    let text = match author {
        Some(author) => below(manifest, author),
        None => {
            toml::to_string(manifest).map_err(|e| PluginError::io(&path, "cannot write the manifest", e))?
        }
    };
    put(&dest.join(&manifest.file), |file| {
        std::io::copy(&mut std::fs::File::open(library)?, file).map(|_| ())
    })?;
    put(&path, |file| std::io::Write::write_all(file, text.as_bytes()))?;
    Ok(path)
}

/// What was asked of the library, and below it what the author wrote.
fn below(manifest: &Manifest, author: &str) -> String {
    let Manifest { version, abi, target, backend, file, sha256, .. } = manifest;
    let mut text = String::from("# From the library:\n");
    for (key, value) in
        [("version", version), ("target", target), ("backend", backend), ("file", file), ("sha256", sha256)]
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {}", toml::Value::from(value.as_str()));
    }
    let _ = writeln!(text, "abi = {abi}");
    text + "# From its author:\n" + author.trim_start_matches('\u{feff}')
}

fn put(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> Result<(), PluginError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().prefix(".staged-").tempfile_in(folder).and_then(|mut temporary| {
        write(temporary.as_file_mut())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            temporary.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        temporary.persist(path).map_err(|e| e.error)
    });
    made.map(|_| ()).map_err(|e| PluginError::io(path, "cannot write", e))
}
