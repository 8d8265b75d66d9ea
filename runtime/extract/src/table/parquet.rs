//! Rows as a Parquet file.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt32Builder};
use arrow_array::{ArrayRef, FixedSizeListArray, Float16Array, Float32Array, ListArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use super::{Block, Element, Layout, Put, Told, flat};

/// A Parquet file that grows. Columns: `key`, `width` and `height` in pixels, those that were kept of the source, one
/// for each tensor, `error`.
pub(super) struct Table<'a> {
    layout: &'a Layout,
    name: String,
    schema: Arc<Schema>,
    tensors: bool,
    writer: ArrowWriter<NamedTempFile>,
}

impl<'a> Table<'a> {
    /// With the tensors, or of what is beside them.
    pub(super) fn new(
        layout: &'a Layout,
        shard: &str,
        tensors: bool,
        scratch: &Path,
    ) -> Result<Self, String> {
        let mut fields = vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("width", DataType::UInt32, true),
            Field::new("height", DataType::UInt32, true),
        ];
        fields.extend(layout.kept.iter().map(|name| Field::new(name, DataType::Utf8, true)));
        if tensors {
            for (name, shape) in &layout.tensors {
                fields.push(Field::new(name, data_type(layout.element, shape)?, true));
            }
        }
        fields.push(Field::new("error", DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields));
        let metadata =
            flat(&layout.metadata).into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        let level = ZstdLevel::try_new(1).map_err(|error| error.to_string())?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("zoo {}", env!("CARGO_PKG_VERSION")))
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(metadata))
            .build();
        let file = zoo_records::temporary(scratch).map_err(|error| error.to_string())?;
        let writer =
            ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(|e| e.to_string())?;
        let name = match tensors {
            true => format!("{shard}.parquet"),
            false => format!("metadata/metadata_{shard}.parquet"),
        };
        Ok(Self { layout, name, schema, tensors, writer })
    }
}

fn data_type(element: Element, shape: &[usize]) -> Result<DataType, String> {
    let number = match element {
        Element::F16 => DataType::Float16,
        Element::F32 => DataType::Float32,
    };
    match shape {
        &[width] => Ok(DataType::FixedSizeList(Arc::new(Field::new_list_field(number, false)), size(width)?)),
        [_, rest @ ..] if !rest.is_empty() => {
            Ok(DataType::List(Arc::new(Field::new_list_field(data_type(element, rest)?, false))))
        }
        _ => Err(format!("a tensor of shape {shape:?} has no place in a table")),
    }
}

fn size(n: usize) -> Result<i32, String> {
    i32::try_from(n).map_err(|_| format!("{n} numbers are too many for one list"))
}

/// `values` as `valid.len()` rows of `shape`, of which those that are not valid are null.
fn column(element: Element, shape: &[usize], values: &[f32], valid: &[bool]) -> Result<ArrayRef, String> {
    let wrong = |error: arrow_schema::ArrowError| error.to_string();
    let numbers: ArrayRef = match element {
        Element::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.as_mut_slice().convert_from_f32_slice(values);
            Arc::new(Float16Array::from(halves))
        }
        Element::F32 => Arc::new(Float32Array::from(values.to_vec())),
    };
    let number = numbers.data_type().clone();
    let inner = |array: ArrayRef, width: usize, nulls: Option<Vec<bool>>| {
        let field = Arc::new(Field::new_list_field(number.clone(), false));
        FixedSizeListArray::try_new(field, size(width)?, array, nulls.map(Into::into)).map_err(wrong)
    };
    match *shape {
        [width] => Ok(Arc::new(inner(numbers, width, Some(valid.to_vec()))?)),
        [count, width] => {
            let tokens = inner(numbers, width, None)?;
            let field = Arc::new(Field::new_list_field(tokens.data_type_of(), false));
            let lengths = arrow_buffer::OffsetBuffer::from_lengths(std::iter::repeat_n(count, valid.len()));
            let list = ListArray::try_new(field, lengths, Arc::new(tokens), Some(valid.to_vec().into()));
            Ok(Arc::new(list.map_err(wrong)?))
        }
        _ => Err(format!("a tensor of shape {shape:?} has no place in a table")),
    }
}

/// The type of an array, where the trait that says it is not otherwise needed.
trait Typed {
    fn data_type_of(&self) -> DataType;
}

impl<T: arrow_array::Array> Typed for T {
    fn data_type_of(&self) -> DataType {
        self.data_type().clone()
    }
}

fn texts<'t>(told: &'t [Told], of: impl Fn(&'t Told) -> Option<&'t str>) -> ArrayRef {
    let mut out = StringBuilder::new();
    told.iter().for_each(|told| out.append_option(of(told)));
    Arc::new(out.finish())
}

fn sizes(told: &[Told], of: impl Fn((u32, u32)) -> u32) -> ArrayRef {
    let mut out = UInt32Builder::new();
    told.iter().for_each(|told| out.append_option(told.size.map(&of)));
    Arc::new(out.finish())
}

impl Put for Table<'_> {
    fn put(&mut self, block: &Block) -> Result<(), String> {
        let told = &block.told;
        let mut columns = vec![texts(told, |told| Some(&told.key))];
        columns.push(sizes(told, |(width, _)| width));
        columns.push(sizes(told, |(_, height)| height));
        for index in 0..self.layout.kept.len() {
            columns.push(texts(told, |told| told.kept.get(index)?.as_deref()));
        }
        if self.tensors {
            let valid: Vec<bool> = told.iter().map(|told| told.error.is_none()).collect();
            for ((_, shape), values) in self.layout.tensors.iter().zip(&block.tensors) {
                columns.push(column(self.layout.element, shape, values, &valid)?);
            }
        }
        columns.push(texts(told, |told| told.error.as_deref()));
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| error.to_string())?;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(|error| error.to_string())
    }

    fn finish(self: Box<Self>) -> Result<Vec<(String, NamedTempFile)>, String> {
        let file = self.writer.into_inner().map_err(|error| error.to_string())?;
        Ok(vec![(self.name, file)])
    }
}
