//! Putting a built library into a plugin folder, with its manifest.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zoo_core::sdk::Provides;

use super::manifest::{SUFFIX, check_name};
use super::{Manifest, PluginError, load, trust};

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
        let fault = |why| PluginError::Manifest { path: path.to_path_buf(), why };
        let text = std::fs::read_to_string(path)
            .map_err(|e| PluginError::io(path, "cannot read the template", e))?;
        let template: Self = toml::from_str(&text).map_err(|e| fault(e.to_string()))?;
        check_name(&template.name).map_err(fault)?;
        Ok(template)
    }
}

/// Copies `library` into the folder `dest` and writes its manifest there, from the template and from what the
/// library says of itself. This runs code of the library: stage only what you built or trust.
///
/// # Errors
/// The library is no plugin of this name, says something else than the template, or cannot be copied.
pub fn stage(library: &Path, template: &Path, dest: &Path) -> Result<Manifest, PluginError> {
    let written = Template::read(template)?;
    let path = library.canonicalize().map_err(|e| PluginError::io(library, "cannot find the library", e))?;
    let identity = load::identify(&written.name, &path)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut manifest = Manifest {
        name: written.name,
        version: identity.version.clone(),
        description: written.description,
        licence: written.licence,
        source: written.source,
        abi: identity.abi,
        target: identity.target.clone(),
        backend: identity.backend.clone(),
        file,
        sha256: String::new(),
        provides: written.provides,
        registry: written.registry,
    };
    manifest.check_identity(template, &identity)?;
    place(&mut manifest, &path, dest)?;
    Ok(manifest)
}

pub(super) fn place(manifest: &mut Manifest, library: &Path, dest: &Path) -> Result<PathBuf, PluginError> {
    let read = |e| PluginError::io(library, "cannot read the library", e);
    std::fs::create_dir_all(dest).map_err(|e| PluginError::io(dest, "cannot make the plugin folder", e))?;
    manifest.sha256 =
        std::fs::File::open(library).and_then(|mut file| trust::hash(&mut file)).map_err(read)?;
    let path = dest.join(format!("{}{SUFFIX}", manifest.name));
    let text =
        toml::to_string(manifest).map_err(|e| PluginError::io(&path, "cannot write the manifest", e))?;
    put(&dest.join(&manifest.file), |file| {
        std::io::copy(&mut std::fs::File::open(library)?, file).map(|_| ())
    })?;
    put(&path, |file| std::io::Write::write_all(file, text.as_bytes()))?;
    Ok(path)
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
