//! Rows as arrays, of which the length is known before they are filled, with a table of what is beside the numbers.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use half::f16;
use serde_json::json;
use tempfile::NamedTempFile;

use super::parquet::Table;

use super::{Block, Element, Format, Layout, Put, flat};

/// Arrays that grow, each in a file of its own.
pub(super) struct Arrays<'a> {
    layout: &'a Layout,
    shard: String,
    rows: usize,
    columns: Vec<BufWriter<NamedTempFile>>,
    beside: Box<Table<'a>>,
}

impl<'a> Arrays<'a> {
    /// For `rows` rows.
    pub(super) fn new(layout: &'a Layout, shard: &str, rows: usize, scratch: &Path) -> Result<Self, String> {
        let beside = Box::new(Table::new(layout, shard, false, scratch)?);
        let mut columns = Vec::new();
        for (_, shape) in &layout.tensors {
            let mut file = BufWriter::new(zoo_records::temporary(scratch).map_err(text)?);
            if layout.format == Format::Npy {
                let of_all: Vec<usize> = std::iter::once(rows).chain(shape.iter().copied()).collect();
                let kind = match layout.element {
                    Element::F16 => "<f2",
                    Element::F32 => "<f4",
                };
                let header =
                    zoo_pipeline::write::npy_header(kind, &of_all).ok_or("too many axes for .npy")?;
                file.write_all(&header).map_err(text)?;
            }
            columns.push(file);
        }
        Ok(Self { layout, shard: shard.to_owned(), rows, columns, beside })
    }

    /// All arrays in one file, behind a header that says where they are.
    fn joined(&self, files: Vec<NamedTempFile>) -> Result<NamedTempFile, String> {
        let kind = match self.layout.element {
            Element::F16 => "F16",
            Element::F32 => "F32",
        };
        let (mut header, mut end) = (serde_json::Map::new(), 0);
        let metadata: serde_json::Map<_, _> =
            flat(&self.layout.metadata).into_iter().map(|(key, value)| (key, value.into())).collect();
        header.insert("__metadata__".into(), metadata.into());
        for (name, shape) in &self.layout.tensors {
            let of_all: Vec<usize> = std::iter::once(self.rows).chain(shape.iter().copied()).collect();
            let begin = end;
            end += of_all.iter().product::<usize>() * self.layout.element.size();
            header.insert(
                name.clone(),
                json!({ "dtype": kind, "shape": of_all, "data_offsets": [begin, end] }),
            );
        }
        let mut header = serde_json::Value::Object(header).to_string();
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let folder = files.first().and_then(|file| file.path().parent()).unwrap_or(Path::new("."));
        let mut out = BufWriter::new(zoo_records::temporary(folder).map_err(text)?);
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(text)?;
        out.write_all(header.as_bytes()).map_err(text)?;
        for file in files {
            let mut from = File::open(file.path()).map_err(text)?;
            io::copy(&mut from, &mut out).map_err(text)?;
        }
        out.into_inner().map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Put for Arrays<'_> {
    fn put(&mut self, block: &Block) -> Result<(), String> {
        for (file, values) in self.columns.iter_mut().zip(&block.tensors) {
            let written = match self.layout.element {
                Element::F32 => values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes())),
                Element::F16 => {
                    values.iter().try_for_each(|value| file.write_all(&f16::from_f32(*value).to_le_bytes()))
                }
            };
            written.map_err(text)?;
        }
        self.beside.put(block)
    }

    fn finish(self: Box<Self>) -> Result<Vec<(String, NamedTempFile)>, String> {
        let mut this = *self;
        let columns = std::mem::take(&mut this.columns);
        let files = columns.into_iter().map(|file| file.into_inner().map_err(text));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let mut out = match this.layout.format {
            Format::Safetensors => vec![(format!("{}.safetensors", this.shard), this.joined(files)?)],
            _ => {
                let names = this.layout.tensors.iter().map(|(name, _)| {
                    let name = name.replace('/', ".");
                    format!("{name}/{name}_{}.npy", this.shard)
                });
                names.zip(files).collect()
            }
        };
        out.extend(this.beside.finish()?);
        Ok(out)
    }
}
