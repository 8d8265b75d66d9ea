//! A tensor on its way to a file.

use std::borrow::Cow;

use candle_core::{DType, Tensor};
use safetensors::tensor::{Dtype, View};
use zoo_core::weights::Checkpoint;
use zoo_core::weights::random::initial;
use zoo_host::Piece;

use super::checkpoint::Numbers;
use super::lora;
use super::optimiser::Slot;

/// A tensor of the model, read or made when it is written.
pub(super) enum Stored<'a> {
    /// What was learnt, in f32.
    Learnt(Numbers<'a>),
    /// As it began from a seed.
    Made { piece: &'a Piece, index: usize, seed: u64 },
    /// As a file has it.
    Kept { files: Checkpoint, name: String, shape: Vec<usize>, dtype: DType },
    /// With the low-rank difference that was learnt beside it, in f32.
    Merged { base: Box<Stored<'a>>, parts: [&'a Slot; 2], scale: f64 },
    /// In memory.
    Held(Tensor),
}

impl<'a> Stored<'a> {
    pub fn learnt(slot: &'a Slot) -> Self {
        Self::Learnt(Numbers(&slot.shape, &slot.value))
    }

    fn numbers(&self) -> DType {
        match self {
            Self::Kept { dtype, .. } => *dtype,
            Self::Held(tensor) => tensor.dtype(),
            _ => DType::F32,
        }
    }

    /// All numbers in f32; too few, which writers refuse, where a file went away that was there before.
    pub fn floats(&self) -> Vec<f32> {
        match self {
            Self::Learnt(Numbers(_, values)) => values.to_vec(),
            Self::Made { piece, index, seed } => initial(*seed, &piece.tensors[*index]),
            Self::Kept { files, name, .. } => files.load(name).map_or_else(|_| Vec::new(), |t| floats(&t)),
            Self::Merged { base, parts, scale } => {
                lora::merged(&base.floats(), *parts, *scale).unwrap_or_default()
            }
            Self::Held(tensor) => floats(tensor),
        }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers() {
            DType::BF16 => Dtype::BF16,
            DType::F16 => Dtype::F16,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Learnt(numbers) => numbers.shape(),
            Self::Made { piece, index, .. } => &piece.tensors[*index].shape,
            Self::Kept { shape, .. } => shape,
            Self::Merged { base, .. } => base.shape(),
            Self::Held(tensor) => tensor.dims(),
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let floats = self.floats().into_iter();
        // Every number of these types is one of f32, so going through f32 changes none.
        match self.numbers() {
            DType::BF16 => floats.flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect(),
            DType::F16 => floats.flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect(),
            _ => floats.flat_map(f32::to_le_bytes).collect(),
        }
    }

    fn data_len(&self) -> usize {
        let count: usize = self.shape().iter().product();
        count * if self.dtype() == Dtype::F32 { 4 } else { 2 }
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let read = || tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1();
    read().unwrap_or_default()
}
