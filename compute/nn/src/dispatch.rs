//! Who computes an operation, asked here and nowhere else: a kernel where everything lies on the CPU in numbers that
//! kernels read, and candle for the rest.
//!
//! Where gradients flow ([`Path::Tracked`]), operations with a backward pass of their own ([`crate::graph`]) compute by
//! the same kernels: those that have maps or several inputs ask [`trained`]. The others are candle's there too.

use candle_core::{DType, Tensor, WithDType};
use zoo_kernels::Element;

use crate::linear::Linear;

/// The numbers that kernels read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    F32,
    Bf16,
}

impl Numbers {
    /// Those of this dtype.
    pub(crate) fn of(dtype: DType) -> Option<Self> {
        match dtype {
            DType::F32 => Some(Self::F32),
            DType::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }
}

/// An expression in which `$T` is the type of these [`Numbers`].
macro_rules! with {
    ($numbers:expr, $T:ident => $body:expr) => {
        match $numbers {
            $crate::dispatch::Numbers::F32 => {
                type $T = f32;
                $body
            }
            $crate::dispatch::Numbers::Bf16 => {
                type $T = half::bf16;
                $body
            }
        }
    };
}
pub(crate) use with;

/// Who computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// A kernel: everything lies on the CPU in these numbers, and nobody asks for a gradient.
    Kernel(Numbers),
    /// On the CPU in these numbers, but gradients flow: an operation with a backward pass of its own, or candle.
    Tracked(Numbers),
    /// candle: another device, another dtype, or several.
    Candle,
}

impl Path {
    /// For an operation on these, all of one dtype.
    pub(crate) fn of<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Self {
        let (mut dtype, mut tracked) = (None, false);
        for tensor in tensors {
            if !tensor.device().is_cpu() || *dtype.get_or_insert(tensor.dtype()) != tensor.dtype() {
                return Self::Candle;
            }
            tracked |= tensor.track_op();
        }
        match dtype.and_then(Numbers::of) {
            None => Self::Candle,
            Some(numbers) if tracked => Self::Tracked(numbers),
            Some(numbers) => Self::Kernel(numbers),
        }
    }
}

/// The numbers in which an operation with a backward pass of its own computes: where all of these lie on the CPU in one
/// dtype that kernels read, and a gradient flows through any of them.
pub(crate) fn trained(x: &Tensor, others: &[&Tensor], maps: &[&Linear]) -> Option<Numbers> {
    let fits = |t: &&Tensor| t.device().is_cpu() && t.dtype() == x.dtype();
    let numbers = Numbers::of(x.dtype()).filter(|_| x.device().is_cpu() && others.iter().all(fits))?;
    let flows = x.track_op() || tracked(others.iter().copied()) || maps.iter().any(|map| map.trains());
    (flows && maps.iter().all(|map| map.fits(x.dtype()))).then_some(numbers)
}

/// Whether kernels may read these once they are in numbers that they know: on the CPU, no gradients.
pub(crate) fn plain<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    tensors.into_iter().all(|t| t.device().is_cpu() && !t.track_op())
}

/// Whether kernels may read these as they are, in numbers `T`.
pub(crate) fn reads<'a, T: Element + WithDType>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    tensors.into_iter().all(|t| t.dtype() == T::DTYPE && plain([t]))
}

/// Whether gradients flow through any of these.
pub(crate) fn tracked<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> bool {
    tensors.into_iter().any(Tensor::track_op)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use half::bf16;

    use super::*;

    #[test]
    fn tensors_of_one_kind_are_for_kernels_and_others_are_not() {
        let of = |dtype| Tensor::zeros(2, dtype, &Device::Cpu).unwrap();
        let (wide, narrow, half) = (of(DType::F32), of(DType::BF16), of(DType::F16));
        let variable = Var::from_tensor(&wide).unwrap();
        let check = |tensors: &[&Tensor], path, is_plain, is_f32| {
            assert_eq!(Path::of(tensors.iter().copied()), path, "{tensors:?}");
            assert_eq!(plain(tensors.iter().copied()), is_plain, "{tensors:?}");
            assert_eq!(reads::<f32>(tensors.iter().copied()), is_f32, "{tensors:?}");
        };
        check(&[&wide, &wide], Path::Kernel(Numbers::F32), true, true);
        check(&[&narrow], Path::Kernel(Numbers::Bf16), true, false);
        check(&[&wide, &narrow], Path::Candle, true, false);
        check(&[&half], Path::Candle, true, false);
        check(&[&wide, variable.as_tensor()], Path::Tracked(Numbers::F32), false, false);
        check(&[&narrow, variable.as_tensor()], Path::Candle, false, false);
        assert!(tracked([&wide, variable.as_tensor()]) && !tracked([&wide, &narrow]));
        assert!(reads::<bf16>([&narrow]) && !reads::<bf16>([&narrow, &wide]));
        assert_eq!(with!(Numbers::Bf16, T => T::DTYPE), DType::BF16);
    }
}
