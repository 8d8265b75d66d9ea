//! The repository as cargo sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Result, process};

/// The repository.
pub(crate) struct Workspace {
    /// Its root, whatever folder the command was typed in.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Version of the program.
    pub(crate) version: String,
    /// The packages below `plugins/`, sorted by folder.
    pub(crate) plugins: Vec<Plugin>,
}

/// A package that builds a plugin.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plugin {
    /// Where its `Cargo.toml` and `plugin.toml` are.
    pub(crate) folder: PathBuf,
    /// Its name for cargo.
    pub(crate) package: String,
    /// Whether the demonstration and the models that the program carries need it.
    pub(crate) first: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn open() -> Result<Self> {
        let own =
            std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run this as `cargo xtask`, not by its path")?;
        let root = Path::new(&own).ancestors().nth(2).ok_or("xtask lies in no workspace")?.to_path_buf();
        let mut command = Command::new(cargo());
        command.args(["metadata", "--no-deps", "--format-version=1"]).current_dir(&root);
        let metadata: Value = serde_json::from_str(&process::output(&mut command)?)
            .map_err(|e| format!("cargo metadata: {e}"))?;
        Self::from_metadata(root, &metadata)
    }

    fn from_metadata(root: PathBuf, metadata: &Value) -> Result<Self> {
        let target =
            metadata["target_directory"].as_str().ok_or("cargo metadata names no target folder")?.into();
        let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
        let program = packages.iter().find(|package| package["name"] == "zoo");
        let version = program.and_then(|zoo| zoo["version"].as_str()).ok_or("there is no package `zoo`")?;
        let family = |package: &Value| {
            let folder = Path::new(package["manifest_path"].as_str()?).parent()?;
            let name = package["name"].as_str()?.to_owned();
            let first = package["metadata"]["zoo"]["first"] == true;
            (folder.parent()? == root.join("plugins")).then(|| Plugin {
                folder: folder.to_path_buf(),
                package: name,
                first,
            })
        };
        let mut plugins: Vec<Plugin> = packages.iter().filter_map(family).collect();
        plugins.sort();
        Ok(Self { target, version: version.to_owned(), plugins, root })
    }

    /// The same with the plugins that a first build needs.
    pub(crate) fn first(mut self) -> Self {
        self.plugins.retain(|plugin| plugin.first);
        self
    }

    /// A program or script, run in the root; a path with a slash is taken from there.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command =
            if program.contains('/') { Command::new(self.root.join(program)) } else { Command::new(program) };
        command.current_dir(&self.root);
        command
    }

    /// cargo, run in the root.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&cargo())
    }
}

/// The cargo that runs us.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_the_packages_of_their_folder() {
        let metadata = serde_json::json!({
            "target_directory": "/r/target",
            "packages": [
                {"name": "zoo-b", "version": "1.0.0", "manifest_path": "/r/plugins/b/Cargo.toml"},
                {"name": "zoo", "version": "2.0.0", "manifest_path": "/r/cli/Cargo.toml"},
                {"name": "zoo-a", "version": "1.0.0", "manifest_path": "/r/plugins/a/Cargo.toml",
                    "metadata": {"zoo": {"first": true}}},
                {"name": "toy", "version": "1.0.0", "manifest_path": "/r/tests/plugins/toy/Cargo.toml"},
            ],
        });
        let workspace = Workspace::from_metadata("/r".into(), &metadata).unwrap();
        let plugin = |n: &str, first| Plugin {
            folder: Path::new("/r/plugins").join(n),
            package: format!("zoo-{n}"),
            first,
        };
        assert_eq!(workspace.plugins, [plugin("a", true), plugin("b", false)]);
        assert_eq!(workspace.version, "2.0.0");
        assert_eq!(workspace.first().plugins, [plugin("a", true)]);
    }
}
