//! How a run ends: with the file, or with what a later run goes on from.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::listing::lists;
use super::super::safetensors::write_mixed;
use super::super::{Plain, Replace, Setting, TensorOut, WriteError, file, synced, write_npy};
use super::work::clear;
use super::{Form, OneFile, journal};

/// Up to so many bytes, the lists of images stand in the header of a safetensors file; beyond that in a tensor, since
/// headers have a limit.
const LISTED: usize = 1 << 20;

/// The tensor with the lists of images that are too long for the header: JSON, UTF-8.
const LISTS: &str = "inputs.json";

impl OneFile {
    /// Makes the file of what is kept, and removes the folder.
    ///
    /// # Errors
    /// [`WriteError`]; the folder stays, and a later run has only this to do.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        match self.form {
            Form::Safetensors => self.write_safetensors()?,
            Form::Npy => {
                // The array last: where it is, everything is. A run that goes on may find this one there.
                let (beside, record) = (beside(&self.path), Value::Object(self.record()));
                file(&beside, Replace::Always, |w| writeln!(w, "{record:#}"))?;
                let Some(spool) = self.spools.first_mut() else { return Err(no_array(&self.path)) };
                write_npy(&self.path, self.replace, spool)?;
                self.files = vec![self.path.clone(), beside];
            }
        }
        // Its name, too, has to be on the disk before what it was made from goes.
        synced(&self.path);
        self.discard();
        Ok(())
    }

    fn write_safetensors(&mut self) -> Result<(), WriteError> {
        let (mut head, lists) = (self.head(), lists(&self.entries));
        let text = Value::Object(lists.clone()).to_string();
        let mut long = None;
        if text.len() <= LISTED {
            head.extend(lists);
        } else {
            head.insert("inputs".into(), format!("in the tensor `{LISTS}`").into());
            long = Some(Plain::U8(LISTS.into(), text.into_bytes()));
        }
        let mut tensors: Vec<&mut dyn TensorOut> =
            self.spools.iter_mut().map(|spool| spool as &mut dyn TensorOut).collect();
        tensors.extend(long.as_mut().map(|long| long as &mut dyn TensorOut));
        write_mixed(&self.path, self.replace, &mut tensors, &head)?;
        self.files = vec![self.path.clone()];
        Ok(())
    }

    /// Ends without the file: what is kept stays for a later run, and is named; nothing stays of nothing.
    pub fn leave(&mut self) -> Option<&Path> {
        if self.entries.is_empty() {
            self.discard();
            return None;
        }
        // What is said to be kept outlives a loss of power. Where a disk does not say whether it does, nobody can.
        let spools = self.spools.iter_mut().map(|spool| &mut spool.medium);
        for medium in spools.chain([&mut self.work.journal]) {
            let _ = medium.sync();
        }
        Some(&self.work.folder)
    }

    fn discard(&mut self) {
        self.spools.clear();
        // What cannot be removed is told by the next run.
        let _ = clear(&self.work.folder);
        let _ = fs::remove_file(self.work.path("lock"));
        let _ = fs::remove_dir(&self.work.folder);
    }
}

/// Where what is recorded of a `.npy` file stands.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("npy.json")
}

pub(super) fn no_array(path: &Path) -> WriteError {
    let what = "a .npy file holds one array, but an ensemble without connector has several; use .safetensors";
    WriteError::Format { path: path.to_path_buf(), what: what.into() }
}

/// Whether the finished file at `path` is what this run would make.
pub(super) fn complete(path: &Path, form: Form, inputs: &str, setting: &Setting) -> Result<(), WriteError> {
    let recorded = match form {
        Form::Safetensors => super::super::folder::metadata(path),
        Form::Npy => journal::read::<Value>(&beside(path)),
    };
    let other = |what: &str| Err(WriteError::Other { path: path.to_path_buf(), what: what.into() });
    match recorded {
        None => other("it says nothing of how it was made"),
        Some(recorded) if recorded["fingerprint"] != *setting.fingerprint() => {
            other("it was made by another encoder, or with other settings")
        }
        Some(recorded) if recorded["inputs_sha256"] != *inputs => other("it was made of other inputs"),
        Some(_) => Ok(()),
    }
}
