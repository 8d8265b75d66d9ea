//! The safetensors format, written as a stream: eight bytes of header length, a JSON header padded to eight bytes,
//! then the tensors in order.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Replace, WriteError, file};
use crate::Metadata;

/// Longest header that readers of the format take, in bytes.
pub const MAX_HEADER: usize = 100_000_000;

/// A tensor to be written; f32 unless it says otherwise.
pub trait TensorOut {
    /// Its name.
    fn name(&self) -> &str;
    /// Its shape.
    fn shape(&self) -> Vec<usize>;
    /// The format's name of its element type, and the bytes of an element.
    fn dtype(&self) -> (&'static str, usize) {
        ("F32", size_of::<f32>())
    }
    /// Its little-endian bytes.
    ///
    /// # Errors
    /// When they cannot be read or written.
    fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// A tensor in memory: name, shape, values.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// f32.
    F32(String, Vec<usize>, Vec<f32>),
    /// i64.
    I64(String, Vec<usize>, Vec<i64>),
    /// Bytes.
    U8(String, Vec<u8>),
}

impl TensorOut for Plain {
    fn name(&self) -> &str {
        match self {
            Self::F32(name, ..) | Self::I64(name, ..) | Self::U8(name, _) => name,
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::F32(_, shape, _) | Self::I64(_, shape, _) => shape.clone(),
            Self::U8(_, bytes) => vec![bytes.len()],
        }
    }

    fn dtype(&self) -> (&'static str, usize) {
        match self {
            Self::F32(..) => ("F32", size_of::<f32>()),
            Self::I64(..) => ("I64", size_of::<i64>()),
            Self::U8(..) => ("U8", 1),
        }
    }

    fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::F32(.., values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
            Self::I64(.., values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
            Self::U8(_, bytes) => out.write_all(bytes),
        }
    }
}

/// Writes the file at `path`, or nothing. Every value in a header is a string, so whatever is not a string in
/// `metadata` is written there as JSON.
///
/// # Errors
/// As [`file()`]; [`WriteError::Format`] for a header that no reader would take.
pub fn write_safetensors<T: TensorOut>(
    path: &Path,
    replace: Replace,
    tensors: &mut [T],
    metadata: &Metadata,
) -> Result<(), WriteError> {
    let mut tensors: Vec<&mut dyn TensorOut> = tensors.iter_mut().map(|t| t as &mut dyn TensorOut).collect();
    write_mixed(path, replace, &mut tensors, metadata)
}

/// [`write_safetensors`] for tensors of several kinds. Those of larger elements come first, so that all are aligned.
pub(super) fn write_mixed(
    path: &Path,
    replace: Replace,
    tensors: &mut [&mut dyn TensorOut],
    metadata: &Metadata,
) -> Result<(), WriteError> {
    let header = header(tensors, metadata);
    if header.len() > MAX_HEADER {
        let what = format!(
            "its header would have {} bytes, and readers take {MAX_HEADER} at most; record less beside the tensors",
            header.len()
        );
        return Err(WriteError::Format { path: path.to_path_buf(), what });
    }
    file(path, replace, |w| {
        w.write_all(&(header.len() as u64).to_le_bytes())?;
        w.write_all(&header)?;
        tensors.iter_mut().try_for_each(|tensor| tensor.copy_to(w))
    })
}

fn header(tensors: &[&mut dyn TensorOut], metadata: &Metadata) -> Vec<u8> {
    let as_text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let texts: Map<String, Value> =
        metadata.iter().map(|(key, value)| (key.clone(), as_text(value).into())).collect();
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), texts.into());
    let mut start = 0;
    for tensor in tensors {
        let shape = tensor.shape();
        let (dtype, size) = tensor.dtype();
        let end = start + shape.iter().product::<usize>() * size;
        entries.insert(
            tensor.name().to_owned(),
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }),
        );
        start = end;
    }
    let mut bytes = Value::Object(entries).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    bytes
}

#[cfg(test)]
mod tests {
    use ::safetensors::SafeTensors;

    use super::*;

    #[test]
    fn the_public_reader_reads_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut tensors = [
            Plain::I64("ids".into(), vec![2], vec![3, -4]),
            Plain::F32("features".into(), vec![3, 2], (0..6).map(|i| i as f32).collect()),
            Plain::U8("text".into(), b"odd".to_vec()),
        ];
        let mut metadata = Metadata::new();
        metadata.insert("encoder".into(), "x".into());
        metadata.insert("grid".into(), json!([1, 2]));
        write_safetensors(&path, Replace::Never, &mut tensors, &metadata).unwrap();

        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let features = file.tensor("features").unwrap();
        assert_eq!(features.shape(), [3, 2]);
        let expected: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        assert_eq!(features.data(), expected);
        assert_eq!(
            (file.tensor("ids").unwrap().shape(), file.tensor("text").unwrap().data()),
            (&[2][..], &b"odd"[..])
        );
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().unwrap();
        assert_eq!((metadata["encoder"].as_str(), metadata["grid"].as_str()), ("x", "[1,2]"));
    }

    #[test]
    fn a_header_that_nobody_reads_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut metadata = Metadata::new();
        metadata.insert("long".into(), "x".repeat(MAX_HEADER).into());
        let error = write_safetensors::<Plain>(&path, Replace::Never, &mut [], &metadata).unwrap_err();
        assert!(error.to_string().contains("readers take 100000000 at most"), "{error}");
        assert!(!path.exists());
    }
}
