//! `cargo xtask demo`: from a fresh clone to a picture, without a download.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace::Workspace;
use crate::{Result, build, process};

/// An ensemble that is embedded in the program.
const ENSEMBLE: &str = "trilobite-four";
/// A picture of what the model in the program was trained on, and a question about it.
const QUESTION: [&str; 2] = ["examples/images/circles.png", "How many circles are there?"];

/// Builds, stages, looks, asks.
pub(crate) fn demo(workspace: &Workspace, options: &[String]) -> Result<()> {
    let built = build::stage(workspace, options)?;
    let pictures = workspace.root.join("examples").join("images");
    let first = first_picture(&pictures)?;
    let out = workspace.root.join("out");
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let (picture, tokens) = (out.join("trilobite.png"), out.join("trilobite.safetensors"));

    let zoo = || {
        let mut command = workspace.command(&built.program.to_string_lossy());
        // It must work where there is no network, and prove that it needs none.
        command.env("HF_HUB_OFFLINE", "1");
        command
    };
    let announced = |command: &mut Command| {
        println!("\n$ {}", process::shown(command));
        process::run(command)
    };
    announced(zoo().args(["list", "plugins"]))?;
    announced(
        zoo()
            .arg("view")
            .arg(relative(workspace, &first))
            .args(["--ensemble", ENSEMBLE, "--overwrite", "--out"])
            .arg(&picture),
    )?;
    announced(
        zoo()
            .arg("encode")
            .arg(relative(workspace, &pictures))
            .args(["--ensemble", ENSEMBLE, "--overwrite", "--out"])
            .arg(&tokens),
    )?;

    announced(zoo().arg("ask").args(QUESTION))?;

    let shape = shape(&tokens, "tokens")?;
    println!(
        "\nfused tokens  {shape:?} = [images, tokens, width], in {}",
        relative(workspace, &tokens).display()
    );
    println!("the picture   {}", relative(workspace, &picture).display());
    println!(
        "\nThe ensemble {ENSEMBLE} is untrained: its weights come from a fixed seed. The model that answered is \
         trained, on drawn shapes (inputs/models/trilobite/README.md). Next: `zoo list`, README.md."
    );
    Ok(())
}

fn relative<'a>(workspace: &Workspace, path: &'a Path) -> &'a Path {
    path.strip_prefix(&workspace.root).unwrap_or(path)
}

fn first_picture(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let is_picture = |path: &PathBuf| {
        path.extension()
            .is_some_and(|e| ["png", "jpg", "jpeg", "webp"].iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    let mut pictures: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_picture).collect();
    pictures.sort();
    pictures.into_iter().next().ok_or_else(|| format!("{} holds no pictures", folder.display()))
}

/// Shape of a tensor, from the header of a safetensors file: its length in eight bytes, then JSON.
fn shape(path: &Path, tensor: &str) -> Result<Vec<u64>> {
    let fault = |why: String| format!("{}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|e| fault(e.to_string()))?;
    let header = bytes
        .first_chunk::<8>()
        .and_then(|length| bytes[8..].get(..usize::try_from(u64::from_le_bytes(*length)).ok()?))
        .ok_or_else(|| fault("this is no safetensors file".to_owned()))?;
    let header: Value = serde_json::from_slice(header).map_err(|e| fault(e.to_string()))?;
    let shape =
        header[tensor]["shape"].as_array().ok_or_else(|| fault(format!("there is no tensor `{tensor}`")))?;
    Ok(shape.iter().filter_map(Value::as_u64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_come_from_the_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let header = br#"{"tokens":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend([0; 24]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(shape(&path, "tokens").unwrap(), [2, 3]);
        assert!(shape(&path, "features").unwrap_err().contains("`features`"));
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert!(shape(&path, "tokens").unwrap_err().contains("no safetensors"));
    }
}
