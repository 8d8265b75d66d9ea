//! Gradients of encoders by candle's backward pass.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor, Var};
use zoo_core::weights::{Loaded, Weights};
use zoo_core::{Error, FeatureMap, Result, Trainable};

/// The trainable parameters of an encoder, by published name; empty unless it was opened trainable.
///
/// A model cannot simply keep the variables: layouts that store q, k and v apart are concatenated on reading, and
/// the concatenation would not see a later [`Parameters::set`]. So a model is assembled from [`Parameters::weights`]
/// through its usual reading path: once for inference, and once per gradient with the wanted variables tracked.
pub struct Parameters(Loaded);

impl Parameters {
    /// Takes over what was read.
    pub fn new(loaded: Loaded) -> Self {
        Self(loaded)
    }

    /// Whether nothing is trainable.
    pub fn is_empty(&self) -> bool {
        self.0.vars.is_empty()
    }

    /// All of them.
    pub fn variables(&self) -> &BTreeMap<String, Var> {
        &self.0.vars
    }

    /// Replaces values, as [`Trainable::replace`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] where a value does not fit.
    pub fn replace(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        self.0.replace(values)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.vars.keys().cloned().collect()
    }

    fn var(&self, name: &str) -> Result<&Var> {
        self.0.vars.get(name).ok_or_else(|| {
            Error::invalid(if self.is_empty() {
                format!("parameter `{name}`: the encoder was not opened trainable")
            } else {
                format!("there is no trainable parameter `{name}`")
            })
        })
    }

    /// The variables of these names, in this order.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the one that does not exist.
    pub fn vars(&self, names: &[String]) -> Result<Vec<Var>> {
        names.iter().map(|name| self.var(name).cloned()).collect()
    }

    /// A copy of a parameter's value, without gradient graph.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it does not exist.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        Ok(self.var(name)?.as_tensor().copy()?.detach())
    }

    /// Replaces a parameter's value.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it does not exist or shape or dtype differ.
    pub fn set(&self, name: &str, value: &Tensor) -> Result<()> {
        let var = self.var(name)?;
        if (var.dims(), var.dtype()) != (value.dims(), value.dtype()) {
            return Err(Error::invalid(format!(
                "parameter `{name}` is {:?} {:?}, not {:?} {:?}",
                var.dims(),
                var.dtype(),
                value.dims(),
                value.dtype()
            )));
        }
        Ok(var.set(&value.to_device(var.device())?.contiguous()?)?)
    }

    /// The parameters as weights to assemble a model from; those in `tracked` take part in the gradient graph.
    pub fn weights(&self, dtype: DType, tracked: &[String]) -> Weights {
        let tensor = |(name, var): (&String, &Var)| {
            let tensor =
                if tracked.contains(name) { var.as_tensor().clone() } else { var.as_detached_tensor() };
            (name.clone(), tensor)
        };
        let tensors: BTreeMap<String, Tensor> = self.0.vars.iter().map(tensor).collect();
        Weights::reload(&self.0, tensors, dtype)
    }
}

/// Gradients of `Σ ⟨map_i, cotangent_i⟩` with respect to `pixels` and `parameters`, for the maps that `forward`
/// makes of the pixels. Zeros where nothing depends on a parameter.
///
/// # Errors
/// [`Error::InvalidInput`] when a cotangent is missing or has another shape than its map; whatever `forward`
/// gives.
pub fn vjp(
    pixels: &Tensor,
    cotangents: &[Tensor],
    parameters: &[Var],
    forward: impl FnOnce(&Tensor) -> Result<Vec<FeatureMap>>,
) -> Result<(Tensor, Vec<Tensor>)> {
    let input = Var::from_tensor(&pixels.detach().copy()?)?;
    let maps = forward(input.as_tensor())?;
    if maps.len() != cotangents.len() {
        return Err(Error::invalid(format!("{} maps but {} cotangents", maps.len(), cotangents.len())));
    }
    let mut total: Option<Tensor> = None;
    for (i, (map, cotangent)) in maps.iter().zip(cotangents).enumerate() {
        if map.tokens.dims() != cotangent.dims() {
            return Err(Error::invalid(format!(
                "cotangent {i} is {:?}, its map {:?}",
                cotangent.dims(),
                map.tokens.dims()
            )));
        }
        let cotangent = cotangent.detach().to_dtype(DType::F32)?;
        let product = (map.tokens.to_dtype(DType::F32)? * cotangent)?.sum_all()?;
        total = Some(match total {
            Some(total) => (total + product)?,
            None => product,
        });
    }
    let total = total.ok_or_else(|| Error::invalid("no map was asked for"))?;
    let mut gradients = total.backward()?;
    let mut take = |var: &Var| -> Result<Tensor> {
        match gradients.remove(var.as_tensor()) {
            Some(gradient) => Ok(gradient),
            None => Ok(var.as_tensor().zeros_like()?.detach()),
        }
    };
    let pixels = take(&input)?;
    let parameters = parameters.iter().map(take).collect::<Result<_>>()?;
    Ok((pixels, parameters))
}
