//! Self-attention in a pass with gradients. Kept are the input, q, k and v, what was mixed, and one number a query; a
//! matrix of all tokens by all tokens is made in no pass.

use candle_core::{Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::{AttentionGradient, Element, zeros};

use super::{Added, SelfAttention};
use crate::dispatch::{self, with};
use crate::graph::{self, Fresh};
use crate::linear::{Linear, Residual};
use crate::norm::{AnyNorm, Parts};
use crate::relative::RelativeBias;
use crate::values::Values;

impl SelfAttention {
    /// The whole branch as one operation; `None` where candle must compute, or there is no gradient.
    pub(super) fn run_tracked(
        &self,
        norm: AnyNorm<'_>,
        x: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> Result<Option<Tensor>> {
        // With norms inside, the maps are operations of their own.
        if self.normed.is_some() || self.norm.is_some() {
            return Ok(None);
        }
        let others = residual.into_iter().flat_map(Residual::tensors);
        let others: Vec<&Tensor> = others.chain(norm.parameters()).collect();
        let Some(numbers) = dispatch::trained(x, &others, &[&self.qkv, &self.proj]) else { return Ok(None) };
        let Some(norm) = norm.parts()? else { return Ok(None) };
        Ok(Some(with!(numbers, T => self.tracked::<T>(norm, x, residual, &others)?)))
    }

    fn tracked<T: Element + WithDType>(
        &self,
        norm: Parts,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        others: &[&Tensor],
    ) -> candle_core::Result<Tensor> {
        let qkv = self.qkv.compute::<T>(&self.qkv.still::<T>()?, &norm.compute::<T>(x)?, None)?.tensor();
        let (mixed, logs) = self.kept::<T>(&qkv, None)?;
        let mixed = mixed.tensor();
        let out = self.proj.compute::<T>(&self.proj.still::<T>()?, &mixed, residual)?;
        let own: Vec<Tensor> = [&self.qkv, &self.proj].into_iter().flat_map(Linear::tensors).collect();
        let inputs: Vec<&Tensor> = [x].into_iter().chain(others.iter().copied()).chain(&own).collect();
        let (attention, source) = (self.clone(), x.clone());
        let shortcut = residual.map(|r| r.shortcut.clone());
        let scale = residual.and_then(|r| r.scale).cloned();
        graph::operation("self-attention", inputs, out, move |gradient, sink| {
            let inner = norm.trains() || sink.wants(&source);
            let before = inner || attention.qkv.trains();
            let slopes = attention.proj.pull_scaled::<T>(&mixed, gradient, scale.as_ref(), before, sink)?;
            let mut plus = shortcut.as_ref();
            if let Some(slopes) = slopes {
                let (slopes, _) = attention.qkv_gradient::<T>(&qkv, None, &mixed, &logs, &slopes)?;
                let normed = norm.compute::<T>(&source)?;
                if let Some(pulled) = attention.qkv.pull::<T>(&normed, &slopes, inner, None, sink)? {
                    // What goes around the branch joins it where both come from the same place.
                    let around = plus.filter(|shortcut| shortcut.id() == source.id());
                    norm.pull::<T>(&source, &pulled, around.map(|_| gradient), sink)?;
                    plus = plus.filter(|_| around.is_none());
                }
            }
            match plus {
                Some(shortcut) => sink.add(shortcut, gradient.clone()),
                None => Ok(()),
            }
        })
    }

    /// From `[B, T, 3 C]` to `[B, T, C]` alone.
    pub(super) fn mixed_tracked<T: Element + WithDType>(
        &self,
        qkv: &Tensor,
        bias: Option<&RelativeBias>,
    ) -> candle_core::Result<Tensor> {
        let (mixed, logs) = self.kept::<T>(qkv, bias)?;
        let mixed = mixed.tensor();
        let (attention, source, tables) = (self.clone(), qkv.clone(), bias.cloned());
        let inputs: Vec<Tensor> =
            [qkv].into_iter().chain(bias.into_iter().flat_map(RelativeBias::tables)).cloned().collect();
        let out = Fresh::copied(&mixed)?;
        graph::operation("attention", &inputs, out, move |gradient, sink| {
            let (slopes, of_tables) =
                attention.qkv_gradient::<T>(&source, tables.as_ref(), &mixed, &logs, gradient)?;
            sink.add(&source, slopes)?;
            for (table, gradient) in
                tables.iter().flat_map(RelativeBias::tables).zip(of_tables.into_iter().flatten())
            {
                sink.add(table, gradient)?;
            }
            Ok(())
        })
    }

    /// What is mixed, and what the backward pass needs of it.
    fn kept<T: Element + WithDType>(
        &self,
        qkv: &Tensor,
        bias: Option<&RelativeBias>,
    ) -> candle_core::Result<(Fresh, Vec<f32>)> {
        let (batch, tokens, _) = qkv.dims3()?;
        let mut logs = vec![0f32; batch * self.heads * tokens];
        let mixed = self.fused::<T>(qkv, bias.map(Added::Decomposed), Some(&mut logs))?;
        Ok((mixed, logs))
    }

    /// The gradient of `[B, T, 3 C]`, and those of what was added to the scores.
    fn qkv_gradient<T: Element + WithDType>(
        &self,
        qkv: &Tensor,
        bias: Option<&RelativeBias>,
        mixed: &Tensor,
        logs: &[f32],
        gradient: &Tensor,
    ) -> candle_core::Result<(Tensor, Option<[Tensor; 2]>)> {
        let [out, gradient] = [mixed, gradient].map(|t| Values::of(t, mixed.dims()));
        let (out, gradient) = (out?, gradient?);
        let (out, gradient) = (out.read()?, gradient.read()?);
        let (out, gradient) = (out.values::<T>()?, gradient.values::<T>()?);
        let mut slopes = zeros::<T>(qkv.elem_count());
        let mut tables = bias.map(|bias| bias.tables().map(|table| vec![0f32; table.elem_count()]));
        self.with::<T, _>(qkv, bias.map(Added::Decomposed), |attention| {
            let tables = tables.as_mut().map(|[rows, columns]| [&mut rows[..], &mut columns[..]]);
            AttentionGradient { attention: *attention, out, logs, gradient }.apply_joint(&mut slopes, tables);
            Ok(())
        })?;
        let tables = match (tables, bias) {
            (Some([rows, columns]), Some(bias)) => {
                let [a, b] = bias.tables().map(Tensor::shape);
                Some([Tensor::from_vec(rows, a, &Device::Cpu)?, Tensor::from_vec(columns, b, &Device::Cpu)?])
            }
            _ => None,
        };
        Ok((Tensor::from_vec(slopes, qkv.shape(), &Device::Cpu)?, tables))
    }
}
