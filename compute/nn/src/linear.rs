//! Affine maps, and what follows them.

pub(crate) mod pull;

use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{DType, Device, Tensor, WithDType};
use half::bf16;
use rayon::prelude::*;
use zoo_core::weights::{Difference, Init, Params, Rows};
use zoo_core::{Error, Result};
use zoo_kernels::quant::Quantised;
use zoo_kernels::{Element, Packed, written, zeros};

use crate::activation::Activation;
use crate::dispatch::{self, Path, with};
use crate::embedding;
use crate::graph::Fresh;
use crate::low_rank;
use crate::norm::AnyNorm;
use crate::values::{Slice, Values};

/// `x Wᵀ + b` on the last axis, `W` being `[out, in]` as PyTorch stores it.
///
/// On a CPU the weights stand in the panels of [`zoo_kernels`], so they are held once: from the start where they come
/// from files or a seed, else from the first product that tracks no gradient. A gradient through the map reads them
/// back.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Arc<RwLock<Weight>>,
    bias: Option<Tensor>,
    /// What is learnt beside the weights.
    difference: Option<Arc<Difference>>,
}

/// The forms of the weights.
#[derive(Debug, Clone)]
enum Weight {
    Plain(Tensor),
    Packed(Arc<Packed>, DType),
    Quantised(Arc<Quantised>),
}

/// What follows a product: `residual + scale · activation(product + bias)`, each part optional. One pass with the
/// product where it can be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// After the bias; in bf16 with AVX-512 to 5e-4, as [`zoo_kernels::Epilogue::activation`] says.
    pub activation: Option<Activation>,
    /// Last.
    pub residual: Option<Residual<'a>>,
}

/// The shortcut around a branch.
#[derive(Debug, Clone, Copy)]
pub struct Residual<'a> {
    /// What the branch is added to, in the shape of its result.
    pub shortcut: &'a Tensor,
    /// `[channels]`: a layer scale on the branch.
    pub scale: Option<&'a Tensor>,
}

impl<'a> Residual<'a> {
    /// All that is read.
    pub(crate) fn tensors(self) -> impl Iterator<Item = &'a Tensor> + Clone {
        std::iter::once(self.shortcut).chain(self.scale)
    }
}

