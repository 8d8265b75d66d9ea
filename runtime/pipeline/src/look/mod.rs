//! From a batch to the numbers that will be kept.

mod encoders;
mod identity;
mod record;
mod vector;

use candle_core::Tensor;
use zoo_host::HostError;

use crate::Metadata;
use crate::read::Batch;

pub use encoders::{Encoders, tensors};
pub use record::{pixel_record, resize_mode, run_record};
pub use vector::{mean, to_unit};

/// Rows of one f32 tensor: its first axis counts images.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Name of the tensor.
    pub name: String,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Row-major, a whole number of rows.
    pub values: Vec<f32>,
}

impl Rows {
    /// Of a tensor `[B, …]`.
    ///
    /// # Errors
    /// [`HostError::Core`] for a tensor of another element type, or without axes.
    pub fn of(name: impl Into<String>, tensor: &Tensor) -> Result<Self, HostError> {
        let shape = tensor.dims().get(1..).unwrap_or_default().to_vec();
        Ok(Self { name: name.into(), shape, values: tensor.flatten_all()?.to_vec1::<f32>()? })
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers of row `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        let width = self.width();
        self.values.get(index * width..(index + 1) * width).unwrap_or_default()
    }
}

/// What a batch gave.
#[derive(Debug, Clone)]
pub struct Seen {
    /// One entry per tensor, each with one row per image.
    pub tensors: Vec<Rows>,
    /// What is recorded about how it was computed.
    pub record: Metadata,
}

/// Why a batch could not be computed with.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// An encoder, a connector or the preparation of pixels.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Pixels for something that prepares its own.
    #[error("normalised pixels are made for one encoder; give an ensemble images, or one encoder the pixels")]
    Pixels,
}

impl LookError {
    /// Whether nothing is wrong but that the caller lost interest.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Host(error) if error.is_cancelled())
    }
}

/// Something that computes with batches.
pub trait Look {
    /// Computes with the rows of `batch`. `part` is told the name of each part before it runs.
    ///
    /// # Errors
    /// Why the batch as a whole could not be computed with; its rows are then tried one by one.
    fn look(&self, batch: &Batch, part: &dyn Fn(&str)) -> Result<Seen, LookError>;
}
