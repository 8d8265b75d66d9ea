//! What can be wrong with a plugin. Each message names the file and says what to do.

use std::path::{Path, PathBuf};

use super::paste;

/// Failures of finding, trusting and loading plugins.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// There is no manifest of this name.
    #[error(
        "plugin `{name}` was not found; searched {folders}; plugins there: {known}. Put {name}.plugin.toml and its \
         library into one of these folders, or name another with --plugin-dir"
    )]
    NotFound {
        /// The plugin.
        name: String,
        /// Where it was looked for.
        folders: String,
        /// What is there instead.
        known: String,
    },
    /// There is a manifest, and no library beside it.
    #[error(
        "plugin `{name}`: its library {} is missing, although its manifest is there; a manifest is made by \
         `zoo plugins stage`, together with a copy of the library: stage the plugin again, or remove {}",
        path.display(),
        manifest.display()
    )]
    Missing {
        /// The plugin.
        name: String,
        /// Where the library should be.
        path: PathBuf,
        /// The manifest.
        manifest: PathBuf,
    },
    /// Two libraries claim one name.
    #[error("two plugins are called `{name}`: {} and {}; remove one of them", first.display(), second.display())]
    Duplicate {
        /// The name.
        name: String,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A folder that may not be searched.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A manifest that cannot be read.
    #[error("{}: {why}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The manifest says that this program cannot use the library.
    #[error(
        "plugin `{name}` was built for {theirs}, this program is {ours}; install a build for this program"
    )]
    Platform {
        /// The plugin.
        name: String,
        /// Its target or backend.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// Another revision of the wire.
    #[error(
        "plugin `{name}` was built for ABI revision {theirs}, this program speaks {ours}; rebuild the plugin or \
         install a matching version"
    )]
    Revision {
        /// The plugin.
        name: String,
        /// Its revision.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// A file that somebody else could have changed.
    #[error("{}: not loaded, because {why}", path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The library is not the one that the manifest describes.
    #[error(
        "{}: the library does not match its manifest (sha256 {found}, expected {expected}); if you built it, stage it \
         again (`zoo plugins stage`), and if not, install plugin `{name}` again",
        path.display()
    )]
    Hash {
        /// The plugin.
        name: String,
        /// The library.
        path: PathBuf,
        /// From the manifest.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// The library is not the one that was trusted before.
    #[error(
        "plugin `{name}` has changed since it was trusted ({}; sha256 {found}, trusted {trusted}); if you know why, \
         run `{}`",
        path.display(),
        paste::command("trust", name, path.parent().filter(|_| *named))
    )]
    Changed {
        /// The plugin.
        name: String,
        /// The library.
        path: PathBuf,
        /// From `plugins.lock`.
        trusted: String,
        /// Of the file.
        found: String,
        /// Whether its folder was named on the command line.
        named: bool,
    },
    /// The system's loader refused the file.
    #[error("{}: cannot be opened as a dynamic library: {why}", path.display())]
    Open {
        /// The library.
        path: PathBuf,
        /// The loader's words.
        why: String,
    },
    /// A library that is no plugin, or a plugin of another name.
    #[error("{}: is not the plugin `{name}`: {why}", path.display())]
    NotAPlugin {
        /// The plugin.
        name: String,
        /// The library.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// The tables of the library are laid out differently.
    #[error(
        "plugin `{name}` was built against another version of the plugin interface; rebuild it or install a \
         matching version{dump}"
    )]
    Layout {
        /// The plugin.
        name: String,
        /// Where the details are: empty or a clause for the message.
        dump: String,
    },
    /// The library says something else than its manifest.
    #[error(
        "{}: the library calls its {field} `{library}`, the manifest `{manifest}`; install plugin `{name}` again",
        path.display()
    )]
    Identity {
        /// The plugin.
        name: String,
        /// The manifest.
        path: PathBuf,
        /// The field that differs.
        field: &'static str,
        /// The library's word.
        library: String,
        /// The manifest's word.
        manifest: String,
    },
    /// The author's part of a manifest lists other architectures than the library has.
    #[error("{}: the library of plugin `{name}` has other architectures; write\n{provides}", path.display())]
    Provides {
        /// The plugin.
        name: String,
        /// The file that the author wrote.
        path: PathBuf,
        /// What belongs there.
        provides: String,
    },
    /// Registry rows that a plugin would bring, and that are wrong.
    #[error("{}", rows.join("\n"))]
    Rows {
        /// File, line, row, and what is wrong.
        rows: Vec<String>,
    },
    /// The plugin itself failed while it was starting.
    #[error("plugin `{name}` cannot start: {why}")]
    Init {
        /// The plugin.
        name: String,
        /// Its error.
        why: String,
    },
    /// The file system.
    #[error("{}: {what}: {why}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        why: String,
    },
}

impl PluginError {
    pub(super) fn io(path: &Path, what: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Io { path: path.to_path_buf(), what, why: error.to_string() }
    }

    pub(super) fn not_safe(path: &Path, why: impl Into<String>) -> Self {
        Self::Unsafe { path: path.to_path_buf(), why: why.into() }
    }
}