impl Linear {
    /// Reads `weight` `[outputs, inputs]` and, if there is one, `bias` `[outputs]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let init = Init::fan_in(inputs);
        let load_bias = || if bias { params.get("bias", outputs, init).map(Some) } else { Ok(None) };
        Ok(match params.rows("weight", (outputs, inputs), init) {
            Some(rows) => Self::packed(&rows, params.dtype(), (outputs, inputs), load_bias()?),
            None => {
                let weight = params.get("weight", (outputs, inputs), init)?;
                Self::new(weight, load_bias()?)
            }
        })
    }

    /// Reads maps of one input that are stacked along the rows of one `weight` and, if there is one, one `bias` at
    /// `params`, and that have so many outputs.
    pub(crate) fn load_stacked<const N: usize>(
        params: &Params,
        inputs: usize,
        outputs: [usize; N],
        bias: bool,
    ) -> Result<[Self; N]> {
        let (init, total) = (Init::fan_in(inputs), outputs.iter().sum::<usize>());
        let rows = params.rows("weight", (total, inputs), init);
        let weight = match rows {
            Some(_) => None,
            None => Some(params.get("weight", (total, inputs), init)?),
        };
        let bias = if bias { Some(params.get("bias", total, init)?) } else { None };
        let mut first = 0;
        let maps = outputs.into_iter().map(|outputs| {
            let start = first;
            first += outputs;
            let bias = bias.as_ref().map(|bias| bias.narrow(0, start, outputs)).transpose()?;
            Ok(match (&rows, &weight) {
                (Some(rows), _) => Self::packed_from(rows, start, params.dtype(), (outputs, inputs), bias),
                (None, Some(weight)) => Self::new(weight.narrow(0, start, outputs)?, bias),
                (None, None) => return Err(Error::Internal("a map without weights".to_owned())),
            })
        });
        let maps: Vec<Self> = maps.collect::<Result<_>>()?;
        maps.try_into().map_err(|_| Error::Internal(format!("not {N} maps")))
    }

    /// From weights that are read from `rows` while they are packed for products in `dtype`.
    pub(crate) fn packed(
        rows: &Rows,
        dtype: DType,
        (outputs, inputs): (usize, usize),
        bias: Option<Tensor>,
    ) -> Self {
        Self::packed_from(rows, 0, dtype, (outputs, inputs), bias)
    }

    /// As [`Linear::packed`], from row `start` on.
    fn packed_from(
        rows: &Rows,
        start: usize,
        dtype: DType,
        (outputs, inputs): (usize, usize),
        bias: Option<Tensor>,
    ) -> Self {
        let weight = match dtype {
            DType::BF16 => pack::<bf16>(rows, start, outputs, inputs),
            _ => pack::<f32>(rows, start, outputs, inputs),
        };
        Self { weight: Arc::new(RwLock::new(weight)), bias, difference: None }
    }

    /// From quantised weights.
    pub(crate) fn quantised(weights: Quantised, bias: Option<Tensor>) -> Self {
        let weight = Arc::new(RwLock::new(Weight::Quantised(Arc::new(weights))));
        Self { weight, bias, difference: None }
    }

    /// From tensors at hand: `weight` `[out, in]`, `bias` `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight: Arc::new(RwLock::new(Weight::Plain(weight))), bias, difference: None }
    }

    /// With a low-rank difference that is learnt.
    pub(crate) fn with_difference(self, difference: Option<Difference>) -> Self {
        Self { difference: difference.map(Arc::new), ..self }
    }

    /// Rows of the weights, `[in]` each, for `ids` `[N]` u32: the map as an embedding table.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when there is no such row.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(match self.weight() {
            Weight::Plain(weight) => embedding::rows(&weight, ids)?,
            Weight::Packed(packed, DType::BF16) => rows::<bf16>(&packed, ids)?,
            Weight::Packed(packed, _) => rows::<f32>(&packed, ids)?,
            Weight::Quantised(weights) => {
                let size = (weights.outputs(), weights.inputs());
                Tensor::from_vec(weights.decode(), size, &Device::Cpu)?.index_select(ids, 0)?
            }
        })
    }

    /// `[…, in]` to `[…, out]`.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, Epilogue::default())
    }

    /// `[…, in]` to `[…, out]`, and what follows.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis or the shape of the residual does not fit.
    pub fn forward_with(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        self.run(None, x, epilogue)
    }

    /// As [`Linear::forward_with`] of the normalised `x`, which is never in memory where the product is fused.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis or the shape of the residual does not fit.
    pub fn forward_normed<'n>(
        &self,
        norm: impl Into<AnyNorm<'n>>,
        x: &Tensor,
        epilogue: Epilogue<'_>,
    ) -> Result<Tensor> {
        self.run(Some(norm.into()), x, epilogue)
    }

    fn run(&self, norm: Option<AnyNorm<'_>>, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let residual = epilogue.residual;
        if let Some(difference) = &self.difference {
            let normed = norm.map(|norm| norm.forward(x)).transpose()?;
            let x = normed.as_ref().unwrap_or(x);
            let stays = Self { difference: None, ..self.clone() };
            let out = (stays.forward(x)? + low_rank::forward(difference, x)?)?;
            return followed(out, epilogue);
        }
        if let Some(out) = self.run_tracked(norm, x, epilogue)? {
            return Ok(out);
        }
        let tensors =
            std::iter::once(x).chain(&self.bias).chain(residual.into_iter().flat_map(Residual::tensors));
        let tensors = tensors.chain(norm.into_iter().flat_map(AnyNorm::parameters));
        match (Path::of(tensors.clone()), self.weight()) {
            (Path::Kernel(numbers), Weight::Quantised(weights)) => {
                let normed = norm.map(|norm| norm.forward(x)).transpose()?;
                let x = normed.as_ref().unwrap_or(x);
                return Ok(with!(numbers, T => self.fused::<T>(&*weights, x, epilogue)?.tensor()));
            }
            (Path::Candle, Weight::Quantised(_)) if x.dtype() != DType::F32 && dispatch::plain(tensors) => {
                let normed = norm.map(|norm| norm.forward(x)).transpose()?;
                return Ok(self.widened(normed.as_ref().unwrap_or(x), epilogue)?.to_dtype(x.dtype())?);
            }
            (Path::Kernel(numbers), _) => with!(numbers, T => {
                if let Some(packed) = self.panels::<T>()? {
                    return Ok(self.fused::<T>(&Normed { norm, packed: &packed }, x, epilogue)?.tensor());
                }
            }),
            _ => {}
        }
        let out = match norm {
            Some(norm) => self.plain(&norm.forward(x)?)?,
            None => self.plain(x)?,
        };
        followed(out, epilogue)
    }

    /// The weights as a matrix `[out, in]`.
    fn matrix(&self) -> Result<Tensor> {
        Ok(match self.weight() {
            Weight::Plain(weight) => weight,
            Weight::Packed(packed, DType::BF16) => unpacked::<bf16>(&packed)?,
            Weight::Packed(packed, _) => unpacked::<f32>(&packed)?,
            Weight::Quantised(weights) => {
                let size = (weights.outputs(), weights.inputs());
                Tensor::from_vec(weights.decode(), size, &Device::Cpu)?
            }
        })
    }

    /// The map alone, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        let weight = match self.weight() {
            Weight::Quantised(_) => self.matrix()?.to_device(x.device())?.to_dtype(x.dtype())?,
            _ => self.matrix()?,
        };
        let (outputs, inputs) = weight.dims2()?;
        let shape = widened(x, inputs, outputs)?;
        let rows = x.elem_count() / inputs.max(1);
        // One product over all rows: candle would otherwise loop over the batch.
        let flat = x.reshape((rows, inputs))?;
        let flat = match (x.device(), x.dtype()) {
            // The CPU has no products of such numbers.
            (Device::Cpu, DType::BF16) if weight.dtype() == DType::BF16 => {
                let wide = |t: &Tensor| t.to_dtype(DType::F32);
                wide(&flat)?.matmul(&wide(&weight)?.t()?)?.to_dtype(DType::BF16)?
            }
            _ => flat.matmul(&weight.t()?)?,
        };
        let flat = match &self.bias {
            Some(bias) => flat.broadcast_add(bias)?,
            None => flat,
        };
        Ok(flat.reshape(shape)?)
    }

    fn weight(&self) -> Weight {
        self.weight.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The weights in panels, where nothing speaks against it.
    fn panels<T: Element + WithDType>(&self) -> Result<Option<Arc<Packed>>> {
        match self.weight() {
            Weight::Quantised(_) => Ok(None),
            Weight::Packed(packed, dtype) => Ok((dtype == T::DTYPE).then_some(packed)),
            Weight::Plain(weight) if !dispatch::reads::<T>([&weight]) => Ok(None),
            // Without the lock: a thread that waits for its part of the packing may begin another product.
            Weight::Plain(weight) => {
                let (outputs, inputs) = weight.dims2()?;
                let values = Values::of(&weight, weight.dims())?;
                let packed = Arc::new(Packed::new(values.read()?.values::<T>()?, outputs, inputs));
                *self.weight.write().unwrap_or_else(PoisonError::into_inner) =
                    Weight::Packed(packed.clone(), T::DTYPE);
                Ok(Some(packed))
            }
        }
    }

    /// The panels and the bias, for kernels that join several maps; `None` where candle must compute.
    pub(crate) fn parts<T: Element + WithDType>(&self) -> Result<Option<(Arc<Packed>, Option<Values>)>> {
        if self.difference.is_some() || !dispatch::reads::<T>(&self.bias) {
            return Ok(None);
        }
        let Some(packed) = self.panels::<T>()? else { return Ok(None) };
        let bias = self.bias.as_ref().map(|t| Values::of(t, &[packed.outputs()])).transpose()?;
        Ok(Some((packed, bias)))
    }

    /// The quantised map of activations that no kernel reads, in f32.
    fn widened(&self, x: &Tensor, Epilogue { activation, residual }: Epilogue<'_>) -> Result<Tensor> {
        let wide = |t: &Tensor| t.to_dtype(DType::F32);
        let bias = self.bias.as_ref().map(wide).transpose()?;
        let map = Self { weight: self.weight.clone(), bias, difference: None };
        let shortcut = residual.map(|r| wide(r.shortcut)).transpose()?;
        let scale = residual.and_then(|r| r.scale).map(wide).transpose()?;
        let residual = shortcut.as_ref().map(|shortcut| Residual { shortcut, scale: scale.as_ref() });
        map.forward_with(&wide(x)?, Epilogue { activation, residual })
    }

    fn fused<T: Element + WithDType>(
        &self,
        weights: &impl Product,
        x: &Tensor,
        Epilogue { activation, residual }: Epilogue<'_>,
    ) -> candle_core::Result<Fresh> {
        let (outputs, inputs) = weights.size();
        let shape = widened(x, inputs, outputs)?;
        let channels = [outputs];
        let x = Values::of(x, x.dims())?;
        let bias = self.bias.as_ref().map(|t| Values::of(t, &channels)).transpose()?;
        let shortcut = residual.map(|r| Values::of(r.shortcut, &shape)).transpose()?;
        let scale = residual.and_then(|r| r.scale).map(|t| Values::of(t, &channels)).transpose()?;
        let (x, bias) = (x.read()?, bias.as_ref().map(Values::read).transpose()?);
        let shortcut = shortcut.as_ref().map(Values::read).transpose()?;
        let scale = scale.as_ref().map(Values::read).transpose()?;
        let scale = scale.as_ref().map(Slice::values).transpose()?;
        let epilogue = zoo_kernels::Epilogue {
            bias: bias.as_ref().map(Slice::values).transpose()?,
            activation: activation.map(Into::into),
            residual: match &shortcut {
                Some(shortcut) => Some(zoo_kernels::Residual { shortcut: shortcut.values()?, scale }),
                None => None,
            },
        };
        let out = weights.product::<T>(x.values()?, &epilogue, shape.iter().product())?;
        Ok(Fresh::new(out, shape))
    }
}

