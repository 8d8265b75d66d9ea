//! Plugins as files: found by their manifests, checked, loaded when first used, and then like any other
//! implementation of the traits.
//!
//! ```no_run
//! use zoo_host::plugins::PluginSet;
//!
//! let plugins = PluginSet::discover(&["/opt/zoo/plugins".into()], "/home/me/.local/share/zoo".as_ref())?;
//! for found in plugins.list() {
//!     println!("{}", found.name); // no code has run so far
//! }
//! let door = plugins.get("toy")?; // now it has
//! println!("{:?}", door.provides().encoders);
//! # Ok::<(), zoo_host::plugins::PluginError>(())
//! ```

mod calls;
mod discover;
mod door;
mod error;
mod foreign;
mod load;
mod manifest;
mod paste;
mod services;
mod stage;
mod trust;

use std::path::{Path, PathBuf};

use zoo_core::sdk::Plugin;
use zoo_registry::Layer;

pub use discover::Found;
pub use door::PluginDoor;
pub use error::PluginError;
pub use load::{LoadedPlugin, by_handle};
pub use manifest::Manifest;
pub use services::LOG_TARGET;
pub use stage::{Staged, Template, stage};
pub use trust::Folder;
pub use zoo_core::sdk::ObjectKind;

use discover::Searched;
use trust::{Checked, Lock};

/// The plugins within reach: those linked in, and those whose manifests were found.
pub struct PluginSet {
    linked: Vec<&'static Plugin>,
    found: Vec<Found>,
    /// Manifests in whose stead others are used.
    shadowed: Vec<(Found, PathBuf)>,
    folders: Searched,
    lock: Lock,
}

/// A hash that the user now trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The plugin.
    pub name: String,
    /// The library.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: String,
}

impl PluginSet {
    /// Reads the manifests in `dirs`, in `ZOO_PLUGIN_PATH`, in `data/plugins` and beside the executable. Trusted
    /// hashes are kept in `data/plugins.lock`. A manifest that is wrong is an error only once it is used; a plugin in one
    /// of `dirs` is used in the stead of one of the same name elsewhere. [`PluginSet::warnings`] says so of both.
    ///
    /// # Errors
    /// A folder that is named by a relative path or cannot be listed.
    pub fn discover(dirs: &[PathBuf], data: &Path) -> Result<Self, PluginError> {
        let folders = discover::folders(dirs, data)?;
        let mut found = Vec::new();
        for folder in &folders.found {
            found.extend(discover::manifests(folder)?);
        }
        let shadowed = discover::shadowed(&mut found);
        Ok(Self { linked: Vec::new(), found, shadowed, folders, lock: Lock::of(data) })
    }

