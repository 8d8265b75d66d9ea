//! Building the program and its plugins, and staging the plugins beside it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::workspace::{Plugin, Workspace};
use crate::{Result, process};

/// What the workspace builds into.
pub(crate) struct Built {
    /// The program `zoo`.
    pub(crate) program: PathBuf,
    /// Each plugin's library, in the order of [`Workspace::plugins`].
    pub(crate) libraries: Vec<PathBuf>,
}

/// Builds the program and its plugins in a profile; `options` are the user's, for cargo.
pub(crate) fn build(workspace: &Workspace, profile: &str, options: &[String]) -> Result<Built> {
    let plugins = workspace.plugins.iter().flat_map(|plugin| ["--package", &plugin.package]);
    let mut command = workspace.cargo();
    command.args([
        "build",
        "--message-format=json-render-diagnostics",
        "--profile",
        profile,
        "--package",
        "zoo",
    ]);
    command.args(plugins).args(options);
    println!("xtask: {}", process::shown(&command));
    built(workspace, &process::output(&mut command)?)
}

/// Finds the products in cargo's messages, one JSON object a line.
fn built(workspace: &Workspace, messages: &str) -> Result<Built> {
    let artifacts: Vec<Value> = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|message: &Value| message["reason"] == "compiler-artifact")
        .collect();
    let program = artifacts
        .iter()
        .filter(|artifact| artifact["target"]["name"] == "zoo")
        .find_map(|artifact| artifact["executable"].as_str())
        .ok_or("cargo built no program `zoo`")?;
    let library = |plugin: &Plugin| {
        let manifest = plugin.folder.join("Cargo.toml");
        artifacts
            .iter()
            .filter(|artifact| artifact["manifest_path"].as_str().map(Path::new) == Some(&manifest))
            .flat_map(|artifact| artifact["filenames"].as_array().into_iter().flatten())
            .filter_map(|name| name.as_str().map(PathBuf::from))
            .find(|path| path.to_string_lossy().ends_with(std::env::consts::DLL_SUFFIX))
            .ok_or_else(|| {
                format!("{} builds no dynamic library: is its crate-type cdylib?", plugin.folder.display())
            })
    };
    let libraries = workspace.plugins.iter().map(library).collect::<Result<_>>()?;
    Ok(Built { program: program.into(), libraries })
}

/// [`build`] in profile `release`, then a folder `plugins` beside the program with each library and its manifest,
/// and nothing else.
pub(crate) fn stage(workspace: &Workspace, options: &[String]) -> Result<Built> {
    let built = build(workspace, "release", options)?;
    let folder = built.program.with_file_name("plugins");
    if folder.exists() {
        // What an earlier build staged may since have been renamed or removed.
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    stage_into(workspace, &built, &folder)?;
    Ok(built)
}

/// Puts the libraries and the manifests that the program makes for them into a folder.
pub(crate) fn stage_into(workspace: &Workspace, built: &Built, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for (plugin, library) in workspace.plugins.iter().zip(&built.libraries) {
        let mut command = workspace.command(&built.program.to_string_lossy());
        command.args(["plugins", "stage"]).arg(library);
        command.arg("--manifest").arg(plugin.folder.join("plugin.toml")).arg("--into").arg(folder);
        process::run(&mut command)?;
    }
    println!("xtask: {} plugins staged in {}", built.libraries.len(), folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        Workspace {
            root: "/r".into(),
            target: "/r/target".into(),
            version: "1.0.0".into(),
            plugins: vec![Plugin { folder: "/r/plugins/a".into(), package: "zoo-a".into(), first: true }],
        }
    }

    #[test]
    fn products_are_taken_from_the_messages() {
        let suffix = std::env::consts::DLL_SUFFIX;
        let messages = format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/r/plugins/a/Cargo.toml","target":{{"name":"zoo_a"}},"filenames":["/t/liba.rlib","/t/liba{suffix}"],"executable":null}}
{{"reason":"compiler-artifact","manifest_path":"/r/cli/Cargo.toml","target":{{"name":"zoo"}},"filenames":["/t/zoo"],"executable":"/t/zoo"}}
{{"reason":"build-finished","success":true}}"#
        );
        let built = built(&workspace(), &messages).unwrap();
        assert_eq!(built.program, Path::new("/t/zoo"));
        assert_eq!(built.libraries, [PathBuf::from(format!("/t/liba{suffix}"))]);
    }

    #[test]
    fn a_plugin_without_a_library_is_named() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/r/cli/Cargo.toml","target":{"name":"zoo"},"filenames":[],"executable":"/t/zoo"}"#;
        let error = built(&workspace(), messages).err().unwrap();
        assert!(error.contains("plugins/a") && error.contains("cdylib"), "{error}");
    }
}
