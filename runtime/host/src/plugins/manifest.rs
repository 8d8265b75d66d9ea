//! The sidecar `NAME.plugin.toml`: what is known of a plugin before any of its code runs.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use zoo_core::sdk::{Identity, Provides, backend};

use super::PluginError;

/// How manifests are called after the name of the plugin.
pub const SUFFIX: &str = ".plugin.toml";

/// A manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Plugin name, `[a-z0-9_-]+`; also the start of the manifest's file name.
    pub name: String,
    /// Plugin version.
    pub version: String,
    /// One line.
    pub description: String,
    /// SPDX expression for the code.
    pub licence: String,
    /// Where the code is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Revision of the wire.
    pub abi: u32,
    /// Target triple.
    pub target: String,
    /// `cpu`, `cuda` or `metal`.
    pub backend: String,
    /// The library, a file name beside the manifest.
    pub file: String,
    /// Of the library, lower-case hexadecimal.
    pub sha256: String,
    /// Architectures.
    pub provides: Provides,
    /// Registry rows that come with the plugin, in the form of a registry file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<toml::Table>,
}

impl Manifest {
    /// Reads a manifest whose file name promises the plugin `stem`.
    ///
    /// # Errors
    /// What is wrong, without the path.
    pub fn parse(text: &str, stem: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        check_name(&manifest.name)?;
        if manifest.name != stem {
            return Err(format!("the manifest of plugin `{}` is called {stem}{SUFFIX}", manifest.name));
        }
        let mut parts = Path::new(&manifest.file).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(format!("`file` must be a file name beside the manifest, not `{}`", manifest.file));
        }
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if manifest.sha256.len() != 64 || !manifest.sha256.chars().all(hex) {
            return Err("`sha256` must be 64 lower-case hexadecimal digits".into());
        }
        Ok(manifest)
    }

    /// Copies `library` into the folder `dest`, under the name `self.file`, and writes this manifest beside it with
    /// the library's hash. Each is written under a temporary name first: a program that has the old library open
    /// keeps it. What the manifest says of the library is not checked before the library is loaded.
    ///
    /// # Errors
    /// [`PluginError::Io`] when something cannot be read or written.
    pub fn install(&mut self, library: &Path, dest: &Path) -> Result<PathBuf, PluginError> {
        super::stage::place(self, library, dest, None)
    }

    /// Whether this program can use the library, as far as the manifest says.
    pub(super) fn check_platform(&self) -> Result<(), PluginError> {
        if self.abi != zoo_abi::ABI_REVISION {
            let (name, ours) = (self.name.clone(), zoo_abi::ABI_REVISION);
            return Err(PluginError::Revision { name, theirs: self.abi, ours });
        }
        let differs = |theirs: &str, ours: &str| {
            let (name, theirs, ours) = (self.name.clone(), theirs.to_owned(), ours.to_owned());
            PluginError::Platform { name, theirs, ours }
        };
        if self.target != zoo_abi::TARGET {
            return Err(differs(&self.target, zoo_abi::TARGET));
        }
        if self.backend != "cpu" && self.backend != backend() {
            return Err(differs(&format!("the {} backend", self.backend), &format!("a {} build", backend())));
        }
        Ok(())
    }

    /// Whether the library says of itself what its manifest says.
    pub(super) fn check_identity(&self, path: &Path, library: &Identity) -> Result<(), PluginError> {
        let provides = |p: &Provides| {
            let p = p.sorted();
            [&p.encoders[..], &p.connectors, &p.llms, &p.texts].concat().join(", ")
        };
        let pairs = [
            ("name", library.name.clone(), self.name.clone()),
            ("version", library.version.clone(), self.version.clone()),
            ("target", library.target.clone(), self.target.clone()),
            ("backend", library.backend.clone(), self.backend.clone()),
            ("architectures", provides(&library.provides), provides(&self.provides)),
        ];
        match pairs.into_iter().find(|(_, library, manifest)| library != manifest) {
            None => Ok(()),
            Some((field, library, manifest)) => Err(PluginError::Identity {
                name: self.name.clone(),
                path: path.to_path_buf(),
                field,
                library,
                manifest,
            }),
        }
    }
}

/// Whether `name` can be the name of a plugin.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if !zoo_core::sdk::export::is_name(name) {
        return Err(format!("`{name}` is no plugin name; use lower-case letters, digits, `_` and `-`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(change: &[(&str, &str)]) -> String {
        let sha = "0".repeat(64);
        let mut text = format!(
            "name = \"a-1\"\nversion = \"0.1.0\"\ndescription = \"x\"\nlicence = \"MIT\"\nabi = 1\n\
             target = \"t\"\nbackend = \"cpu\"\nfile = \"liba.so\"\nsha256 = \"{sha}\"\n\
             [provides]\nencoders = [\"e\"]\n[registry.encoder.x]\nwidth = 3\n"
        );
        for (from, to) in change {
            assert!(text.contains(from));
            text = text.replace(from, to);
        }
        text
    }

    #[test]
    fn a_manifest_round_trips_with_its_rows() {
        let manifest = Manifest::parse(&text(&[]), "a-1").unwrap();
        let again = Manifest::parse(&toml::to_string(&manifest).unwrap(), "a-1").unwrap();
        assert_eq!(manifest, again);
        let rows = manifest.registry.unwrap();
        assert_eq!(rows["encoder"]["x"]["width"].as_integer(), Some(3));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("name = \"a-1\"", "name = \"A\"", "`A` is no plugin name"),
            ("name = \"a-1\"", "name = \"b\"", "the manifest of plugin `b` is called a-1.plugin.toml"),
            ("liba.so", "../liba.so", "not `../liba.so`"),
            ("liba.so", "/usr/lib/liba.so", "not `/usr/lib/liba.so`"),
            ("liba.so", "..", "not `..`"),
            ("sha256 = \"0", "sha256 = \"", "64 lower-case"),
            ("abi = 1", "abi = -1", "line 5"),
            ("abi = 1", "abi = 1\ncolour = 3", "unknown field `colour`"),
            ("version = \"0.1.0\"\n", "", "missing field `version`"),
        ];
        for (from, to, part) in cases {
            let why = Manifest::parse(&text(&[(from, to)]), "a-1").unwrap_err();
            assert!(why.contains(part), "{why:?} should contain {part:?}");
        }
    }
}
