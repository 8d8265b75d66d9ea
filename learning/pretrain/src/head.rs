//! What an objective learns besides the encoder, and what several of them compute.

use std::collections::BTreeMap;

use candle_core::{Device, Result as Candle, Tensor, Var};
use zoo_world::Rng;

use crate::{Error, Result};

/// Before every key of a head, so that none is one of an encoder.
const FRONT: &str = "head.";

/// Linear maps and numbers, by name.
pub(crate) struct Head {
    seed: u64,
    variables: BTreeMap<String, Var>,
}

impl Head {
    /// Without anything.
    pub fn new(seed: u64) -> Self {
        Self { seed, variables: BTreeMap::new() }
    }

    /// With a map of `inputs` to `outputs` numbers: uniform in ±1/√inputs, no bias to begin with.
    pub fn linear(mut self, name: &str, inputs: usize, outputs: usize) -> Candle<Self> {
        let mut rng = Rng::of(self.seed, &["head", name], 0);
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        let weight: Vec<f32> =
            (0..inputs * outputs).map(|_| ((2.0 * rng.unit() - 1.0) * bound) as f32).collect();
        let weight = Tensor::from_vec(weight, (inputs, outputs), &Device::Cpu)?;
        self.put(&format!("{name}.weight"), &weight)?;
        let bias = Tensor::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?;
        self.put(&format!("{name}.bias"), &bias)?;
        Ok(self)
    }

    /// With a number. It is called a bias, so that nothing pulls it to 0.
    pub fn number(mut self, name: &str, value: f32) -> Candle<Self> {
        self.put(&format!("{name}.bias"), &Tensor::from_vec(vec![value], 1, &Device::Cpu)?)?;
        Ok(self)
    }

    fn put(&mut self, name: &str, value: &Tensor) -> Candle<()> {
        self.variables.insert(format!("{FRONT}{name}"), Var::from_tensor(value)?);
        Ok(())
    }

    fn get(&self, name: &str) -> Result<&Tensor> {
        let found = self.variables.get(&format!("{FRONT}{name}")).map(Var::as_tensor);
        found.ok_or_else(|| Error::Internal(format!("the head has no `{name}`")))
    }

    /// `[…, inputs]` to `[…, outputs]` by the map `name`.
    pub fn apply(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.get(&format!("{name}.weight"))?, self.get(&format!("{name}.bias"))?);
        let mut shape = x.dims().to_vec();
        let rows = x.reshape(((), weight.dim(0)?))?;
        if let Some(last) = shape.last_mut() {
            *last = weight.dim(1)?;
        }
        Ok(rows.matmul(weight)?.broadcast_add(bias)?.reshape(shape)?)
    }

    /// The number `name`, `[1]`.
    pub fn value(&self, name: &str) -> Result<&Tensor> {
        self.get(&format!("{name}.bias"))
    }

    /// Everything, by key.
    pub fn variables(&self) -> &BTreeMap<String, Var> {
        &self.variables
    }
}

/// The mean of all tokens `[B, N, C]`, and the greatest of each channel: `[B, 2 C]`. A small thing is in few tokens, and
/// their mean alone would hardly know it.
pub(crate) fn pooled(tokens: &Tensor) -> Candle<Tensor> {
    Tensor::cat(&[tokens.mean(1)?, tokens.max(1)?], 1)
}

/// Rows of length 1.
pub(crate) fn unit(x: &Tensor) -> Candle<Tensor> {
    x.broadcast_div(&(x.sqr()?.sum_keepdim(1)? + 1e-6)?.sqrt()?)
}

/// `log(1 + e^x)` without overflow.
pub(crate) fn softplus(x: &Tensor) -> Candle<Tensor> {
    // max(x, 0) + log(1 + e^-|x|)
    let rest = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    x.relu()? + rest
}
