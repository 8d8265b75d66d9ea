//! Attention of grouped queries by products of candle, a turn of queries at a time: for scores that are capped
//! (arXiv 2408.00118), other devices and dtypes.
//!
//! Its backward pass makes the weights of a turn anew, so that q, k and v are all that is kept of it.

use std::sync::Arc;

use candle_core::{D, DType, Tensor};
use zoo_core::Result;

use super::super::positions::Turn;
use super::super::step::Step;
use super::{CausalAttention, capped};
use crate::attention::softmax;
use crate::graph::{self, Fresh};

/// What of an attention does not lie in weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    pub heads: usize,
    pub groups: usize,
    pub channels: usize,
    pub scale: f64,
    pub cap: Option<f64>,
    pub windowed: bool,
}

impl CausalAttention {
    pub(super) fn mix(&self) -> Mix {
        let Self { heads, groups, channels, scale, cap, windowed, .. } = *self;
        Mix { heads, groups, channels, scale, cap, windowed }
    }
}

/// The numbers that a turn of queries is multiplied with.
struct Scored {
    /// `[B, groups, rows, D]`, scaled.
    queries: Tensor,
    /// What they weigh the keys that the turn sees with, `[B, groups, rows, keys]`, softmax of f32.
    weights: Tensor,
    /// The scores, capped and before what is not seen is left out: `[B, heads, queries, keys]`.
    scores: Tensor,
}

impl Mix {
    /// Of `q` `[B, T, heads, D]`, `k` and `v` `[B, groups, keys, D]` to the shape of `q`.
    pub fn apply(&self, q: &Tensor, k: &Tensor, v: &Tensor, step: &Step) -> Result<Tensor> {
        let (batch, _, heads, channels) = q.dims4()?;
        let [wide_q, wide_k, wide_v] = self.working(q, k, v)?;
        let keys = wide_k.t()?;
        let turns = step.queries(self.windowed, q.device())?;
        let mut parts = Vec::with_capacity(turns.len());
        for turn in turns {
            let scored = self.scored(&wide_q, &keys, turn)?;
            let values = wide_v.narrow(2, turn.keys.start, turn.keys.len())?;
            parts.push(scored.weights.matmul(&values)?.reshape((batch, heads, turn.length, channels))?);
        }
        let mixed = if let [whole] = parts.as_slice() { whole.clone() } else { Tensor::cat(&parts, 2)? };
        Ok(mixed.transpose(1, 2)?.to_dtype(q.dtype())?)
    }

    /// The same as one operation with a backward pass of its own, where `k` and `v` are those of the call.
    pub fn tracked(self, q: &Tensor, k: &Tensor, v: &Tensor, step: &Arc<Step>) -> Result<Tensor> {
        let sources = [q, k, v].map(Tensor::clone);
        let [still_q, still_k, still_v] = sources.each_ref().map(Tensor::detach);
        let out = Fresh::copied(&self.apply(&still_q, &still_k, &still_v, step)?)?;
        let step = step.clone();
        Ok(graph::operation("attention in turns", &sources.clone(), out, move |gradient, sink| {
            let still = [&still_q, &still_k, &still_v];
            let pulled = self.pulled(still, gradient, &step).map_err(candle_core::Error::wrap)?;
            sources.iter().zip(pulled).try_for_each(|(source, gradient)| sink.add(source, gradient))
        })?)
    }