/// What follows a product, by candle.
fn followed(mut out: Tensor, Epilogue { activation, residual }: Epilogue<'_>) -> Result<Tensor> {
    if let Some(activation) = activation {
        out = activation.forward(&out)?;
    }
    if let Some(scale) = residual.and_then(|r| r.scale) {
        out = out.broadcast_mul(scale)?;
    }
    if let Some(Residual { shortcut, .. }) = residual {
        out = (shortcut + out)?;
    }
    Ok(out)
}

/// Weights that a kernel multiplies by.
trait Product {
    /// Outputs and inputs.
    fn size(&self) -> (usize, usize);
    /// The `length` numbers of the result.
    fn product<T: Element + WithDType>(
        &self,
        x: &[T],
        epilogue: &zoo_kernels::Epilogue<'_, T>,
        length: usize,
    ) -> candle_core::Result<Vec<T>>;
}

/// Panels, and what their inputs go through while they are packed.
struct Normed<'a> {
    norm: Option<AnyNorm<'a>>,
    packed: &'a Packed,
}

impl Product for Normed<'_> {
    fn size(&self) -> (usize, usize) {
        (self.packed.outputs(), self.packed.inputs())
    }

    fn product<T: Element + WithDType>(
        &self,
        x: &[T],
        epilogue: &zoo_kernels::Epilogue<'_, T>,
        length: usize,
    ) -> candle_core::Result<Vec<T>> {
        let Self { norm, packed } = *self;
        written(length, |out| match norm {
            Some(norm) => norm.with(packed.inputs(), |norm| packed.apply_normed(x, norm, epilogue, out)),
            None => Ok(packed.apply(x, epilogue, out)),
        })
    }
}

