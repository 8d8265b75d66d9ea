//! Tensors in another dtype.

use candle_core::{DType, Device, Tensor, WithDType};
use half::bf16;
use zoo_core::Result;
use zoo_kernels::{Element, written};

use crate::dispatch;
use crate::values::Values;

/// As [`Tensor::to_dtype`], but between f32 and bf16 on the CPU without gradients on all cores, where candle's own
/// takes one: the features of a fine grid are 50 million numbers.
///
/// # Errors
/// [`zoo_core::Error::Tensor`] when the device refuses.
pub fn to_dtype(x: &Tensor, dtype: DType) -> Result<Tensor> {
    let plain = dispatch::plain([x]);
    Ok(match (x.dtype(), dtype) {
        (DType::F32, DType::BF16) if plain => cast::<f32, bf16>(x)?,
        (DType::BF16, DType::F32) if plain => cast::<bf16, f32>(x)?,
        _ => x.to_dtype(dtype)?,
    })
}

fn cast<A: Element + WithDType, B: Element + WithDType>(x: &Tensor) -> candle_core::Result<Tensor> {
    let values = Values::of(x, x.dims())?;
    let values = values.read()?;
    let values = values.values::<A>()?;
    let out =
        written(values.len(), |out| Ok::<_, candle_core::Error>(zoo_kernels::cast::<A, B>(values, out)))?;
    Tensor::from_vec(out, x.shape(), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_as_candle_does() {
        let x = Tensor::randn(0f32, 3.0, (3, 11, 5000), &Device::Cpu).unwrap();
        for x in [x.clone(), x.transpose(0, 1).unwrap(), x.narrow(1, 2, 5).unwrap()] {
            let bits = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<bf16>().unwrap();
            let narrow = to_dtype(&x, DType::BF16).unwrap();
            assert_eq!(narrow.dims(), x.dims());
            assert_eq!(bits(&narrow), bits(&x.to_dtype(DType::BF16).unwrap()));
            let wide = to_dtype(&narrow, DType::F32).unwrap();
            assert_eq!(bits(&wide.to_dtype(DType::BF16).unwrap()), bits(&narrow));
        }
        let variable = candle_core::Var::from_tensor(&x).unwrap();
        assert!(to_dtype(variable.as_tensor(), DType::BF16).unwrap().track_op());
    }
}
