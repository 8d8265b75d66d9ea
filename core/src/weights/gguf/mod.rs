//! GGUF, the container of GGML and of what is built on it, versions 2 and 3: metadata by key, and tensors that may
//! stand in quantised blocks. <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

mod kind;
mod read;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use kind::TensorKind;
pub use value::{Metadata, Value};
pub use write::{GgufWriter, TensorPlan};

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::{DType, Device, Tensor};

use super::mapped::Mapped;
use crate::{Quantisation, Result};

/// The first bytes of every such file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
/// What tensors are aligned to unless the metadata say otherwise.
const ALIGNMENT: usize = 32;

struct Entry {
    kind: TensorKind,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// A mapped file whose header was read.
pub(super) struct Gguf {
    file: Mapped,
    metadata: Metadata,
    entries: BTreeMap<String, Entry>,
}

impl Gguf {
    /// Reads and checks the header; every tensor lies inside the file.
    pub(super) fn parse(file: Mapped) -> Result<Self> {
        let header = read::header(file.bytes()).map_err(|message| file.fault(message))?;
        let mut entries = BTreeMap::new();
        for tensor in header.tensors {
            let fault = |message| file.fault(format!("tensor `{}` {message}", tensor.name));
            let bytes = tensor.kind.bytes(&tensor.shape).map_err(fault)?;
            let start = usize::try_from(tensor.offset).ok().and_then(|at| header.data.checked_add(at));
            let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));
            let range = range.filter(|range| range.end <= file.bytes().len()).ok_or_else(|| {
                file.fault(format!(
                    "tensor `{}` lies beyond the end of the file, which was cut short; download it again",
                    tensor.name
                ))
            })?;
            let entry = Entry { kind: tensor.kind, shape: tensor.shape, bytes: range };
            if entries.insert(tensor.name.clone(), entry).is_some() {
                return Err(file.fault(format!("tensor `{}` is there twice", tensor.name)));
            }
        }
        Ok(Self { metadata: header.metadata, file, entries })
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.file
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn shape(&self, key: &str) -> Option<&[usize]> {
        self.entries.get(key).map(|e| e.shape.as_slice())
    }

    /// Where the numbers of a tensor stand that is not quantised.
    pub(super) fn place(&self, key: &str) -> Option<(DType, Range<usize>)> {
        let entry = self.entries.get(key)?;
        Some((entry.kind.dtype()?, entry.bytes.clone()))
    }

    /// Where the blocks of a tensor stand, in a format that products are made with.
    pub(super) fn blocks(&self, key: &str) -> Option<(Quantisation, Range<usize>)> {
        let entry = self.entries.get(key)?;
        Some((entry.kind.quantisation()?, entry.bytes.clone()))
    }

    /// The tensor, quantised ones as f32.
    pub(super) fn load(&self, key: &str) -> Result<Tensor> {
        let entry =
            self.entries.get(key).ok_or_else(|| self.file.fault(format!("there is no tensor `{key}`")))?;
        let bytes = &self.file.bytes()[entry.bytes.clone()];
        let tensor = if let Some(dtype) = entry.kind.dtype() {
            Tensor::from_raw_buffer(bytes, dtype, &entry.shape, &Device::Cpu)?
        } else if let Some(format) = entry.kind.quantisation() {
            let mut values = vec![0f32; entry.shape.iter().product()];
            format.format().decode(bytes, &mut values);
            Tensor::from_vec(values, entry.shape.as_slice(), &Device::Cpu)?
        } else {
            let dtype = entry.kind.candle().map_err(|e| self.file.fault(format!("tensor `{key}` {e}")))?;
            // candle reads blocks where they are aligned, which bytes of a file need not be, nor those of no block at all.
            let mut aligned = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
            let blocks = &mut bytemuck::cast_slice_mut(&mut aligned)[..bytes.len()];
            blocks.copy_from_slice(bytes);
            qtensor_from_ggml(dtype, blocks, entry.shape.clone(), &Device::Cpu)?.dequantize(&Device::Cpu)?
        };
        self.file.release(entry.bytes.clone());
        Ok(tensor)
    }
}
