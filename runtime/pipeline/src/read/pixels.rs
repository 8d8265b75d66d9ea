//! Files of normalised pixels: `pixels` f32 `[B,3,H,W]` of a safetensors file, with options of the call beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::ReadError;

/// Longest header that the format allows, in bytes.
const HEADER: u64 = 100_000_000;

/// Normalised pixels, and what stands beside them.
#[derive(Debug, Clone)]
pub struct PixelRows {
    /// `[B, 3, H, W]`.
    pub pixels: Tensor,
    /// Other f32 tensors of the file with as many rows, by name: options of the call, where the encoder has such.
    pub beside: BTreeMap<String, Tensor>,
}

impl PixelRows {
    /// Rows `first..first + count`.
    ///
    /// # Errors
    /// There are fewer.
    pub fn rows(&self, first: usize, count: usize) -> candle_core::Result<Self> {
        let beside = self.beside.iter();
        Ok(Self {
            pixels: self.pixels.narrow(0, first, count)?,
            beside: beside
                .map(|(name, tensor)| Ok((name.clone(), tensor.narrow(0, first, count)?)))
                .collect::<candle_core::Result<_>>()?,
        })
    }
}

/// The tensors.
pub(super) fn pixels(path: &Path) -> Result<PixelRows, ReadError> {
    let fail = |what: String| ReadError::Pixels { path: path.to_path_buf(), what };
    let bytes = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|e| fail(format!("this is no safetensors file: {e}")))?;
    let tensor = file.tensor("pixels").map_err(|_| {
        let names = file.names().join(", ");
        fail(format!("there is no tensor `pixels` in this file, only: {names}"))
    })?;
    let shape = tensor.shape().to_vec();
    if tensor.dtype() != Dtype::F32 || !matches!(shape.as_slice(), [b, 3, h, w] if *b > 0 && *h > 0 && *w > 0)
    {
        return Err(fail(format!("`pixels` must be f32 [B,3,H,W]; it is {:?} {shape:?}", tensor.dtype())));
    }
    let rows = shape[0];
    let beside = file.iter().filter(|(name, other)| {
        *name != "pixels" && other.dtype() == Dtype::F32 && other.shape().first() == Some(&rows)
    });
    let read = |tensor: &TensorView<'_>| {
        let values: Vec<f32> =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Tensor::from_vec(values, tensor.shape(), &Device::Cpu).map_err(|e| fail(e.to_string()))
    };
    Ok(PixelRows {
        pixels: read(&tensor)?,
        beside: beside
            .map(|(name, other)| Ok((name.to_owned(), read(&other)?)))
            .collect::<Result<_, ReadError>>()?,
    })
}

/// How many images the file at `path` holds, by its header; none where that cannot be told.
pub fn rows(path: &Path) -> Option<usize> {
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = Some(u64::from_le_bytes(length)).filter(|&length| length <= HEADER)?;
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    usize::try_from(header["pixels"]["shape"][0].as_u64()?).ok()
}
