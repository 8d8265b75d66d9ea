//! The rows of one shard, as they come, into files that are not there yet.
//!
//! Every picture of the shard is one row, in order: key, size, kept columns, numbers, or an error in their place.
//! Files are written here under temporary names; who called puts them where they belong.

mod arrays;
mod parquet;

use std::path::Path;

use serde_json::Value;
use tempfile::NamedTempFile;
use zoo_pipeline::look::{Rows, Seen};
use zoo_pipeline::read::Item;
use zoo_pipeline::write::{Sink, WriteError};
use zoo_pipeline::{Failure, Metadata};

use crate::error::{Error, Result};
use crate::fetch::Line;

/// In what form rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One Parquet file a shard: vectors as fixed-size lists, maps as lists of them.
    Parquet,
    /// `NAME/NAME_SHARD.npy` for each tensor and `metadata/metadata_SHARD.parquet`, as clip-retrieval lays them out.
    Npy,
    /// `SHARD.safetensors` and `metadata/metadata_SHARD.parquet`.
    Safetensors,
}

/// The element type of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// IEEE half: what vectors are stored in where there are millions.
    F16,
    /// IEEE single: the numbers as they were computed.
    F32,
}

impl Element {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// What every shard of a run has: columns and what is recorded.
#[derive(Debug, Clone)]
pub struct Layout {
    /// In what form.
    pub format: Format,
    /// Element type of tensors.
    pub element: Element,
    /// Name and shape of a row of each tensor.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// Columns of the source that are kept, as text.
    pub kept: Vec<String>,
    /// Recorded in every file.
    pub metadata: Metadata,
}

impl Layout {
    /// Bytes of the numbers of one row.
    pub fn row_bytes(&self) -> usize {
        let numbers = self.tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>();
        numbers * self.element.size()
    }
}

/// What a row is besides its numbers.
#[derive(Debug, Clone, Default)]
struct Told {
    key: String,
    size: Option<(u32, u32)>,
    error: Option<String>,
    kept: Vec<Option<String>>,
}

/// Rows that wait to be written: one entry a row, and for each tensor as many numbers as rows have.
#[derive(Debug, Default)]
struct Block {
    told: Vec<Told>,
    tensors: Vec<Vec<f32>>,
}

/// Something that takes rows in order.
trait Put {
    /// Adds rows; the numbers of rows with an error are zeros, and mean nothing.
    fn put(&mut self, block: &Block) -> Result<(), String>;
    /// Ends the files, with their names below `--out`.
    fn finish(self: Box<Self>) -> Result<Vec<(String, NamedTempFile)>, String>;
}

/// Takes the rows of one shard.
pub struct TableSink<'a> {
    layout: &'a Layout,
    lines: &'a [Line],
    put: Box<dyn Put + 'a>,
    block: Block,
    address: String,
    rows: usize,
    failures: usize,
}

/// Bytes of numbers that wait before they are written.
const WAITING: usize = 32 << 20;

impl<'a> TableSink<'a> {
    /// For a shard of the name `shard`, with `lines` rows; `scratch` is where temporary files go.
    ///
    /// # Errors
    /// [`Error::Table`].
    pub fn new(layout: &'a Layout, shard: &str, lines: &'a [Line], scratch: &Path) -> Result<Self> {
        let wrong = |what: String| Error::Table { address: shard.to_owned(), what };
        let put: Box<dyn Put + 'a> = match layout.format {
            Format::Parquet => Box::new(parquet::Table::new(layout, shard, true, scratch).map_err(wrong)?),
            Format::Npy | Format::Safetensors => {
                Box::new(arrays::Arrays::new(layout, shard, lines.len(), scratch).map_err(wrong)?)
            }
        };
        let block = Block { told: Vec::new(), tensors: vec![Vec::new(); layout.tensors.len()] };
        Ok(Self { layout, lines, put, block, address: shard.to_owned(), rows: 0, failures: 0 })
    }

    /// Rows so far, and how many of them hold an error.
    pub fn counts(&self) -> (usize, usize) {
        (self.rows, self.failures)
    }

    /// Ends the files, with their names below `--out`.
    ///
    /// # Errors
    /// [`Error::Table`].
    pub fn finish(mut self) -> Result<Vec<(String, NamedTempFile)>> {
        let address = self.address.clone();
        let wrong = |what: String| Error::Table { address, what };
        if self.rows != self.lines.len() {
            return Err(Error::Internal("a shard has other rows than pictures"));
        }
        match self.write() {
            Ok(()) => self.put.finish().map_err(wrong),
            Err(what) => Err(wrong(what)),
        }
    }

    fn write(&mut self) -> Result<(), String> {
        if !self.block.told.is_empty() {
            self.put.put(&self.block)?;
            self.block.told.clear();
            self.block.tensors.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }

    fn told(&self, input: usize, size: Option<(u32, u32)>, error: Option<String>) -> Told {
        let line = self.lines.get(input);
        let key = line.map_or_else(String::new, |line| line.key.clone());
        let kept = line.map_or_else(|| vec![None; self.layout.kept.len()], |line| line.kept.clone());
        Told { key, size, error, kept }
    }

    fn pushed(&mut self, told: Told) -> Result<(), WriteError> {
        self.rows += 1;
        self.failures += usize::from(told.error.is_some());
        self.block.told.push(told);
        let waiting = self.block.told.len() * self.layout.row_bytes() / self.layout.element.size() * 4;
        if waiting < WAITING && self.block.told.len() < 4096 {
            return Ok(());
        }
        let address = self.address.clone();
        self.write().map_err(|what| WriteError::Format { path: address.into(), what })
    }

    fn row(&mut self, item: &Item, tensors: &[Rows], row: usize) -> Result<(), WriteError> {
        for (index, (name, shape)) in self.layout.tensors.iter().enumerate() {
            let found = tensors.iter().find(|rows| rows.name == *name);
            let Some(found) = found.filter(|rows| rows.shape == *shape) else {
                let shape = found.map(|rows| rows.shape.clone()).unwrap_or_default();
                let before = self.layout.tensors[index].1.clone();
                return Err(WriteError::Shape { name: name.clone(), shape, before });
            };
            self.block.tensors[index].extend_from_slice(found.row(row));
        }
        let told = self.told(item.input, Some(item.size), None);
        self.pushed(told)
    }
}

impl Sink for TableSink<'_> {
    fn put(&mut self, items: &[Item], seen: Seen) -> Result<Vec<(usize, Failure)>, WriteError> {
        for (row, item) in items.iter().enumerate() {
            self.row(item, &seen.tensors, row)?;
        }
        Ok(Vec::new())
    }

    fn failed(&mut self, input: usize, _: Option<usize>, failure: &Failure) -> Result<(), WriteError> {
        for (index, (_, shape)) in self.layout.tensors.iter().enumerate() {
            let width = shape.iter().product::<usize>();
            let tensor = &mut self.block.tensors[index];
            tensor.resize(tensor.len() + width, 0.0);
        }
        let told = self.told(input, None, Some(failure.error.to_string()));
        self.pushed(told)
    }
}

/// A map of metadata as text values, sorted by key.
fn flat(metadata: &Metadata) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out: Vec<_> = metadata.iter().map(|(key, value)| (format!("zoo.{key}"), text(value))).collect();
    out.sort();
    out
}
