//! The feed-forward half of a transformer block.

mod tracked;

use candle_core::{Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_kernels::{Element, written};

use crate::activation::Activation;
use crate::dispatch::{self, Path, with};
use crate::gated::Branches;
use crate::linear::{Epilogue, Linear, Residual};
use crate::norm::{AnyNorm, LayerNorm};
use crate::values::{Slice, Values};

/// How a block's feed-forward network is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlpKind {
    /// `fc2(act(fc1 x))`.
    Plain(Activation),
    /// `w3(silu(a) · b)` with `[a, b] = w12 x` (arXiv 2002.05202), both halves in one matrix as in DINOv2.
    SwiGlu,
    /// `w3(a · gelu(b))` with `[a, b] = w12 x` and the exact GELU: diffusers' GEGLU, whose gate stands second.
    GeGlu,
}

/// A feed-forward network with all that members of a family differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpStyle {
    /// What it computes.
    pub kind: MlpKind,
    /// Whether its maps have biases.
    pub bias: bool,
    /// Epsilon of a LayerNorm before the last map (arXiv 2110.09456), where there is one.
    pub norm: Option<f64>,
}

impl From<MlpKind> for MlpStyle {
    fn from(kind: MlpKind) -> Self {
        Self { kind, bias: true, norm: None }
    }
}

/// The feed-forward network. Tensors: `fc1`, `fc2` or, gated, `w12`, `w3`; `norm`, where there is one inside.
#[derive(Debug, Clone)]
pub struct Mlp {
    activation: Activation,
    /// The gate, if there is one.
    first: Linear,
    /// What the activated gate is multiplied by.
    up: Option<Linear>,
    /// Of the hidden channels.
    norm: Option<LayerNorm>,
    second: Linear,
}

