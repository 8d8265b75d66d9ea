//! Where results go.

use std::path::{Path, PathBuf};

use zoo_core::path_text;
use zoo_pipeline::WriteError;
use zoo_pipeline::find::Input;
use zoo_pipeline::write::{Existing, FolderSink, Form, OneFile};
use zoo_terminal::CliError;

/// The kind of the output, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One file for all images.
    File(PathBuf, Form),
    /// A file for each.
    Folder(PathBuf),
}

impl Target {
    pub fn of(out: &Path) -> Result<Self, CliError> {
        let fail = |what: &str| Err(CliError::Usage(format!("--out {}: {what}", path_text(out))));
        if out == Path::new("-") {
            return fail("features cannot be written to a stream; give a name");
        }
        let slash = out
            .as_os_str()
            .as_encoded_bytes()
            .last()
            .is_some_and(|&b| b == b'/' || char::from(b) == std::path::MAIN_SEPARATOR);
        if out.is_dir() || slash {
            return Ok(Self::Folder(out.to_path_buf()));
        }
        match out.extension().map(path_text).as_deref() {
            Some("safetensors") => Ok(Self::File(out.to_path_buf(), Form::Safetensors)),
            Some("npy") => Ok(Self::File(out.to_path_buf(), Form::Npy)),
            None => Ok(Self::Folder(out.to_path_buf())),
            Some(other) => fail(&format!(
                ".{other} files cannot be written; use .safetensors, .npy, or a folder (with a / at its end, if its \
                 name has a dot)"
            )),
        }
    }

    /// Whether what is there is in the way, before anything is opened.
    pub fn check(&self, inputs: &[Input], existing: Existing) -> Result<(), WriteError> {
        match self {
            Self::File(path, form) => OneFile::check(path, *form, existing),
            Self::Folder(folder) => FolderSink::check(folder, inputs, existing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| Target::of(&folder.path().join(name));
        assert!(matches!(of("x.safetensors"), Ok(Target::File(_, Form::Safetensors))));
        assert!(matches!(of("x.npy"), Ok(Target::File(_, Form::Npy))));
        assert!(matches!(of("features"), Ok(Target::Folder(_))));
        assert!(matches!(of("v1.0/"), Ok(Target::Folder(_))));
        std::fs::create_dir(folder.path().join("is.npy")).unwrap();
        assert!(matches!(of("is.npy"), Ok(Target::Folder(_))));
        assert_eq!(of("x.pt").unwrap_err().exit_code(), 2);
        assert_eq!(Target::of(Path::new("-")).unwrap_err().exit_code(), 2);
    }
}
