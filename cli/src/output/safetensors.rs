//! The safetensors format, written as a stream: eight bytes of header length, a JSON header padded to eight bytes,
//! then the tensors in order.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::atomic;
use super::spool::Spool;
use crate::report::CliError;

/// What is written beside the tensors. In a safetensors file every value is a string, so whatever is not a string
/// is written there as JSON.
pub type Metadata = Map<String, Value>;

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
    fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

impl TensorOut for Spool {
    fn name(&self) -> &str {
        self.name()
    }

    fn shape(&self) -> Vec<usize> {
        self.shape()
    }

    fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.copy_to(out)
    }
}

/// A tensor in memory: name, shape, values.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// f32.
    F32(String, Vec<usize>, Vec<f32>),
    /// i64.
    I64(String, Vec<usize>, Vec<i64>),
}

impl TensorOut for Plain {
    fn name(&self) -> &str {
        match self {
            Self::F32(name, ..) | Self::I64(name, ..) => name,
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::F32(_, shape, _) | Self::I64(_, shape, _) => shape.clone(),
        }
    }

    fn dtype(&self) -> (&'static str, usize) {
        match self {
            Self::F32(..) => ("F32", size_of::<f32>()),
            Self::I64(..) => ("I64", size_of::<i64>()),
        }
    }

    fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::F32(.., values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
            Self::I64(.., values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
        }
    }
}

/// Writes the file at `path`, or nothing.
pub fn write_safetensors<T: TensorOut>(
    path: &Path,
    tensors: &mut [T],
    metadata: &Metadata,
) -> Result<(), CliError> {
    let header = header(tensors, metadata);
    atomic::write(path, |w| {
        w.write_all(&(header.len() as u64).to_le_bytes())?;
        w.write_all(&header)?;
        tensors.iter_mut().try_for_each(|tensor| tensor.copy_to(w))
    })
}

fn header<T: TensorOut>(tensors: &[T], metadata: &Metadata) -> Vec<u8> {
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
    use super::super::spool::Rows;
    use super::*;
    use ::safetensors::SafeTensors;

    #[test]
    fn the_public_reader_reads_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let rows = |values: &[f32]| Rows { name: "features".into(), shape: vec![2], values: values.to_vec() };
        let mut a = Spool::new(&path, &rows(&[])).unwrap();
        a.push(&rows(&[1.0, 2.0, 3.0, 4.0])).unwrap();
        a.push(&rows(&[5.0, 6.0])).unwrap();
        let mut b =
            Spool::new(&path, &Rows { name: "attention".into(), shape: vec![1], values: vec![] }).unwrap();
        b.push(&Rows { name: "attention".into(), shape: vec![1], values: vec![0.5; 3] }).unwrap();
        let mut metadata = Metadata::new();
        metadata.insert("encoder".into(), "x".into());
        metadata.insert("grid".into(), json!([1, 2]));
        write_safetensors(&path, &mut [a, b], &metadata).unwrap();

        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let features = file.tensor("features").unwrap();
        assert_eq!(features.shape(), [3, 2]);
        let expected: Vec<u8> =
            [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(features.data(), expected);
        assert_eq!(file.tensor("attention").unwrap().shape(), [3, 1]);
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().unwrap();
        assert_eq!((metadata["encoder"].as_str(), metadata["grid"].as_str()), ("x", "[1,2]"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the spools are gone");
    }

    #[test]
    fn spools_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        drop(Spool::new(&path, &Rows { name: "a".into(), shape: vec![1], values: vec![] }).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
