//! A map that stays as it is, and learns a difference of low rank beside it (LoRA, arXiv 2106.09685).

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoo_core::weights::Difference;
use zoo_core::weights::random::Stream;
use zoo_core::{CallContext, Result};

use crate::linear::Linear;

/// `scale · up · down · x` `[…, outputs]` of `x` `[…, inputs]`. Where the call has a seed, a share of `x` is left out at
/// random and the rest scaled up, a function of seed, key and place.
pub(crate) fn forward(difference: &Difference, x: &Tensor) -> Result<Tensor> {
    let seed = CallContext::current().seed();
    let kept = match difference.dropout {
        share if share > 0.0 && seed != 0 => Some((x * mask(x, share, Stream::new(seed, &difference.key))?)?),
        _ => None,
    };
    let narrow = Linear::new(difference.down.clone(), None).forward(kept.as_ref().unwrap_or(x))?;
    Ok((Linear::new(difference.up.clone(), None).forward(&narrow)? * difference.scale)?)
}

/// 0 for a `share` of the places of `x`, at random, and `1 / (1 - share)` for the others.
fn mask(x: &Tensor, share: f64, stream: Stream) -> Result<Tensor> {
    let (limit, rest) = ((share * 2f64.powi(64)) as u64, (1.0 / (1.0 - share)) as f32);
    let kept = |place: usize| if stream.bits(place as u64) < limit { 0.0 } else { rest };
    let values: Vec<f32> = (0..x.elem_count()).into_par_iter().with_min_len(1 << 14).map(kept).collect();
    Ok(Tensor::from_vec(values, x.shape(), &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::linear::{Epilogue, Residual};

    fn tensor(shape: &[usize], step: usize) -> Tensor {
        let numbers = (0..shape.iter().product()).map(|i: usize| ((i * step % 101) as f32 - 50.0) / 60.0);
        Tensor::from_vec(numbers.collect(), shape, &Device::Cpu).unwrap()
    }

    fn apart(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    fn difference(dropout: f64) -> (Difference, Var, Var) {
        let (down, up) = (tensor(&[2, 7], 37), tensor(&[5, 2], 41));
        let (down, up) = (Var::from_tensor(&down).unwrap(), Var::from_tensor(&up).unwrap());
        let key = "model.layers.0.mlp.up_proj.weight".to_owned();
        let out = Difference {
            key,
            down: down.as_tensor().clone(),
            up: up.as_tensor().clone(),
            scale: 1.5,
            dropout,
        };
        (out, down, up)
    }

    /// As the map of the merged matrix, with what follows a map, and with its gradients.
    #[test]
    fn a_difference_is_that_of_the_matrices() {
        let (found, down, up) = difference(0.0);
        let (weight, shortcut) = (tensor(&[5, 7], 29), tensor(&[3, 5], 31));
        let input = Var::from_tensor(&tensor(&[3, 7], 43)).unwrap();
        let epilogue =
            Epilogue { activation: None, residual: Some(Residual { shortcut: &shortcut, scale: None }) };
        let map = Linear::new(weight.clone(), None).with_difference(Some(found));
        let got = map.forward_with(input.as_tensor(), epilogue).unwrap();
        let merged = (weight + (up.as_tensor().matmul(down.as_tensor()).unwrap() * 1.5).unwrap()).unwrap();
        let expected = (&shortcut + input.as_tensor().matmul(&merged.t().unwrap()).unwrap()).unwrap();
        assert!(apart(&got, &expected) < 1e-5);
        let gradients =
            [&got, &expected].map(|out| out.sqr().unwrap().sum_all().unwrap().backward().unwrap());
        for var in [&input, &down, &up] {
            let [a, b] = [0, 1].map(|i: usize| gradients[i].get(var.as_tensor()).unwrap());
            assert!(apart(a, b) < 1e-4, "{:?}", var.dims());
        }
    }

    /// Only where there is a seed; another one with another; of the stated share and mean.
    #[test]
    fn what_is_left_out_follows_from_the_seed() {
        let x = Tensor::ones((300, 70), DType::F32, &Device::Cpu).unwrap();
        let of = |seed| {
            mask(&x, 0.25, Stream::new(seed, "a")).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let zeros = of(3).iter().filter(|x| **x == 0.0).count() as f64 / 21_000.0;
        assert!((zeros - 0.25).abs() < 0.02, "{zeros}");
        assert!(of(3).iter().all(|x| *x == 0.0 || (*x - 4.0 / 3.0).abs() < 1e-6));
        let (found, ..) = difference(0.5);
        let x = tensor(&[3, 7], 43);
        let plain = forward(&Difference { dropout: 0.0, ..found.clone() }, &x).unwrap();
        assert_eq!(apart(&forward(&found, &x).unwrap(), &plain), 0.0);
        let seeded = CallContext::new().with_seed(5).scope(|| forward(&found, &x)).unwrap();
        assert!(apart(&seeded, &plain) > 0.01);
    }
}