impl Mlp {
    /// Reads a network of `channels` inputs and outputs with `inner` hidden channels (of a gated one: the width
    /// after gating).
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, inner: usize, style: impl Into<MlpStyle>) -> Result<Self> {
        let MlpStyle { kind, bias, norm } = style.into();
        let second = |name: &str| Linear::load(&params.pp(name), inner, channels, bias);
        let mut mlp = match kind {
            MlpKind::Plain(activation) => {
                let first = Linear::load(&params.pp("fc1"), channels, inner, bias)?;
                Self::new(activation, first, second("fc2")?)
            }
            MlpKind::SwiGlu => {
                let maps = Linear::load_stacked(&params.pp("w12"), channels, [inner; 2], bias)?;
                Self::gated(Activation::Silu, maps, second("w3")?)
            }
            MlpKind::GeGlu => {
                let [up, gate] = Linear::load_stacked(&params.pp("w12"), channels, [inner; 2], bias)?;
                Self::gated(Activation::GeluErf, [gate, up], second("w3")?)
            }
        };
        mlp.norm = norm.map(|eps| LayerNorm::load(&params.pp("norm"), inner, eps)).transpose()?;
        Ok(mlp)
    }

    /// `second(activation(first x))` from maps at hand, whatever their names and widths.
    pub fn new(activation: Activation, first: Linear, second: Linear) -> Self {
        Self { activation, first, up: None, norm: None, second }
    }

    /// `second(activation(gate x) · up x)` (arXiv 2002.05202) from maps at hand.
    pub(crate) fn gated(activation: Activation, [gate, up]: [Linear; 2], second: Linear) -> Self {
        Self { activation, first: gate, up: Some(up), norm: None, second }
    }

    /// `[…, inputs]` to `[…, outputs]`; added to `residual`, which has that shape, if there is one.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        self.run(None, x, residual)
    }

    /// As [`Mlp::forward`] of the normalised `x`, which is never in memory where the products are fused.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward_normed<'n>(
        &self,
        norm: impl Into<AnyNorm<'n>>,
        x: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> Result<Tensor> {
        self.run(Some(norm.into()), x, residual)
    }

    fn run(&self, norm: Option<AnyNorm<'_>>, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        if let Some(out) = self.run_tracked(norm, x, residual)? {
            return Ok(out);
        }
        let fused = match Path::of([x]) {
            Path::Kernel(numbers) => with!(numbers, T => self.fused::<T>(norm, x, residual)?),
            _ => None,
        };
        if let Some(fused) = fused {
            return Ok(fused);
        }
        let map = |map: &Linear, activation| {
            let epilogue = Epilogue { activation, residual: None };
            match norm {
                Some(norm) => map.forward_normed(norm, x, epilogue),
                None => map.forward_with(x, epilogue),
            }
        };
        let x = match &self.up {
            None => map(&self.first, Some(self.activation))?,
            Some(up) => {
                let (gate, up) = (map(&self.first, None)?, map(up, None)?);
                Branches::Apart(&gate, &up).multiply(self.activation)?
            }
        };
        let epilogue = Epilogue { activation: None, residual };
        match &self.norm {
            Some(norm) => self.second.forward_normed(norm, &x, epilogue),
            None => self.second.forward_with(&x, epilogue),
        }
    }

    /// All products in turns over a few rows, so that the hidden channels of all rows are never in memory. `None` where
    /// candle must compute.
    fn fused<T: Element + WithDType>(
        &self,
        norm: Option<AnyNorm<'_>>,
        x: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> Result<Option<Tensor>> {
        let scale = residual.and_then(|r| r.scale);
        let tensors = std::iter::once(x).chain(residual.into_iter().flat_map(Residual::tensors));
        let between = self.norm.as_ref().map(AnyNorm::from);
        if !dispatch::reads::<T>(tensors.chain(norm.into_iter().chain(between).flat_map(AnyNorm::parameters)))
        {
            return Ok(None);
        }
        let (Some((first, before)), Some((second, after))) =
            (self.first.parts::<T>()?, self.second.parts::<T>()?)
        else {
            return Ok(None);
        };
        let up = match &self.up {
            None => None,
            Some(up) => match up.parts::<T>()? {
                None => return Ok(None),
                parts => parts,
            },
        };
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == first.inputs() => *last = second.outputs(),
            _ => return Ok(None), // the map itself says what is wrong
        }
        let x = Values::of(x, x.dims())?;
        let shortcut = residual.map(|r| Values::of(r.shortcut, &shape)).transpose()?;
        let scale = scale.map(|t| Values::of(t, &[second.outputs()])).transpose()?;
        let [before, after, shortcut, scale] =
            [&before, &after, &shortcut, &scale].map(|values| values.as_ref().map(Values::read).transpose());
        let (before, after, shortcut, scale) = (before?, after?, shortcut?, scale?);
        let factor = up.as_ref().and_then(|(_, bias)| bias.as_ref()).map(Values::read).transpose()?;
        let scale = scale.as_ref().map(Slice::values).transpose()?;
        let residual = shortcut.as_ref().map(|shortcut| {
            Ok::<_, candle_core::Error>(zoo_kernels::Residual { shortcut: shortcut.values()?, scale })
        });
        let after = zoo_kernels::Epilogue {
            bias: after.as_ref().map(Slice::values).transpose()?,
            activation: None,
            residual: residual.transpose()?,
        };
        let feed_forward = zoo_kernels::FeedForward {
            first: &first,
            bias: before.as_ref().map(Slice::values).transpose()?,
            activation: self.activation.into(),
            up: match &up {
                Some((up, _)) => Some((&**up, factor.as_ref().map(Slice::values).transpose()?)),
                None => None,
            },
            norm: None,
            second: &second,
        };
        let x = x.read()?;
        let x = x.values::<T>()?;
        let out = written(shape.iter().product(), |out| match (between, norm) {
            (None, Some(norm)) => {
                norm.with(first.inputs(), |norm| feed_forward.apply_normed(x, norm, &after, out))
            }
            (None, None) => Ok(feed_forward.apply(x, &after, out)),
            (Some(between), norm) => between.with(first.outputs(), |between| {
                let network = zoo_kernels::FeedForward { norm: Some(*between), ..feed_forward };
                match norm {
                    Some(norm) => {
                        norm.with(first.inputs(), |norm| network.apply_normed(x, norm, &after, out))
                    }
                    None => Ok(network.apply(x, &after, out)),
                }
            })?,
        })?;
        Ok(Some(Tensor::from_vec(out, shape, &Device::Cpu)?))
    }
}
