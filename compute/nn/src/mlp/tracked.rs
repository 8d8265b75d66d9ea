//! The feed-forward network in a pass with gradients, as one operation: kept are its input and what the activation
//! reads, a good third of what a chain of operations would keep. The rest is computed anew from these.

use candle_core::{Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::Element;

use super::Mlp;
use crate::activation::Activation;
use crate::dispatch::{self, with};
use crate::gated::{self, Branches};
use crate::graph;
use crate::linear::pull::{activated, deactivated};
use crate::linear::{Linear, Residual};
use crate::norm::{AnyNorm, Parts};

/// What the activation reads.
struct Hidden {
    gate: Tensor,
    up: Option<Tensor>,
}

impl Hidden {
    /// What the second map reads.
    fn active<T: Element + WithDType>(&self, activation: Activation) -> candle_core::Result<Tensor> {
        Ok(match &self.up {
            None => activated::<T>(activation, &self.gate)?.tensor(),
            Some(up) => Branches::Apart(&self.gate, up).fused::<T>(activation)?.tensor(),
        })
    }
}

impl Mlp {
    /// `None` where candle must compute, or there is no gradient.
    pub(super) fn run_tracked(
        &self,
        norm: Option<AnyNorm<'_>>,
        x: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> Result<Option<Tensor>> {
        // With a norm inside, the maps are operations of their own.
        if self.norm.is_some() {
            return Ok(None);
        }
        let maps: Vec<&Linear> = [&self.first, &self.second].into_iter().chain(&self.up).collect();
        let others = residual.into_iter().flat_map(Residual::tensors);
        let parameters = norm.into_iter().flat_map(AnyNorm::parameters);
        let others: Vec<&Tensor> = others.chain(parameters).collect();
        let Some(numbers) = dispatch::trained(x, &others, &maps) else { return Ok(None) };
        let Some(norm) =
            norm.map_or(Ok(Some(None)), |norm| Ok::<_, zoo_core::Error>(norm.parts()?.map(Some)))?
        else {
            return Ok(None);
        };
        Ok(Some(with!(numbers, T => self.tracked::<T>(norm, x, residual, &others)?)))
    }

    fn tracked<T: Element + WithDType>(
        &self,
        norm: Option<Parts>,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        others: &[&Tensor],
    ) -> candle_core::Result<Tensor> {
        let normed = norm.as_ref().map(|norm| norm.compute::<T>(x)).transpose()?;
        let input = normed.as_ref().unwrap_or(x);
        let gate = self.first.compute::<T>(&self.first.still::<T>()?, input, None)?.tensor();
        let up = match &self.up {
            None => None,
            Some(up) => Some(up.compute::<T>(&up.still::<T>()?, input, None)?.tensor()),
        };
        drop(normed);
        let hidden = Hidden { gate, up };
        let active = hidden.active::<T>(self.activation)?;
        let out = self.second.compute::<T>(&self.second.still::<T>()?, &active, residual)?;
        drop(active);
        let own: Vec<Tensor> =
            [&self.first, &self.second].into_iter().chain(&self.up).flat_map(Linear::tensors).collect();
        let inputs: Vec<&Tensor> = [x].into_iter().chain(others.iter().copied()).chain(&own).collect();
        let (mlp, source) = (self.clone(), x.clone());
        let shortcut = residual.map(|r| r.shortcut.clone());
        let scale = residual.and_then(|r| r.scale).cloned();
        graph::operation("feed-forward network", inputs, out, move |gradient, sink| {
            let inner = norm.as_ref().is_some_and(Parts::trains) || sink.wants(&source);
            let before = inner || mlp.first.trains() || mlp.up.as_ref().is_some_and(Linear::trains);
            let active = hidden.active::<T>(mlp.activation)?;
            let slopes = mlp.second.pull_scaled::<T>(&active, gradient, scale.as_ref(), before, sink)?;
            drop(active);
            let mut plus = shortcut.as_ref();
            if let Some(slopes) = slopes {
                let normed = norm.as_ref().map(|norm| norm.compute::<T>(&source)).transpose()?;
                let input = normed.as_ref().unwrap_or(&source);
                let pulled = match (&hidden.up, &mlp.up) {
                    (Some(up), Some(map)) => {
                        let [to_gate, to_up] =
                            gated::gradients::<T>(mlp.activation, &hidden.gate, up, &slopes)?;
                        let part = map.pull::<T>(input, &to_up, inner, None, sink)?;
                        mlp.first.pull::<T>(input, &to_gate, inner, part.as_ref(), sink)?
                    }
                    _ => {
                        let slopes = deactivated::<T>(mlp.activation, &hidden.gate, &slopes)?;
                        mlp.first.pull::<T>(input, &slopes, inner, None, sink)?
                    }
                };
                // What goes around the branch joins it where both come from the same place.
                let around = plus.filter(|shortcut| shortcut.id() == source.id() && norm.is_some());
                match (pulled, &norm) {
                    (Some(pulled), Some(norm)) => {
                        norm.pull::<T>(&source, &pulled, around.map(|_| gradient), sink)?;
                        plus = plus.filter(|_| around.is_none());
                    }
                    (Some(pulled), None) => sink.add(&source, pulled)?,
                    (None, _) => {}
                }
            }
            match plus {
                Some(shortcut) => sink.add(shortcut, gradient.clone()),
                None => Ok(()),
            }
        })
    }
}
