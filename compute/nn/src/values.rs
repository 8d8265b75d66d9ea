//! The numbers behind tensors, for kernels.

use std::ops::Range;

use candle_core::{Shape, Storage, StorageRef, Tensor, WithDType};

/// A tensor in row-major order.
pub(crate) struct Values(Tensor);

/// Its memory on the CPU.
pub(crate) struct Slice<'a>(StorageRef<'a>, Range<usize>);

impl Values {
    /// Of a tensor that must have this shape.
    pub(crate) fn of(tensor: &Tensor, shape: &[usize]) -> candle_core::Result<Self> {
        if tensor.dims() != shape {
            candle_core::bail!("the result needs {shape:?}, not {:?}", tensor.dims());
        }
        Ok(Self(tensor.contiguous()?))
    }

    pub(crate) fn shape(&self) -> &Shape {
        self.0.shape()
    }

    pub(crate) fn read(&self) -> candle_core::Result<Slice<'_>> {
        let (storage, layout) = self.0.storage_and_layout();
        match layout.contiguous_offsets() {
            Some((start, end)) => Ok(Slice(storage, start..end)),
            None => candle_core::bail!("a tensor is not contiguous"),
        }
    }
}

impl Slice<'_> {
    pub(crate) fn values<T: WithDType>(&self) -> candle_core::Result<&[T]> {
        match &*self.0 {
            Storage::Cpu(storage) => Ok(&storage.as_slice::<T>()?[self.1.clone()]),
            _ => candle_core::bail!("a tensor is not on the CPU"),
        }
    }
}