    /// In the numbers of products, q scaled and with its heads in front of its tokens: the CPU has no fast products of
    /// half-precision numbers.
    fn working(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<[Tensor; 3]> {
        let working = if q.device().is_cpu() { DType::F32 } else { q.dtype() };
        let q = (q.transpose(1, 2)?.to_dtype(working)? * self.scale)?;
        Ok([q, k.to_dtype(working)?, v.to_dtype(working)?])
    }

    /// The queries of a turn, and what they weigh `keys` `[B, groups, D, keys]` with.
    fn scored(&self, q: &Tensor, keys: &Tensor, turn: &Turn) -> Result<Scored> {
        let batch = q.dim(0)?;
        // The queries of a group are rows of one product with its keys: nothing is repeated.
        let rows = self.heads / self.groups * turn.length;
        let part = q.narrow(2, turn.start, turn.length)?.contiguous()?;
        let queries = part.reshape((batch, self.groups, rows, self.channels))?;
        let scores = queries.matmul(&keys.narrow(3, turn.keys.start, turn.keys.len())?)?;
        let scores = scores.to_dtype(DType::F32)?.reshape((batch, self.heads, turn.length, ()))?;
        let scores = capped(scores, self.cap)?;
        let seen = match &turn.mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores.clone(),
        };
        let weights = softmax(&seen)?.to_dtype(q.dtype())?.reshape((batch, self.groups, rows, ()))?;
        Ok(Scored { queries, weights, scores })
    }

