//! AdamW in f32 (arXiv 1711.05101), as torch does it.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use crate::recipe::{Assigned, Group, Optimizer, decays};
use crate::{Error, Result};

/// Numbers that one task works on. Sums are taken task by task in order, so that no number of threads shows.
const CHUNK: usize = 1 << 16;

/// Gradients that processes send one another at once.
const BUCKET: usize = 1 << 22;

/// The trained tensors in f32 with their gradients and moments, whatever they are computed in.
#[derive(Debug, Clone)]
pub struct Optimiser {
    slots: BTreeMap<String, Slot>,
    groups: Vec<Group>,
    betas: [f64; 2],
    epsilon: f64,
    clip: f64,
    /// Steps so far.
    pub(crate) steps: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub shape: Vec<usize>,
    group: usize,
    decays: bool,
    pub value: Vec<f32>,
    pub moments: [Vec<f32>; 2],
    gradient: Vec<f32>,
}

impl Optimiser {
    /// For tensors that begin with `values`, by published key.
    ///
    /// # Errors
    /// [`Error::Internal`] when a value is missing.
    pub fn new(
        optimizer: &Optimizer,
        assigned: &Assigned,
        values: &BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let slot = |(key, &group): (&String, &usize)| {
            let value = values.get(key);
            let value = value.ok_or_else(|| Error::Internal(format!("there is no value of `{key}`")))?;
            let (shape, value) = (value.dims().to_vec(), flat(value)?);
            let zeros = || vec![0.0; value.len()];
            let moments = [zeros(), zeros()];
            let slot =
                Slot { group, decays: decays(key, shape.len()), moments, gradient: zeros(), shape, value };
            Ok((key.clone(), slot))
        };
        Ok(Self {
            slots: assigned.trained.iter().map(slot).collect::<Result<_>>()?,
            groups: assigned.groups.clone(),
            betas: optimizer.betas,
            epsilon: optimizer.epsilon,
            clip: optimizer.clip,
            steps: 0,
        })
    }

    /// Adds to the gradient of a tensor.
    ///
    /// # Errors
    /// [`Error::Internal`] for a tensor of another size, or none that is trained.
    pub fn add(&mut self, key: &str, gradient: &Tensor) -> Result<()> {
        let gradient = flat(gradient)?;
        let slot = self.slots.get_mut(key).filter(|slot| slot.gradient.len() == gradient.len());
        let slot = slot.ok_or_else(|| Error::Internal(format!("a gradient of `{key}` that does not fit")))?;
        slot.gradient.par_iter_mut().zip(&gradient).with_min_len(CHUNK).for_each(|(sum, x)| *sum += x);
        Ok(())
    }

    /// Puts the gradients through `work`, which replaces them by others, some at a time: always the same ones together.
    pub(crate) fn exchange(&mut self, mut work: impl FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
        let gradients = self.slots.values_mut().map(|slot| slot.gradient.as_mut_slice());
        let mut parts: Vec<&mut [f32]> = gradients.flat_map(|gradient| gradient.chunks_mut(BUCKET)).collect();
        let mut rest = parts.as_mut_slice();
        let mut bucket = Vec::with_capacity(BUCKET);
        while !rest.is_empty() {
            let mut total = 0;
            let fits = |part: &&&mut [f32]| {
                total += part.len();
                total <= BUCKET
            };
            let count = rest.iter().take_while(fits).count();
            let (own, others) = rest.split_at_mut(count);
            bucket.clear();
            own.iter().for_each(|part| bucket.extend_from_slice(part));
            work(&mut bucket)?;
            let mut at = 0;
            for part in own {
                part.copy_from_slice(&bucket[at..at + part.len()]);
                at += part.len();
            }
            rest = others;
        }
        Ok(())
    }

