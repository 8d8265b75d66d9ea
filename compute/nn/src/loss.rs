//! What training makes small.

use candle_core::{D, DType, Tensor};
use zoo_core::Result;

/// Mean cross-entropy, in nats, of `targets` `[N]` (u32) under the distributions of `logits` `[N, V]`; a scalar in f32,
/// as are its parts. Differentiable.
///
/// # Errors
/// [`zoo_core::Error::Tensor`] when the shapes do not fit or there is no such class.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    // A constant in each row changes nothing, and needs no gradient.
    let highest = logits.detach().max_keepdim(D::Minus1)?;
    let logits = logits.broadcast_sub(&highest)?;
    let total = logits.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let hit = logits.gather(&targets.unsqueeze(1)?, 1)?;
    Ok((total - hit)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn loss_and_gradient_are_those_of_the_formula() {
        let values = [[0.5f32, -1.0, 100.0], [2.0, 0.25, -3.0]];
        let logits = Var::new(&values, &Device::Cpu).unwrap();
        let targets = [2u32, 1];
        let loss = cross_entropy(logits.as_tensor(), &Tensor::new(&targets, &Device::Cpu).unwrap()).unwrap();
        let soft = values.map(|row| {
            let exp = row.map(|x| f64::from(x).exp());
            exp.map(|e| e / exp.iter().sum::<f64>())
        });
        let expected = -(soft[0][2].ln() + soft[1][1].ln()) / 2.0;
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - expected).abs() < 1e-6);
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&logits).unwrap().to_vec2::<f32>().unwrap();
        for (n, row) in gradient.iter().enumerate() {
            for (v, got) in row.iter().enumerate() {
                let hit = f64::from(u8::from(targets[n] as usize == v));
                assert!((f64::from(*got) - (soft[n][v] - hit) / 2.0).abs() < 1e-6, "{n} {v}");
            }
        }
    }
}
