//! Apache Parquet.

mod arrays;
mod marks;
mod schema;
mod values;

use std::fs::File;
use std::path::Path;

use arrow_array::{RecordBatch, StructArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;

pub(crate) use arrays::RowWriter;
pub(crate) use schema::Columns;

use crate::row::no_column;
use crate::{Error, Result, Value};
use marks::Marks;

/// Bytes of rows that are unpacked together.
const TOGETHER: u64 = 16 << 20;

/// A file whose heading was read.
pub(crate) struct Shape {
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    marks: Marks,
    together: usize,
}

impl Shape {
    /// Reads the heading, and checks that `wanted` are there and can be read.
    pub fn open(path: &Path, wanted: Option<&[String]>) -> Result<Self> {
        let file = open(path)?;
        // The types that a writer had in memory are its own affair; those of the file are fewer.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata =
            guarded(|| ArrowReaderMetadata::load(&file, options).map_err(|error| error.to_string()))
                .map_err(|message| fault(path, message))?;
        let schema = metadata.schema();
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        if let Some(missing) = wanted.unwrap_or_default().iter().find(|name| !names().any(|n| n == *name)) {
            return Err(Error::file(path, no_column(missing, names())));
        }
        let mut roots = Vec::new();
        for (column, field) in schema.fields().iter().enumerate() {
            if wanted.is_none_or(|wanted| wanted.contains(field.name())) {
                if let Some(kind) = values::unreadable(field.data_type()) {
                    let message = format!(
                        "column `{}` is {kind}, which is not read; name the other columns to read them",
                        field.name()
                    );
                    return Err(Error::file(path, message));
                }
                roots.push(column);
            }
        }
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let marks = Marks::read(metadata.metadata().file_metadata().key_value_metadata())
            .map_err(|message| Error::file(path, message))?;
        let groups = metadata.metadata().row_groups();
        let rows: u64 = groups.iter().map(|group| group.num_rows().max(0) as u64).sum();
        let bytes: u64 = groups.iter().map(|group| group.total_byte_size().max(0) as u64).sum();
        let together = (TOGETHER / (bytes / rows.max(1)).max(1)).clamp(1, 64) as usize;
        Ok(Self { metadata, mask, marks, together })
    }

    /// Rows of each group.
    pub fn groups(&self) -> Vec<u64> {
        let groups = self.metadata.metadata().row_groups();
        groups.iter().map(|group| group.num_rows().max(0) as u64).collect()
    }

    /// All rows in order.
    pub fn rows(&self, path: &Path) -> Result<Rows<'_>> {
        let builder = self.builder(path)?.with_batch_size(self.together);
        let reader = guarded(|| builder.build().map_err(|error| error.to_string()));
        Ok(Rows { shape: self, reader: reader.map_err(|message| fault(path, message))?, ready: Vec::new() })
    }

    /// One row of a group.
    pub fn row(&self, path: &Path, group: usize, row: u64) -> Result<Vec<(String, Value)>> {
        let one = RowSelection::from(vec![RowSelector::skip(row as usize), RowSelector::select(1)]);
        let builder =
            self.builder(path)?.with_batch_size(1).with_row_groups(vec![group]).with_row_selection(one);
        let read = || match builder.build().map_err(|error| error.to_string())?.next() {
            Some(batch) => self.values(batch.map_err(|error| error.to_string())?),
            None => Ok(Vec::new()),
        };
        let row = guarded(read).map_err(|message| fault(path, message))?.pop();
        row.ok_or_else(|| Error::file(path, "a row is not there any more; was the file changed?"))
    }

    fn builder(&self, path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(open(path)?, self.metadata.clone());
        Ok(builder.with_projection(self.mask.clone()))
    }

    fn values(&self, batch: RecordBatch) -> Result<Vec<Vec<(String, Value)>>, String> {
        let count = batch.num_rows();
        if batch.num_columns() == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        values::rows(&StructArray::from(batch), &mut Vec::new(), &self.marks)
    }
}

/// Rows of a file in order.
pub(crate) struct Rows<'a> {
    shape: &'a Shape,
    reader: ParquetRecordBatchReader,
    /// Rows that were unpacked together, the next one last.
    ready: Vec<Vec<(String, Value)>>,
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<(String, Value)>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let (reader, shape) = (&mut self.reader, self.shape);
            let read = || match reader.next() {
                Some(batch) => shape.values(batch.map_err(|error| error.to_string())?).map(Some),
                None => Ok(None),
            };
            match guarded(read) {
                Ok(rows) => {
                    self.ready = rows?;
                    self.ready.reverse();
                }
                Err(message) => return Some(Err(message)),
            }
        }
        self.ready.pop().map(Ok)
    }
}

/// The reader of Parquet panics on some damaged pages; here that is an error like the others.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // What a panic leaves behind is dropped unread.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("a page is damaged".to_owned()))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io(path, "cannot read the rows"))
}

fn fault(path: &Path, message: String) -> Error {
    Error::file(path, format!("this is no complete Parquet file: {message}"))
}
