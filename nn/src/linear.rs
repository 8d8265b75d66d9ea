//! Affine maps, and what follows them.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{DType, Device, Storage, StorageRef, Tensor, WithDType};
use half::bf16;
use zoo_core::Result;
use zoo_core::weights::{Init, Params, Rows};
use zoo_kernels::{Element, Packed};

use crate::activation::Activation;

/// `x Wᵀ + b` on the last axis, `W` being `[out, in]` as PyTorch stores it.
///
/// On a CPU the weights stand in the panels of [`zoo_kernels`], so they are held once: from the start where they come
/// from files, else from the first product that tracks no gradient. A gradient through the map reads them back.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Arc<RwLock<Weight>>,
    bias: Option<Tensor>,
}

/// The forms of the weights.
#[derive(Debug, Clone)]
enum Weight {
    Plain(Tensor),
    Packed(Arc<Packed>, DType),
}

/// What follows a product: `residual + scale · activation(product + bias)`, each part optional. One pass with the
/// product where it can be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// After the bias.
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

impl Linear {
    /// Reads `weight` `[outputs, inputs]` and, if there is one, `bias` `[outputs]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let init = Init::fan_in(inputs);
        let weight = match params.rows("weight", (outputs, inputs)) {
            Some(rows) if params.dtype() == DType::BF16 => pack::<bf16>(&rows, outputs, inputs),
            Some(rows) => pack::<f32>(&rows, outputs, inputs),
            None => Weight::Plain(params.get("weight", (outputs, inputs), init)?),
        };
        let bias = if bias { Some(params.get("bias", outputs, init)?) } else { None };
        Ok(Self { weight: Arc::new(RwLock::new(weight)), bias })
    }

    /// From tensors at hand: `weight` `[out, in]`, `bias` `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight: Arc::new(RwLock::new(Weight::Plain(weight))), bias }
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
        let Epilogue { activation, residual } = epilogue;
        let scale = residual.and_then(|r| r.scale);
        let tensors = [Some(x), self.bias.as_ref(), residual.map(|r| r.shortcut), scale];
        let mut tensors = tensors.into_iter().flatten();
        if tensors.all(|t| t.device().is_cpu() && t.dtype() == x.dtype() && !t.track_op()) {
            let fused = match x.dtype() {
                DType::F32 => self.packed::<f32>()?.map(|packed| self.fused::<f32>(&packed, x, epilogue)),
                DType::BF16 => self.packed::<bf16>()?.map(|packed| self.fused::<bf16>(&packed, x, epilogue)),
                _ => None,
            };
            if let Some(fused) = fused {
                return Ok(fused?);
            }
        }
        let mut out = self.plain(x)?;
        if let Some(activation) = activation {
            out = activation.forward(&out)?;
        }
        if let Some(scale) = scale {
            out = out.broadcast_mul(scale)?;
        }
        if let Some(Residual { shortcut, .. }) = residual {
            out = (shortcut + out)?;
        }
        Ok(out)
    }

    /// The map alone, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        let weight = match self.weight() {
            Weight::Plain(weight) => weight,
            Weight::Packed(packed, DType::BF16) => unpacked::<bf16>(&packed)?,
            Weight::Packed(packed, _) => unpacked::<f32>(&packed)?,
        };
        let (outputs, inputs) = weight.dims2()?;
        let shape = widened(x, inputs, outputs)?;
        let rows = x.elem_count() / inputs.max(1);
        // One product over all rows: candle would otherwise loop over the batch.
        let flat = x.reshape((rows, inputs))?.matmul(&weight.t()?)?;
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
    fn packed<T: Element + WithDType>(&self) -> Result<Option<Arc<Packed>>> {
        match self.weight() {
            Weight::Packed(packed, dtype) => Ok((dtype == T::DTYPE).then_some(packed)),
            Weight::Plain(weight) if weight.track_op() || weight.dtype() != T::DTYPE => Ok(None),
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

    fn fused<T: Element + WithDType>(
        &self,
        packed: &Packed,
        x: &Tensor,
        Epilogue { activation, residual }: Epilogue<'_>,
    ) -> candle_core::Result<Tensor> {
        let shape = widened(x, packed.inputs(), packed.outputs())?;
        let channels = [packed.outputs()];
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
        let mut out = vec![T::round(0.0); shape.iter().product()];
        packed.apply(x.values()?, &epilogue, &mut out);
        Tensor::from_vec(out, shape, &Device::Cpu)
    }
}

/// Panels made of weights that are read while they are packed.
fn pack<T: Element + WithDType>(rows: &Rows, outputs: usize, inputs: usize) -> Weight {
    let read = |first, out: &mut [T]| rows.read(first, out);
    Weight::Packed(Arc::new(Packed::read(outputs, inputs, read)), T::DTYPE)
}

fn unpacked<T: Element + WithDType>(packed: &Packed) -> Result<Tensor> {
    Ok(Tensor::from_vec(packed.unpack::<T>(), (packed.outputs(), packed.inputs()), &Device::Cpu)?)
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

/// A tensor in row-major order.
struct Values(Tensor);

/// Its memory on the CPU.
struct Slice<'a>(StorageRef<'a>, Range<usize>);

impl Values {
    /// Of a tensor that must have this shape.
    fn of(tensor: &Tensor, shape: &[usize]) -> candle_core::Result<Self> {
        if tensor.dims() != shape {
            candle_core::bail!("linear: the result needs {shape:?}, not {:?}", tensor.dims());
        }
        Ok(Self(tensor.contiguous()?))
    }

    fn read(&self) -> candle_core::Result<Slice<'_>> {
        let (storage, layout) = self.0.storage_and_layout();
        match layout.contiguous_offsets() {
            Some((start, end)) => Ok(Slice(storage, start..end)),
            None => candle_core::bail!("linear: a tensor is not contiguous"),
        }
    }
}

impl Slice<'_> {
    fn values<T: WithDType>(&self) -> candle_core::Result<&[T]> {
        match &*self.0 {
            Storage::Cpu(storage) => Ok(&storage.as_slice::<T>()?[self.1.clone()]),
            _ => candle_core::bail!("linear: a tensor is not on the CPU"),
        }
    }
}
