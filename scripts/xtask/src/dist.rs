//! `cargo xtask dist`: a folder that can be packed and handed out.

use std::path::Path;

use crate::workspace::Workspace;
use crate::{Result, build, process};

/// Beside the program.
const PAPERS: [&str; 5] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "registry.toml"];

/// Builds in profile `dist` and gathers program, plugins and papers.
pub(crate) fn dist(workspace: &Workspace, options: &[String]) -> Result<()> {
    let built = build::build(workspace, "dist", options)?;
    let name = format!("zoo-{}-{}", workspace.version, host_triple(workspace)?);
    let folder = workspace.target.join("dist").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    build::stage_into(workspace, &built, &folder.join("plugins"))?;
    let program = built.program.file_name().ok_or("the program has no name")?;
    copy(&built.program, &folder.join(program))?;
    for paper in PAPERS {
        copy(&workspace.root.join(paper), &folder.join(paper))?;
    }
    println!("xtask: {}", folder.display());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(drop).map_err(|e| format!("cannot copy {}: {e}", from.display()))
}

fn host_triple(workspace: &Workspace) -> Result<String> {
    let text = process::output(workspace.command("rustc").arg("-vV"))?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.ok_or("`rustc -vV` names no host")?.to_owned())
}
