//! Causal attention over packed rows in a pass with gradients, as one operation: from the normed hidden states to what is
//! added to them. Nothing is cached, as nobody reads on.

use std::sync::Arc;

use candle_core::{Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::{Attention, AttentionGradient, AttentionSize, Element, Heads, written, zeros};

use super::super::rope::Way;
use super::super::step::Step;
use super::CausalAttention;
use crate::dispatch::{self, with};
use crate::graph;
use crate::linear::{Linear, Residual};
use crate::values::Values;

impl CausalAttention {
    /// `None` where candle must compute, there is no gradient, or earlier calls left keys.
    pub(super) fn run_tracked(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        step: &Arc<Step>,
    ) -> Result<Option<Tensor>> {
        if !step.whole() || self.cap.is_some() || residual.is_some_and(|r| r.scale.is_some()) {
            return Ok(None);
        }
        let maps: Vec<&Linear> = self.qkv.maps().iter().chain([&self.output]).collect();
        let others: Vec<&Tensor> = residual.iter().map(|r| r.shortcut).collect();
        match dispatch::trained(x, &others, &maps) {
            Some(numbers) => Ok(Some(with!(numbers, T => self.tracked::<T>(x, residual, step)?))),
            None => Ok(None),
        }
    }

    fn tracked<T: Element + WithDType>(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        step: &Arc<Step>,
    ) -> candle_core::Result<Tensor> {
        let (batch, length, _) = x.dims3()?;
        let [q, k, v] = self.qkv.compute::<T>(x)?;
        let split = |t: &Tensor, heads| t.reshape((batch, length, heads, self.channels));
        let q = step.turns.compute::<T>(&split(&q, self.heads)?, Way::There)?.tensor();
        let k = step.turns.compute::<T>(&split(&k, self.groups)?, Way::There)?.tensor();
        let v = split(&v, self.groups)?;
        let mut logs = vec![0f32; batch * self.heads * length];
        let mixed = self.with::<T, _>([&q, &k, &v], step, |attention| {
            written(q.elem_count(), |out| Ok(attention.apply_kept(out, &mut logs)))
        })?;
        let mixed = Tensor::from_vec(mixed, (batch, length, self.heads * self.channels), &Device::Cpu)?;
        let out = self.output.compute::<T>(&self.output.still::<T>()?, &mixed, residual)?;
        let own: Vec<Tensor> =
            self.qkv.maps().iter().chain([&self.output]).flat_map(Linear::tensors).collect();
        let shortcut = residual.map(|r| r.shortcut.clone());
        let inputs: Vec<&Tensor> = [x].into_iter().chain(&shortcut).chain(&own).collect();
        let (attention, step, source, around) = (self.clone(), step.clone(), x.clone(), shortcut.clone());
        graph::operation("causal attention", inputs, out, move |gradient, sink| {
            let inner = sink.wants(&source);
            let before = inner || attention.qkv.maps().iter().any(Linear::trains);
            if let Some(slopes) = attention.output.pull::<T>(&mixed, gradient, before, None, sink)? {
                let gradients = attention.gradients::<T>([&q, &k, &v], &step, &mixed, &logs, &slopes)?;
                if let Some(pulled) = attention.qkv.pull::<T>(&source, gradients, inner, sink)? {
                    sink.add(&source, pulled)?;
                }
            }
            match &around {
                Some(shortcut) => sink.add(shortcut, gradient.clone()),
                None => Ok(()),
            }
        })
    }

    /// Hands `q` `[B, T, heads, D]`, `k` and `v` `[B, T, groups, D]` on to a kernel.
    fn with<T: Element + WithDType, R>(
        &self,
        qkv: [&Tensor; 3],
        step: &Step,
        run: impl FnOnce(&Attention<'_, T>) -> candle_core::Result<R>,
    ) -> candle_core::Result<R> {
        let (batch, length, heads, channels) = qkv[0].dims4()?;
        let [q, k, v] = qkv.map(|t| Values::of(t, t.dims()));
        let (q, k, v) = (q?, k?, v?);
        let (q, k, v) = (q.read()?, k.read()?, v.read()?);
        let of = |values, heads: usize| Heads {
            values,
            batch: length * heads * channels,
            token: heads * channels,
            head: channels,
        };
        run(&Attention {
            size: AttentionSize {
                batch,
                queries: length,
                keys: length,
                heads,
                key_heads: self.groups,
                channels,
            },
            q: of(q.values::<T>()?, heads),
            k: of(k.values::<T>()?, self.groups),
            v: of(v.values::<T>()?, self.groups),
            scale: self.scale as f32,
            bias: None,
            sight: Some(step.sight(self.windowed)),
        })
    }

    /// The gradients of what the maps to q, k and v gave, for that of what was mixed.
    fn gradients<T: Element + WithDType>(
        &self,
        qkv: [&Tensor; 3],
        step: &Step,
        mixed: &Tensor,
        logs: &[f32],
        gradient: &Tensor,
    ) -> candle_core::Result<[Tensor; 3]> {
        let [out, gradient] = [mixed, gradient].map(|t| Values::of(t, mixed.dims()));
        let (out, gradient) = (out?, gradient?);
        let (out, gradient) = (out.read()?, gradient.read()?);
        let (out, gradient) = (out.values::<T>()?, gradient.values::<T>()?);
        let [mut q, mut k, mut v] = qkv.map(|t| zeros::<T>(t.elem_count()));
        self.with::<T, _>(qkv, step, |attention| {
            let backward = AttentionGradient { attention: *attention, out, logs, gradient };
            backward.apply(&mut q, &mut k, &mut v, None);
            Ok(())
        })?;
        let tensor = |numbers, like: &Tensor| Tensor::from_vec(numbers, like.shape(), &Device::Cpu);
        let back = |t: Tensor| Ok::<_, candle_core::Error>(step.turns.compute::<T>(&t, Way::Back)?.tensor());
        let (q, k, v) = (back(tensor(q, qkv[0])?)?, back(tensor(k, qkv[1])?)?, tensor(v, qkv[2])?);
        let flat = |t: Tensor| t.flatten_from(2);
        Ok([flat(q)?, flat(k)?, flat(v)?])
    }
}
