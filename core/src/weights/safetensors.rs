//! `.safetensors` files.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::mapped::Mapped;
use crate::Result;

struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// A mapped file with a validated header.
pub(super) struct Safetensors {
    file: Mapped,
    entries: BTreeMap<String, Entry>,
}

impl Safetensors {
    /// Reads and checks the header: names, shapes and offsets must cover the file exactly.
    pub(super) fn parse(file: Mapped) -> Result<Self> {
        let (header, metadata) =
            SafeTensors::read_metadata(file.bytes()).map_err(|e| file.fault(explain(&e, file.bytes())))?;
        let data = 8 + header;
        let entries = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (start, end) = info.data_offsets;
                let entry =
                    Entry { dtype: info.dtype, shape: info.shape.clone(), bytes: data + start..data + end };
                (name, entry)
            })
            .collect();
        Ok(Self { file, entries })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn shape(&self, key: &str) -> Option<&[usize]> {
        self.entries.get(key).map(|e| e.shape.as_slice())
    }

    pub(super) fn load(&self, key: &str) -> Result<Tensor> {
        let entry =
            self.entries.get(key).ok_or_else(|| self.file.fault(format!("there is no tensor `{key}`")))?;
        let dtype = DType::try_from(entry.dtype).map_err(|_| {
            self.file.fault(format!("tensor `{key}` has dtype {:?}, which is not read", entry.dtype))
        })?;
        let bytes = self
            .file
            .bytes()
            .get(entry.bytes.clone())
            .ok_or_else(|| self.file.fault(format!("tensor `{key}` lies outside the file")))?;
        let tensor = Tensor::from_raw_buffer(bytes, dtype, &entry.shape, &Device::Cpu)?;
        self.file.release(entry.bytes.clone());
        Ok(tensor)
    }

    /// Where a tensor's numbers stand.
    pub(super) fn place(&self, key: &str) -> Option<(DType, Range<usize>)> {
        let entry = self.entries.get(key)?;
        let dtype = DType::try_from(entry.dtype).ok()?;
        self.file.bytes().get(entry.bytes.clone()).map(|_| (dtype, entry.bytes.clone()))
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.file
    }
}

/// What a header error means for the person who has the file.
fn explain(error: &SafeTensorError, bytes: &[u8]) -> String {
    use SafeTensorError as E;
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).trim_start().to_ascii_lowercase();
    if start.starts_with("version https://git-lfs") {
        return "this is a Git LFS pointer, not the weights; run `git lfs pull`".to_owned();
    }
    if start.starts_with("<!doctype") || start.starts_with("<html") {
        return "this is a web page, not weights; download the file itself".to_owned();
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "this is a tar archive, not weights; unpack it (PyTorch before 0.2 wrote such files: read one with \
                torch.load and write it again with torch.save)"
            .to_owned();
    }
    if bytes.starts_with(b"\x1f\x8b") {
        return "this is compressed by gzip; unpack it".to_owned();
    }
    match error {
        E::MetadataIncompleteBuffer => {
            "the file is cut short or has bytes too many for its header; download it again".to_owned()
        }
        E::HeaderTooSmall | E::InvalidHeaderLength | E::HeaderTooLarge => {
            format!("no safetensors file, or cut short within its header ({error})")
        }
        other => format!("no valid safetensors file: {other}"),
    }
}
