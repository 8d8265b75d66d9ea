//! A folder with a file per image. Each stands for itself.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::listing::{Entry, lists, summary};
use super::{
    Existing, Plain, Replace, Setting, Sink, TensorOut, WriteError, free, sort, unique, write_safetensors,
};
use crate::find::{Contents, Input};
use crate::look::Seen;
use crate::read::{Item, pixel_rows};
use crate::{Failure, Metadata};

/// Writes a `.safetensors` file per row as it comes.
#[derive(Debug)]
pub struct FolderSink {
    folder: PathBuf,
    /// File names per input and row.
    names: Vec<Vec<PathBuf>>,
    setting: Setting,
    existing: Existing,
    kept: HashSet<PathBuf>,
    files: Vec<PathBuf>,
    shapes: Vec<(String, Vec<usize>)>,
    /// What was written, for [`FolderSink::record`].
    entries: Vec<Entry>,
    record: Metadata,
}

impl FolderSink {
    /// Results in `folder`, named after their inputs. Whether all of them can be written is found out here, before
    /// anything is computed.
    ///
    /// # Errors
    /// [`WriteError::There`] for files that are there and are not to be replaced, [`WriteError::Other`] for files that
    /// are to be kept and were made in another way, [`WriteError::Io`] where nothing can be written.
    pub fn open(
        folder: &Path,
        inputs: &[Input],
        setting: Setting,
        existing: Existing,
    ) -> Result<Self, WriteError> {
        let (names, there) = plan(folder, inputs, existing)?;
        if existing == Existing::Keep {
            there.iter().try_for_each(|path| same(path, &setting))?;
        }
        // That it can be written in at all.
        free(&folder.join("probe"), Replace::Always).map_err(|error| match error {
            WriteError::Io { source, .. } => WriteError::io(folder, source),
            other => other,
        })?;
        let kept = if existing == Existing::Keep { there.into_iter().collect() } else { HashSet::new() };
        Ok(Self {
            folder: folder.to_path_buf(),
            names,
            setting,
            existing,
            kept,
            files: Vec::new(),
            shapes: Vec::new(),
            entries: Vec::new(),
            record: Metadata::new(),
        })
    }

    /// Whether [`FolderSink::open`] would refuse what is there, before it is known how results will be made.
    ///
    /// # Errors
    /// [`WriteError::There`].
    pub fn check(folder: &Path, inputs: &[Input], existing: Existing) -> Result<(), WriteError> {
        plan(folder, inputs, existing).map(drop)
    }

    /// Files that were there and were kept.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Files that were written, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Name and shape of the tensors in the first file.
    pub fn shapes(&self) -> &[(String, Vec<usize>)] {
        &self.shapes
    }

    /// What is recorded in the files that were written, taken together.
    pub fn record(&self) -> Metadata {
        let mut out = self.setting.common.clone();
        out.extend(self.record.clone());
        out.extend(summary(&self.entries));
        out.extend(lists(&self.entries));
        out
    }

    fn path(&self, item: &Item) -> PathBuf {
        let name = self.names.get(item.input).and_then(|names| names.get(item.row.unwrap_or(0)));
        match name {
            Some(name) => self.folder.join(name),
            // A file that had fewer rows when the names were made.
            None => self.folder.join(format!("input-{}-{}.safetensors", item.input, item.row.unwrap_or(0))),
        }
    }

    fn write(&mut self, path: &Path, row: usize, item: &Item, seen: &Seen) -> Result<(), WriteError> {
        let mut tensors: Vec<Plain> = seen
            .tensors
            .iter()
            .map(|rows| {
                let shape = std::iter::once(1).chain(rows.shape.iter().copied()).collect();
                Plain::F32(rows.name.clone(), shape, rows.row(row).to_vec())
            })
            .collect();
        let mut metadata = self.setting.common.clone();
        metadata.extend(seen.record.clone());
        let entry = [Entry::from(item)];
        metadata.extend(summary(&entry));
        metadata.extend(lists(&entry));
        write_safetensors(path, self.existing.replace(), &mut tensors, &metadata)?;
        if self.shapes.is_empty() {
            self.shapes = tensors.iter().map(|t| (t.name().to_owned(), t.shape())).collect();
            self.record = seen.record.clone();
        }
        self.entries.extend(entry);
        Ok(())
    }
}

impl Sink for FolderSink {
    fn wants(&self, input: usize) -> bool {
        let names = self.names.get(input).map(Vec::as_slice).unwrap_or_default();
        names.is_empty() || names.iter().any(|name| !self.kept.contains(&self.folder.join(name)))
    }

    fn put(&mut self, items: &[Item], seen: Seen) -> Result<Vec<(usize, Failure)>, WriteError> {
        let mut failures = Vec::new();
        for (row, item) in items.iter().enumerate() {
            let path = self.path(item);
            if self.kept.contains(&path) {
                continue;
            }
            match self.write(&path, row, item, &seen) {
                Ok(()) => self.files.push(path),
                Err(error) => failures.push((row, sort(error, item)?)),
            }
        }
        Ok(failures)
    }
}

/// File names per input and row, and those of them that are there.
fn plan(
    folder: &Path,
    inputs: &[Input],
    existing: Existing,
) -> Result<(Vec<Vec<PathBuf>>, Vec<PathBuf>), WriteError> {
    let rows = |input: &Input| match input.contents {
        Contents::Image => 1,
        Contents::Pixels => pixel_rows(&input.path).unwrap_or(1),
    };
    let named: Vec<_> = inputs.iter().map(|input| (input.name.as_path(), rows(input))).collect();
    let names = unique(&named, "safetensors");
    let there: Vec<PathBuf> =
        names.iter().flatten().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
    if existing == Existing::Refuse && !there.is_empty() {
        return Err(WriteError::There { paths: there });
    }
    Ok((names, there))
}

/// Whether the file at `path` was made in this way.
fn same(path: &Path, setting: &Setting) -> Result<(), WriteError> {
    let other = |what: &str| WriteError::Other { path: path.to_path_buf(), what: what.into() };
    match metadata(path) {
        None => Err(other("it is not a whole file of an earlier run")),
        Some(found) if found["fingerprint"] == *setting.fingerprint() => Ok(()),
        Some(_) => Err(other("it was made by another encoder, or with other settings")),
    }
}

/// What is recorded in the header of a file that is as long as its header says.
pub(super) fn metadata(path: &Path) -> Option<Value> {
    let mut file = File::open(path).ok()?;
    let actual = file.metadata().ok()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = Some(u64::from_le_bytes(length)).filter(|&length| length <= super::MAX_HEADER as u64)?;
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let ends = header.as_object()?.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let whole = actual == 8 + length + ends.max().unwrap_or(0);
    header.get("__metadata__").filter(|_| whole).cloned()
}
