//! From values to columns, and the writer of a file.

use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::marks::Marks;
use super::schema::{Columns, Kind, item};
use crate::Value;

/// Bytes of a group of rows before it is packed.
const GROUP: usize = 64 << 20;
/// Rows, and bytes of them, that become columns together.
const TOGETHER: (usize, usize) = (512, 32 << 20);

/// Writes rows whose columns are known.
pub(crate) struct RowWriter<'a> {
    columns: Columns,
    schema: Arc<Schema>,
    writer: ArrowWriter<&'a mut File>,
    rows: Vec<Vec<(String, Value)>>,
    bytes: usize,
}

impl<'a> RowWriter<'a> {
    /// `columns` have seen all rows that will come.
    pub fn new(file: &'a mut File, mut columns: Columns) -> Result<Self, ParquetError> {
        let mut marks = Marks::default();
        columns.settle(&mut Vec::new(), &mut marks);
        let schema = Arc::new(Schema::new(columns.fields()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(marks.write()))
            .build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        Ok(Self { columns, schema, writer, rows: Vec::new(), bytes: 0 })
    }

    pub fn write(&mut self, row: Vec<(String, Value)>, bytes: usize) -> Result<(), ParquetError> {
        self.rows.push(row);
        self.bytes += bytes;
        match self.rows.len() < TOGETHER.0 && self.bytes < TOGETHER.1 {
            true => Ok(()),
            false => self.flush(),
        }
    }

    pub fn finish(mut self) -> Result<(), ParquetError> {
        self.flush()?;
        self.writer.close().map(drop)
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let objects: Vec<Option<&[(String, Value)]>> = rows.iter().map(|row| Some(row.as_slice())).collect();
        let arrays = columns(&self.columns, &objects)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        self.writer.write(&RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)?;
        match self.writer.in_progress_size() > GROUP {
            true => self.writer.flush(),
            false => Ok(()),
        }
    }
}

fn columns(columns: &Columns, rows: &[Option<&[(String, Value)]>]) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |(at, column): (usize, &super::schema::Column)| {
        let values: Vec<Option<&Value>> = rows
            .iter()
            .map(|row| {
                let row = (*row)?;
                match row.get(at).filter(|(name, _)| *name == column.name) {
                    Some((_, value)) => Some(value),
                    None => row.iter().find(|(name, _)| *name == column.name).map(|(_, value)| value),
                }
            })
            .collect();
        array(&column.kind, &values)
    };
    columns.columns.iter().enumerate().map(column).collect()
}

/// The values of one column; those that are absent are null.
fn array(kind: &Kind, values: &[Option<&Value>]) -> Result<ArrayRef, ArrowError> {
    macro_rules! each {
        ($array:ty, $pattern:pat => $value:expr) => {
            Arc::new(
                values
                    .iter()
                    .map(|value| match value {
                        Some($pattern) => Some($value),
                        _ => None,
                    })
                    .collect::<$array>(),
            )
        };
    }
    let present = || values.iter().map(|value| !matches!(value, None | Some(Value::Null)));
    Ok(match kind {
        Kind::Bool => each!(BooleanArray, Value::Bool(b) => *b),
        Kind::Int { .. } if kind.data_type() == DataType::UInt64 => {
            each!(UInt64Array, Value::Int(i) => u64::try_from(*i).unwrap_or_default())
        }
        Kind::Int { .. } => each!(Int64Array, Value::Int(i) => i64::try_from(*i).unwrap_or_default()),
        Kind::Float => each!(Float64Array, Value::Float(f) => *f),
        Kind::Text => each!(StringArray, Value::Text(text) => text.as_str()),
        Kind::Json | Kind::Unknown => each!(StringArray, value => value.to_json().to_string()),
        Kind::Bytes => {
            let mut out = BinaryBuilder::new();
            for value in values {
                match value {
                    Some(Value::Bytes(bytes)) => out.append_value(bytes),
                    _ => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
        Kind::List(inner) => {
            let list = |value: &Option<&Value>| -> usize {
                value.and_then(|value| value.as_list()).map_or(0, <[Value]>::len)
            };
            let all: Vec<Option<&Value>> = values
                .iter()
                .filter_map(|value| value.and_then(Value::as_list))
                .flatten()
                .map(Some)
                .collect();
            let lengths = values.iter().map(list);
            let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths);
            let nulls = arrow_buffer::NullBuffer::from_iter(present());
            Arc::new(ListArray::try_new(Arc::new(item(inner)), offsets, array(inner, &all)?, Some(nulls))?)
        }
        Kind::Map(inner) => {
            let rows: Vec<Option<&[(String, Value)]>> = values
                .iter()
                .map(|value| match value {
                    Some(Value::Map(fields)) => Some(fields.as_slice()),
                    _ => None,
                })
                .collect();
            let nulls = arrow_buffer::NullBuffer::from_iter(present());
            Arc::new(StructArray::try_new(inner.fields(), columns(inner, &rows)?, Some(nulls))?)
        }
    })
}
