//! `mm_projector.bin`: what `torch.save` writes of a dictionary of f32 tensors.
//!
//! A zip archive with one entry for the numbers of each tensor, and `data.pkl`: a pickle that builds the dictionary. No
//! crate writes the references to entries that PyTorch expects, so the few instructions of such a pickle stand here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::tensor::View;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::checkpoint::synced;
use super::stored::Stored;
use crate::{Error, Result};

/// Writes `tensors` to `path`, as a whole or not at all.
pub(super) fn write(path: &Path, tensors: &BTreeMap<String, Stored<'_>>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(Error::io(folder, "cannot write"))?;
    archive(temporary.as_file(), tensors).map_err(Error::io(path, "cannot write"))?;
    synced(temporary.path())?;
    temporary.persist(path).map_err(|e| Error::io(path, "cannot write")(e.error))?;
    Ok(())
}

fn archive(file: &File, tensors: &BTreeMap<String, Stored<'_>>) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(BufWriter::new(file));
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    let mut entry = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        zip.start_file(format!("mm_projector/{name}"), plain)?;
        zip.write_all(bytes)
    };
    let shapes: Vec<_> = tensors.iter().map(|(key, tensor)| (key.as_str(), tensor.shape())).collect();
    entry("data.pkl", &pickle(&shapes))?;
    entry("byteorder", b"little")?;
    for (index, (key, tensor)) in tensors.iter().enumerate() {
        let numbers = tensor.floats();
        if numbers.len() != tensor.shape().iter().product::<usize>() {
            return Err(std::io::Error::other(format!("`{key}` cannot be read any more")));
        }
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        entry(&format!("data/{index}"), &bytes)?;
    }
    entry("version", b"3\n")?;
    zip.finish()?.flush()
}

/// The pickle, protocol 2, of a dictionary of tensors of these keys and shapes, whose numbers are entries `0`, `1`, ….
fn pickle(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut out = vec![0x80, 2, b'}', b'('];
    for (index, (key, shape)) in tensors.iter().enumerate() {
        text(&mut out, key);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &index.to_string());
        text(&mut out, "cpu");
        number(&mut out, shape.iter().product());
        // The reference to the entry; then where in it the tensor begins.
        out.extend(b"tQ");
        number(&mut out, 0);
        tuple(&mut out, shape.iter().copied());
        let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product());
        tuple(&mut out, strides);
        // No gradient, no hooks.
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn tuple(out: &mut Vec<u8>, numbers: impl Iterator<Item = usize>) {
    out.push(b'(');
    numbers.for_each(|n| number(out, n));
    out.push(b't');
}

fn number(out: &mut Vec<u8>, n: usize) {
    match i32::try_from(n) {
        Ok(n) => {
            out.push(b'J');
            out.extend(n.to_le_bytes());
        }
        Err(_) => {
            out.extend([0x8a, 8]);
            out.extend((n as u64).to_le_bytes());
        }
    }
}