impl Product for Quantised {
    fn size(&self) -> (usize, usize) {
        (self.outputs(), self.inputs())
    }

    fn product<T: Element + WithDType>(
        &self,
        x: &[T],
        epilogue: &zoo_kernels::Epilogue<'_, T>,
        length: usize,
    ) -> candle_core::Result<Vec<T>> {
        let mut out = zeros(length);
        self.apply(x, epilogue, &mut out);
        Ok(out)
    }
}

/// Panels made of weights that are read while they are packed.
fn pack<T: Element + WithDType>(rows: &Rows, start: usize, outputs: usize, inputs: usize) -> Weight {
    let read = |first, out: &mut [T]| rows.read(start + first, out);
    Weight::Packed(Arc::new(Packed::read(outputs, inputs, read)), T::DTYPE)
}

fn unpacked<T: Element + WithDType>(packed: &Packed) -> Result<Tensor> {
    Ok(Tensor::from_vec(packed.unpack::<T>(), (packed.outputs(), packed.inputs()), &Device::Cpu)?)
}

fn rows<T: Element + WithDType>(packed: &Packed, ids: &Tensor) -> candle_core::Result<Tensor> {
    let ids = ids.to_vec1::<u32>()?;
    if let Some(stray) = ids.iter().find(|&&id| id as usize >= packed.outputs()) {
        candle_core::bail!("linear: row {stray} of {}", packed.outputs());
    }
    let mut out = vec![T::round(0.0); ids.len() * packed.inputs()];
    out.par_chunks_mut(packed.inputs().max(1)).zip(&ids).for_each(|(out, &id)| packed.row(id as usize, out));
    Tensor::from_vec(out, (ids.len(), packed.inputs()), &Device::Cpu)
}

/// The shape of the result for `x` of this many inputs.
fn widened(x: &Tensor, inputs: usize, outputs: usize) -> candle_core::Result<Vec<usize>> {
    let mut shape = x.dims().to_vec();
    match shape.last_mut() {
        Some(last) if *last == inputs => *last = outputs,
        _ => candle_core::bail!("linear: {inputs} inputs, but x is {:?}", x.dims()),
    }
    Ok(shape)
}
