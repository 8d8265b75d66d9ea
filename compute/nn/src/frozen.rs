//! A map whose weights are not trained, on the way of a gradient.
//!
//! candle's own product would compute a gradient of the weights that nobody asks for, and keep a second copy of them in
//! its graph. Here the forward pass is that of inference, on the weights as they lie, and the backward pass computes the
//! gradient of the input alone.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use crate::dispatch::Numbers;

/// `out`, which is `x Wᵀ + b` as it was computed without a graph, with a gradient that goes on to `x`; `weight` gives
/// `W` `[out, in]` when it is needed. On a CPU, in numbers that kernels read.
pub(crate) fn through(
    x: &Tensor,
    out: &Tensor,
    weight: impl Fn() -> zoo_core::Result<Tensor> + Send + Sync + 'static,
) -> zoo_core::Result<Tensor> {
    let values = match Numbers::of(out.dtype()) {
        Some(Numbers::Bf16) => CpuStorage::BF16(out.flatten_all()?.to_vec1()?),
        _ => CpuStorage::F32(out.flatten_all()?.to_vec1()?),
    };
    let computed = Mutex::new(Some((values, out.shape().clone())));
    Ok(x.apply_op1(Frozen { weight: Box::new(weight), computed })?)
}

struct Frozen {
    weight: Box<dyn Fn() -> zoo_core::Result<Tensor> + Send + Sync>,
    /// What the forward pass gives, until it has.
    computed: Mutex<Option<(CpuStorage, Shape)>>,
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen linear map"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let computed = self.computed.lock().unwrap_or_else(PoisonError::into_inner).take();
        computed.ok_or_else(|| candle_core::Error::Msg("a frozen map was computed twice".into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let weight = (self.weight)().map_err(candle_core::Error::wrap)?;
        let rows = gradient.elem_count() / weight.dim(0)?.max(1);
        let gradient = gradient.reshape((rows, ()))?.to_dtype(DType::F32)?;
        let gradient = gradient.matmul(&weight.to_dtype(DType::F32)?)?;
        Ok(Some(gradient.reshape(x.shape())?.to_dtype(x.dtype())?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// From any layout of the input.
    #[test]
    fn value_and_gradient_are_those_of_candles_product() {
        let tensor = |shape: &[usize]| {
            let numbers = (0..shape.iter().product()).map(|i: usize| ((i * 37 % 101) as f32 - 50.0) / 40.0);
            Tensor::from_vec(numbers.collect(), shape, &Device::Cpu).unwrap()
        };
        let (weight, cotangent) = (tensor(&[5, 7]), tensor(&[2, 3, 5]));
        let input = Var::from_tensor(&tensor(&[7, 2, 3])).unwrap();
        let x = input.as_tensor().permute((1, 2, 0)).unwrap();
        let plain = x.contiguous().unwrap().broadcast_matmul(&weight.t().unwrap()).unwrap();
        let frozen = through(&x, &plain.detach(), move || Ok(weight.clone())).unwrap();
        assert!(frozen.track_op());
        let gradient = |out: &Tensor| {
            let gradients = (out * &cotangent).unwrap().sum_all().unwrap().backward().unwrap();
            gradients.get(&input).unwrap().clone()
        };
        for (a, b) in [(frozen.clone(), plain.clone()), (gradient(&frozen), gradient(&plain))] {
            let apart = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(apart < 1e-5, "{apart}");
        }
    }
}
