//! Files of normalised pixels: `pixels` f32 `[B,3,H,W]` of a safetensors file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};

use super::ReadError;

/// Longest header that the format allows, in bytes.
const HEADER: u64 = 100_000_000;

/// The tensor.
pub(super) fn pixels(path: &Path) -> Result<Tensor, ReadError> {
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
    let values: Vec<f32> =
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(|e| fail(e.to_string()))
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