    /// Adds plugins that are linked into this program; they go before files of the same name.
    #[must_use]
    pub fn with_linked(mut self, plugins: &[&'static Plugin]) -> Self {
        self.linked.extend_from_slice(plugins);
        self
    }

    /// Everything that was found, in search order. Nothing is loaded.
    pub fn list(&self) -> &[Found] {
        &self.found
    }

    /// Plugins that are linked in.
    pub fn linked(&self) -> &[&'static Plugin] {
        &self.linked
    }

    /// Name and version of the plugin `name`, as they are recorded beside results; the name alone where there is none.
    pub fn signature(&self, name: &str) -> String {
        let linked = self.linked.iter().find(|p| p.name == name).map(|p| p.version.to_owned());
        let manifest = || self.found.iter().find(|f| f.name == name)?.manifest.as_ref().ok();
        match linked.or_else(|| manifest().map(|m| m.version.clone())) {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        }
    }

    /// The folders that were searched.
    pub fn folders(&self) -> &[Folder] {
        &self.folders.found
    }

    /// What is odd about the folders and the manifests in them, for whoever uses any of them: folders that were named and
    /// are not there, manifests that cannot be read or whose library is missing, plugins that are not used.
    pub fn warnings(&self) -> Vec<String> {
        let missing = self.folders.missing.iter().filter_map(|(path, how)| {
            Some(format!("{}: there is no such folder ({})", path.display(), (*how)?))
        });
        let wrong = self.found.iter().filter_map(|found| match &found.manifest {
            Err(error) => Some(error.to_string()),
            Ok(manifest) => {
                let path = found.folder.path.join(&manifest.file);
                let (name, manifest) = (found.name.clone(), found.path.clone());
                (!path.exists()).then(|| PluginError::Missing { name, path, manifest }.to_string())
            }
        });
        let unused = self.shadowed.iter().map(|(found, winner)| {
            format!(
                "plugin `{}`: {} is used, as --plugin-dir says, and {} is not",
                found.name,
                winner.display(),
                found.path.display()
            )
        });
        missing.chain(wrong).chain(unused).collect()
    }

    /// The registry rows that plugins bring, one layer per manifest.
    pub fn registry_layers(&self) -> Vec<Layer> {
        let rows = |f: &Found| {
            f.manifest.as_ref().ok()?.registry.as_ref()?;
            Some(Layer::manifest(f.path.display().to_string(), f.text.as_str()))
        };
        self.found.iter().filter_map(rows).collect()
    }

    /// The plugin of this name, loaded if it is not yet.
    ///
    /// # Errors
    /// [`PluginError`]: not there, there twice, not trusted, not loadable.
    pub fn get(&self, name: &str) -> Result<PluginDoor, PluginError> {
        if let Some(plugin) = self.linked.iter().find(|p| p.name == name) {
            return Ok(PluginDoor::Static(plugin));
        }
        let (found, manifest) = self.find(name)?;
        let path = found.folder.path.join(&manifest.file);
        if let Some(plugin) = load::cached(name, &path) {
            return Ok(PluginDoor::Dynamic(plugin));
        }
        manifest.check_platform()?;
        let library = self.check(found, manifest)?;
        if !found.folder.ours {
            self.lock.check(name, &library, &found.folder)?;
        }
        load::load(&found.path, manifest, library).map(PluginDoor::Dynamic)
    }

    /// Trusts the library that is there now, whatever was trusted before. No code runs.
    ///
    /// # Errors
    /// The plugin is not there, breaks the file rules, or does not match its manifest.
    pub fn trust(&self, name: &str) -> Result<Trusted, PluginError> {
        let (found, manifest) = self.find(name)?;
        let Checked { path, sha256, .. } = self.check(found, manifest)?;
        self.lock.trust(name, &sha256)?;
        Ok(Trusted { name: name.to_owned(), path, sha256 })
    }

    fn check(&self, found: &Found, manifest: &Manifest) -> Result<Checked, PluginError> {
        trust::check(&found.folder, &found.path, manifest)
    }

    fn find(&self, name: &str) -> Result<(&Found, &Manifest), PluginError> {
        let mut all = self.found.iter().filter(|f| f.name == name);
        let Some(found) = all.next() else {
            return Err(self.not_found(name));
        };
        if let Some(other) = all.next() {
            let (first, second) = (found.path.clone(), other.path.clone());
            return Err(PluginError::Duplicate { name: name.to_owned(), first, second });
        }
        match &found.manifest {
            Ok(manifest) => Ok((found, manifest)),
            Err(error) => Err(error.clone()),
        }
    }

    /// Names of all plugins within reach, those linked in first.
    pub fn names(&self) -> Vec<String> {
        let linked = self.linked.iter().map(|p| p.name);
        linked.chain(self.found.iter().map(|f| f.name.as_str())).map(str::to_owned).collect()
    }

    fn not_found(&self, name: &str) -> PluginError {
        let searched = self.folders.found.iter().map(|f| f.path.display().to_string());
        let missing = self.folders.missing.iter().map(|(p, _)| format!("{} (not there)", p.display()));
        let folders = searched.chain(missing).collect::<Vec<_>>().join(", ");
        let names = self.names();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        PluginError::NotFound { name: name.to_owned(), folders, known }
    }
}
