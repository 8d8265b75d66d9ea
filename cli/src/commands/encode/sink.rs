//! Where results go: one file for all images, or one per image.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zoo_preprocess::Note;

use super::look::Seen;
use super::source::Item;
use super::{Target, Written};
use crate::commands::session::resize_mode;
use crate::inputs::Input;
use crate::output::{Metadata, Plain, Rows, Spool, TensorOut, unique, write_npy, write_safetensors};
use crate::report::CliError;

/// Takes results as they come.
pub(super) struct Sink {
    target: Target,
    /// File name per input, for a folder.
    names: Vec<String>,
    /// What holds for every output.
    common: Metadata,
    /// Tensors collected for a single file.
    spools: Vec<Spool>,
    /// What is recorded about encoders and connector, as of the first result.
    subject: Metadata,
    items: Vec<Item>,
    files: Vec<PathBuf>,
    shapes: Vec<(String, Vec<usize>)>,
}

impl Sink {
    pub fn new(target: Target, inputs: &[Input], common: Metadata) -> Self {
        let names: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
        Self {
            target,
            names: unique(&names, "safetensors"),
            common,
            spools: Vec::new(),
            subject: Metadata::new(),
            items: Vec::new(),
            files: Vec::new(),
            shapes: Vec::new(),
        }
    }

    /// Whether nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes the rows of `items`.
    pub fn put(&mut self, items: &[Item], seen: Seen) -> Result<(), CliError> {
        match &self.target {
            Target::Folder(folder) => {
                let folder = folder.clone();
                self.put_in_folder(&folder, items, &seen)?;
            }
            Target::Safetensors(path) | Target::Npy(path) => {
                let path = path.clone();
                self.collect(&path, &seen.tensors)?;
            }
        }
        if self.subject.is_empty() {
            self.subject = seen.metadata;
        }
        self.items.extend_from_slice(items);
        Ok(())
    }

    fn collect(&mut self, path: &Path, tensors: &[Rows]) -> Result<(), CliError> {
        if self.spools.is_empty() {
            self.spools = tensors.iter().map(|rows| Spool::new(path, rows)).collect::<Result<_, _>>()?;
        }
        if let Some((spool, rows)) = self.spools.iter().zip(tensors).find(|(spool, rows)| !spool.fits(rows)) {
            return Err(CliError::Failed(format!(
                "its `{}` is {:?}, but that of the images before is {:?}; one file holds one shape, a folder \
                 (--out FOLDER/) takes any",
                rows.name,
                rows.shape,
                &spool.shape()[1..]
            )));
        }
        self.spools.iter_mut().zip(tensors).try_for_each(|(spool, rows)| spool.push(rows))
    }

    fn put_in_folder(&mut self, folder: &Path, items: &[Item], seen: &Seen) -> Result<(), CliError> {
        for (index, item) in items.iter().enumerate() {
            let mut tensors: Vec<Plain> = seen
                .tensors
                .iter()
                .map(|rows| {
                    let length = rows.shape.iter().product::<usize>();
                    let values = rows.values[index * length..(index + 1) * length].to_vec();
                    let shape = std::iter::once(1).chain(rows.shape.iter().copied()).collect();
                    Plain::F32(rows.name.clone(), shape, values)
                })
                .collect();
            let name = self.names.get(item.input).map_or("image.safetensors", String::as_str);
            let path = folder.join(match item.row {
                None => name.to_owned(),
                Some(row) => format!("{}-{row}.safetensors", name.trim_end_matches(".safetensors")),
            });
            if self.shapes.is_empty() {
                self.shapes = tensors.iter().map(|t| (t.name().to_owned(), t.shape())).collect();
            }
            write_safetensors(
                &path,
                &mut tensors,
                &self.metadata(std::slice::from_ref(item), &seen.metadata),
            )?;
            self.files.push(path);
        }
        Ok(())
    }

    fn metadata(&self, items: &[Item], subject: &Metadata) -> Metadata {
        let mut out = self.common.clone();
        out.extend(subject.clone());
        let reduced = |note: &Note| matches!(note, Note::Reduced(_));
        out.insert("resize".into(), resize_mode(items.iter().flat_map(|i| &i.notes).any(reduced)));
        out.insert("inputs".into(), items.iter().map(|i| i.name.clone()).collect());
        out.insert("image_sizes".into(), items.iter().map(|i| json!([i.size.0, i.size.1])).collect());
        let notes: Metadata = items
            .iter()
            .filter(|i| !i.notes.is_empty())
            .map(|i| (i.name.clone(), i.notes.iter().map(ToString::to_string).collect::<Value>()))
            .collect();
        if !notes.is_empty() {
            out.insert("notes".into(), notes.into());
        }
        out
    }

    /// Writes what was collected.
    pub fn finish(mut self) -> Result<Written, CliError> {
        let metadata = self.metadata(&self.items, &self.subject);
        match &self.target {
            Target::Folder(_) => {}
            Target::Safetensors(path) => {
                write_safetensors(path, &mut self.spools, &metadata)?;
                self.files.push(path.clone());
            }
            Target::Npy(path) => {
                // One array: the tokens after the connector where there is one, otherwise the features.
                let wanted = ["tokens", "features"];
                let spool = wanted.iter().find_map(|name| self.spools.iter().position(|s| s.name() == *name));
                let Some(spool) = spool.map(|index| &mut self.spools[index]) else {
                    return Err(CliError::Failed(
                        "a .npy file holds one array, but an ensemble without connector has several; use \
                         .safetensors"
                            .into(),
                    ));
                };
                write_npy(path, spool)?;
                self.files.push(path.clone());
                // The format has no place for metadata.
                let beside = path.with_extension("npy.json");
                let text = format!("{:#}\n", Value::Object(metadata.clone()));
                crate::output::write(&beside, |w| std::io::Write::write_all(w, text.as_bytes()))?;
                self.files.push(beside);
            }
        }
        if self.shapes.is_empty() {
            self.shapes = self.spools.iter().map(|s| (s.name().to_owned(), s.shape())).collect();
        }
        Ok(Written {
            out: self.target.path().to_path_buf(),
            images: self.items.len(),
            tensors: self.shapes,
            files: self.files,
            metadata,
        })
    }
}
