//! Gradients: of a loss, and of encoders.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, TensorId, Var};
use zoo_core::weights::{Loaded, Weights};
use zoo_core::{Error, FeatureMap, Result, Trainable};

thread_local! {
    /// Gradients of variables that need not go through candle's store, while [`backward`] runs on this thread.
    static APART: RefCell<Option<HashMap<TensorId, Tensor>>> = const { RefCell::new(None) };
}

/// The gradients of a scalar `loss`: as [`Tensor::backward`], which it is at heart, but blocks that are computed a second
/// time ([`crate::recompute`]) need it, and operations of this crate hand the gradients of variables over without copies.
///
/// # Errors
/// [`Error::Tensor`] when an operation has no backward pass, or fails.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    struct Before(Option<HashMap<TensorId, Tensor>>);
    impl Drop for Before {
        fn drop(&mut self) {
            APART.set(self.0.take());
        }
    }
    let _before = Before(APART.replace(Some(HashMap::new())));
    let mut gradients = loss.backward()?;
    let apart = APART.replace(None).unwrap_or_default();
    for (id, gradient) in apart {
        let sum = match gradients.get_id(id) {
            Some(other) => (other + gradient)?,
            None => gradient,
        };
        gradients.insert_id(id, sum.detach());
    }
    Ok(gradients)
}

/// Keeps the gradient of a variable for [`backward`]; gives it back where that does not run.
pub(crate) fn deposit(variable: &Tensor, gradient: Tensor) -> candle_core::Result<Option<Tensor>> {
    deposit_id(variable.id(), gradient)
}

fn deposit_id(id: TensorId, gradient: Tensor) -> candle_core::Result<Option<Tensor>> {
    APART.with_borrow_mut(|apart| {
        let Some(apart) = apart else { return Ok(Some(gradient)) };
        let sum = match apart.remove(&id) {
            Some(other) => (other + gradient)?,
            None => gradient,
        };
        apart.insert(id, sum.detach());
        Ok(None)
    })
}

/// The gradients of `inputs` for the gradient `gradient` of `out`, inside a pass of [`backward`], which gets those of all
/// other variables.
pub(crate) fn pulled(
    out: &Tensor,
    gradient: &Tensor,
    inputs: &[Var],
) -> candle_core::Result<Vec<Option<Tensor>>> {
    if APART.with_borrow(Option::is_none) {
        candle_core::bail!(
            "a block is to be computed a second time: take gradients by zoo_nn::autograd::backward, not by candle's"
        );
    }
    if !out.track_op() {
        return Ok(vec![None; inputs.len()]);
    }
    let mut gradients = out.apply_op1(Seed(gradient.clone()))?.backward()?;
    let mut own = Vec::with_capacity(inputs.len());
    for input in inputs {
        // As a variable it may have had its gradient by either way.
        let apart = APART.with_borrow_mut(|apart| apart.as_mut().and_then(|apart| apart.remove(&input.id())));
        own.push(match (gradients.remove(input.as_tensor()), apart) {
            (Some(a), Some(b)) => Some((a + b)?),
            (a, b) => a.or(b),
        });
    }
    let others: Vec<TensorId> = gradients.get_ids().copied().collect();
    for id in others {
        if let Some(gradient) = gradients.get_id(id) {
            deposit_id(id, gradient.clone())?;
        }
    }
    Ok(own)
}

/// A scalar whose gradient is that of what it is made of.
struct Seed(Tensor);

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

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
    let mut gradients = backward(&total)?;
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