    /// One step with the gradients that were added, divided by `count`; rates are multiplied by `factor`. What got no
    /// gradient moves by its moments. Gradients are zero afterwards. Returns the norm of the gradient before it was
    /// clipped; where that is no finite number, nothing moves.
    pub fn step(&mut self, count: usize, factor: f64) -> f64 {
        let mean = 1.0 / count.max(1) as f64;
        let norm = self.slots.values().map(|slot| squares(&slot.gradient)).sum::<f64>().sqrt() * mean;
        if !norm.is_finite() {
            return norm;
        }
        let clip = if self.clip > 0.0 { (self.clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        self.steps += 1;
        let [first, second] = self.betas;
        let correct = |beta: f64| 1.0 - beta.powi(self.steps.min(i32::MAX as usize) as i32);
        let (along, across) = (correct(first), correct(second).sqrt());
        let scale = (mean * clip) as f32;
        for slot in self.slots.values_mut() {
            let group = &self.groups[slot.group];
            let rate = group.rate * factor;
            let decay = if slot.decays { group.weight_decay } else { 0.0 };
            let stay = (1.0 - rate * decay) as f32;
            let (rate, across, epsilon) = ((rate / along) as f32, across as f32, self.epsilon as f32);
            let (new, kept, fresh) = ((1.0 - first) as f32, second as f32, (1.0 - second) as f32);
            let [m, v] = &mut slot.moments;
            let all = slot.value.par_iter_mut().zip(&mut slot.gradient).zip(m).zip(v).with_min_len(CHUNK);
            all.for_each(|(((value, gradient), m), v)| {
                let g = *gradient * scale;
                *gradient = 0.0;
                *m += new * (g - *m);
                *v = kept * *v + fresh * g * g;
                *value = *value * stay - rate * *m / (v.sqrt() / across + epsilon);
            });
        }
        norm
    }

    /// The value of each tensor in `dtype`.
    ///
    /// # Errors
    /// [`Error::Host`] without memory.
    pub fn values(&self, dtype: DType) -> Result<BTreeMap<String, Tensor>> {
        let value = |(key, slot): (&String, &Slot)| {
            let value = Tensor::from_slice(&slot.value, slot.shape.as_slice(), &candle_core::Device::Cpu)?;
            Ok((key.clone(), value.to_dtype(dtype)?))
        };
        self.slots.iter().map(value).collect()
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The groups, the first being everything that no other names, with the numbers of tensors and parameters in each.
    pub fn groups(&self) -> Vec<(&Group, usize, usize)> {
        let count = |(index, group)| {
            let of = self.slots.values().filter(|slot| slot.group == index);
            let (tensors, numbers) = of.fold((0, 0), |(t, n), slot| (t + 1, n + slot.value.len()));
            (group, tensors, numbers)
        };
        self.groups.iter().enumerate().map(count).collect()
    }

    pub(crate) fn slots(&self) -> &BTreeMap<String, Slot> {
        &self.slots
    }

    pub(crate) fn slots_mut(&mut self) -> &mut BTreeMap<String, Slot> {
        &mut self.slots
    }
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// In f64, in tasks of equal length.
fn squares(values: &[f32]) -> f64 {
    let parts =
        values.par_chunks(CHUNK).map(|part| part.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>());
    parts.collect::<Vec<_>>().into_iter().sum()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Large tensors in parts, small ones together, each number once.
    #[test]
    fn gradients_are_exchanged_in_buckets() {
        let lengths = [3, BUCKET + 5, 0, 7, BUCKET - 5, 4];
        let keys: Vec<String> = (0..lengths.len()).map(|k| format!("key-{k}")).collect();
        let tensor = |length: &usize| Tensor::zeros(*length, DType::F32, &Device::Cpu).unwrap();
        let values = keys.iter().cloned().zip(lengths.iter().map(tensor)).collect();
        let group = Group { name: "base".to_owned(), rate: 1.0, weight_decay: 0.0 };
        let assigned =
            Assigned { trained: keys.iter().map(|key| (key.clone(), 0)).collect(), groups: vec![group] };
        let rate = serde_spanned::Spanned::new(0..0, 1.0);
        let optimizer = Optimizer { rate, betas: [0.9, 0.99], epsilon: 1e-8, weight_decay: 0.0, clip: 0.0 };
        let mut optimiser = Optimiser::new(&optimizer, &assigned, &values).unwrap();
        let mut together = Vec::new();
        optimiser
            .exchange(|values| {
                together.push(values.len());
                values.iter_mut().for_each(|value| *value += 1.0);
                Ok(())
            })
            .unwrap();
        assert_eq!(together, [3, BUCKET, 12, BUCKET - 1]);
        assert!(optimiser.slots.values().all(|slot| slot.gradient.iter().all(|value| *value == 1.0)));
    }
}
