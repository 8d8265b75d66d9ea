//! Blocks whose inside is not kept for the backward pass but computed a second time (arXiv 1604.06174).
//!
//! Whoever wants that says so for a pass: [`CallContext::recomputing`]. A model of `L` equal blocks then keeps `L` inputs
//! of blocks and the inside of one, for about a third more arithmetic. Gradients are taken by
//! [`crate::autograd::backward`].
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use zoo_core::{CallContext, Result};
//! use zoo_nn::{autograd, recompute};
//!
//! # fn main() -> Result<()> {
//! let scale = Var::new(&[2f32, 3.0], &Device::Cpu)?;
//! let inside = scale.as_tensor().clone();
//! let x = Tensor::new(&[5f32, 7.0], &Device::Cpu)?;
//! let out = CallContext::new()
//!     .recomputing(true)
//!     .scope(|| recompute::block(&[&x], move |x| Ok((&x[0] * &inside)?)))?;
//! let gradients = autograd::backward(&out.sum_all()?)?;
//! assert_eq!(gradients.get(&scale).unwrap().to_vec1::<f32>()?, [5.0, 7.0]);
//! # Ok(())
//! # }
//! ```

use candle_core::{DType, Device, Tensor, Var};
use zoo_core::{CallContext, Result};

use crate::autograd;
use crate::graph::{self, Fresh};

/// `work` of `inputs`, in a pass that wants it without what happened inside. It must do the same when it is called
/// again, on the same variables.
///
/// # Errors
/// Those of `work`.
pub fn block(
    inputs: &[&Tensor],
    work: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let context = CallContext::current();
    let cpu = inputs.iter().all(|input| input.device().is_cpu());
    if !context.recomputes() || !cpu {
        return work(&inputs.iter().map(|&input| input.clone()).collect::<Vec<_>>());
    }
    let kept: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
    let out = context.recomputing(false).scope(|| work(&kept))?;
    if !out.track_op() && !inputs.iter().any(|input| input.track_op()) {
        return Ok(out);
    }
    // Candle looks only at what has an input that is tracked, and here only the weights may be.
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu)?;
    let sources: Vec<Tensor> =
        inputs.iter().map(|&input| input.clone()).chain([anchor.into_inner()]).collect();
    let tracked = if inputs.iter().any(|input| input.track_op()) { inputs.len() } else { sources.len() };
    let targets = sources.clone();
    // The same randomness, and nobody watches a second time.
    let again = CallContext::new().with_seed(CallContext::current().seed());
    let fresh = Fresh::copied(&out)?;
    drop(out);
    Ok(graph::operation("recomputed block", &sources[..tracked], fresh, move |gradient, sink| {
        // What needs no gradient goes in as it did before, so that nothing else happens inside.
        let (mut tensors, mut wanted) = (Vec::with_capacity(kept.len()), Vec::new());
        for (kept, target) in kept.iter().zip(&targets) {
            if sink.wants(target) {
                let variable = Var::from_tensor(kept)?;
                tensors.push(variable.as_tensor().clone());
                wanted.push((target, variable));
            } else {
                tensors.push(kept.clone());
            }
        }
        let out = again.scope(|| work(&tensors)).map_err(candle_core::Error::wrap)?;
        let variables: Vec<Var> = wanted.iter().map(|(_, variable)| variable.clone()).collect();
        for ((target, _), gradient) in wanted.iter().zip(autograd::pulled(&out, gradient, &variables)?) {
            if let Some(gradient) = gradient {
                sink.add(target, gradient)?;
            }
        }
        Ok(())
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of two inputs and a weight, twice in a row, with and without.
    #[test]
    fn gradients_are_the_same_and_candles_own_backward_pass_is_refused() {
        let tensor = |seed: usize| {
            let numbers: Vec<f32> = (0..6).map(|i| ((i * 37 + seed * 11) % 17) as f32 / 8.0 - 1.0).collect();
            Var::from_vec(numbers, (2, 3), &Device::Cpu).unwrap()
        };
        let (a, b, weight) = (tensor(1), tensor(2), tensor(3));
        let run = |recomputes: bool| {
            CallContext::new().recomputing(recomputes).scope(|| {
                let once = |a: &Tensor, b: &Tensor| {
                    let weight = weight.as_tensor().clone();
                    block(&[a, b], move |x| Ok(((&x[0] * &weight)? + x[1].sqr()?)?.tanh()?)).unwrap()
                };
                once(&once(a.as_tensor(), b.as_tensor()), b.as_tensor()).sum_all().unwrap()
            })
        };
        let (plain, again) = (run(false), run(true));
        assert_eq!(plain.to_scalar::<f32>().unwrap(), again.to_scalar::<f32>().unwrap());
        let [plain_gradients, gradients] = [&plain, &again].map(|loss| autograd::backward(loss).unwrap());
        for var in [&a, &b, &weight] {
            let [x, y] = [&plain_gradients, &gradients]
                .map(|g| g.get(var.as_tensor()).unwrap().to_vec2::<f32>().unwrap());
            assert_eq!(x, y);
        }
        let message = again.backward().unwrap_err().to_string();
        assert!(message.contains("zoo_nn::autograd::backward"), "{message}");
    }

    #[test]
    fn without_anything_to_learn_there_is_no_graph() {
        let x = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let out =
            CallContext::new().recomputing(true).scope(|| block(&[&x], |x| Ok((&x[0] * 2.0)?))).unwrap();
        assert!(!out.track_op());
    }
}