    /// The gradients of q, k and v for that of the result.
    fn pulled(&self, [q, k, v]: [&Tensor; 3], gradient: &Tensor, step: &Step) -> Result<[Tensor; 3]> {
        let (batch, _, heads, channels) = q.dims4()?;
        let [wide_q, wide_k, wide_v] = self.working(q, k, v)?;
        let gradient = gradient.transpose(1, 2)?.to_dtype(wide_q.dtype())?;
        let keys = wide_k.t()?;
        let total = wide_k.dim(2)?;
        let (mut of_keys, mut of_values) = (wide_k.zeros_like()?, wide_v.zeros_like()?);
        let mut of_queries = Vec::new();
        for turn in step.queries(self.windowed, q.device())? {
            let Scored { queries, weights, scores } = self.scored(&wide_q, &keys, turn)?;
            let (first, seen) = (turn.keys.start, turn.keys.len());
            let slopes = gradient.narrow(2, turn.start, turn.length)?.contiguous()?;
            let slopes = slopes.reshape(queries.shape())?;
            let at_place = |part: Tensor| part.pad_with_zeros(2, first, total - first - seen);
            of_values = (of_values + at_place(weights.t()?.contiguous()?.matmul(&slopes)?)?)?;
            let of_weights = slopes.matmul(&wide_v.narrow(2, first, seen)?.t()?)?;
            let mean = (&of_weights * &weights)?.sum_keepdim(D::Minus1)?;
            let mut of_scores = (weights * of_weights.broadcast_sub(&mean)?)?;
            if let Some(cap) = self.cap {
                // Of tanh: 1 less its square.
                let slope = (scores / cap)?.sqr()?.affine(-1.0, 1.0)?.to_dtype(wide_q.dtype())?;
                of_scores = (&of_scores * slope.reshape(of_scores.shape())?)?;
            }
            of_keys = (of_keys + at_place(of_scores.t()?.contiguous()?.matmul(&queries)?)?)?;
            let part = of_scores.matmul(&wide_k.narrow(2, first, seen)?.contiguous()?)?;
            of_queries.push((part.reshape((batch, heads, turn.length, channels))? * self.scale)?);
        }
        let of_queries = Tensor::cat(&of_queries, 2)?.transpose(1, 2)?.contiguous()?;
        Ok([of_queries, of_keys, of_values])
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::super::super::positions::Positions;
    use super::*;
    use crate::autograd;

    const SHAPE: [usize; 3] = [4, 2, 6];

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1013) as f32 / 253.0 - 2.0).collect()
    }

    /// `softmax(cap · tanh(scale · q kᵀ / cap)) v` over `⟨·, cotangent⟩`, in f64 and by the definition.
    fn exact(mix: Mix, seen: &[std::ops::Range<usize>], [q, k, v]: [&[f64]; 3], cotangent: &[f32]) -> f64 {
        let [heads, groups, channels] = SHAPE;
        let tokens = seen.len();
        let mut total = 0.0;
        for (t, seen) in seen.iter().enumerate() {
            for head in 0..heads {
                let group = head / (heads / groups);
                let key = |s: usize| ((group * tokens) + s) * channels;
                let query = (t * heads + head) * channels;
                let score = |s: usize| {
                    let dot: f64 = (0..channels).map(|c| q[query + c] * k[key(s) + c]).sum();
                    let score = dot * mix.scale;
                    mix.cap.map_or(score, |cap| cap * (score / cap).tanh()).exp()
                };
                let sum: f64 = seen.clone().map(score).sum();
                for s in seen.clone() {
                    let weight = score(s) / sum;
                    total += (0..channels)
                        .map(|c| weight * v[key(s) + c] * f64::from(cotangent[query + c]))
                        .sum::<f64>();
                }
            }
        }
        total
    }

    /// Against central differences of the definition in f64, and against candle's gradients of the same products: with a
    /// cap and without, in windows and not, in one turn and in several, rows of several sequences.
    #[test]
    fn gradients_are_those_of_the_definition() {
        let [heads, groups, channels] = SHAPE;
        for (lengths, window, most) in [(vec![7], None, 64), (vec![5, 8], Some(3), 4), (vec![1, 9], None, 3)]
        {
            for cap in [None, Some(1.5)] {
                let positions: Vec<u32> = lengths.iter().flat_map(|&n| 0..n).collect();
                let tokens = positions.len();
                let positions = Tensor::new(positions, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
                let positions = Positions::read_packed(&positions, 1, tokens, 64).unwrap();
                let seen = positions.sight(window);
                let step = Arc::new(Step::of_positions(positions, window, most));
                let mix = Mix { heads, groups, channels, scale: 0.4, cap, windowed: window.is_some() };
                let shapes = [(1, tokens, heads, channels), (1, groups, tokens, channels)];
                let [q, k, v] = [(shapes[0], 1), (shapes[1], 2), (shapes[1], 3)].map(|(shape, seed)| {
                    let count = shape.0 * shape.1 * shape.2 * shape.3;
                    Var::from_vec(numbers(count, seed), shape, &Device::Cpu).unwrap()
                });
                let cotangent = numbers(tokens * heads * channels, 4);
                let weighed = |mixed: &Tensor| {
                    let cotangent = Tensor::from_slice(&cotangent, shapes[0], &Device::Cpu).unwrap();
                    (mixed * cotangent).unwrap().sum_all().unwrap()
                };
                let own = weighed(&mix.tracked(&q, &k, &v, &step).unwrap());
                let other = weighed(&mix.apply(&q, &k, &v, &step).unwrap());
                assert_eq!(own.to_scalar::<f32>().unwrap(), other.to_scalar::<f32>().unwrap());
                let [own, other] = [own, other].map(|loss| autograd::backward(&loss).unwrap());
                let values = [&q, &k, &v].map(|x| {
                    let flat = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    flat.into_iter().map(f64::from).collect::<Vec<_>>()
                });
                for (which, x) in [&q, &k, &v].into_iter().enumerate() {
                    let of = |gradients: &candle_core::backprop::GradStore| {
                        gradients.get(x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
                    };
                    for (i, (a, b)) in of(&own).into_iter().zip(of(&other)).enumerate() {
                        let at = |by: f64| {
                            let mut moved = values.clone();
                            moved[which][i] += by;
                            exact(mix, &seen, moved.each_ref().map(Vec::as_slice), &cotangent)
                        };
                        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                        let allowed = 2e-5 * difference.abs().max(1.0);
                        assert!(
                            (f64::from(a) - difference).abs() < allowed,
                            "{which} {i}: {a}, {difference}"
                        );
                        assert!(f64::from(a - b).abs() < allowed, "{which} {i}: {a}, by candle {b}");
                    }
                }
            }
        }
    }
}
