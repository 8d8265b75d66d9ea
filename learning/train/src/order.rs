//! In which order samples come: a pure function of the seed, so that a run can go on anywhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::recipe::Order;

/// Numbers from a seed, the same on every machine.
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// One stream of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// In `0..below`.
    fn below(&mut self, below: usize) -> usize {
        ((u128::from(self.0.next_u64()) * below as u128) >> 64) as usize
    }

    /// Puts `items` into random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// The samples of an epoch in their order. `lengths` are [`super::Dataset::lengths`]; `batch` samples make a batch,
/// `batches` of these a step.
pub fn order(
    kind: Order,
    lengths: &[i32],
    batch: usize,
    batches: usize,
    seed: u64,
    epoch: u64,
) -> Vec<usize> {
    let mut all: Vec<usize> = (0..lengths.len()).collect();
    let mut rng = Rng::new(seed, epoch);
    match kind {
        Order::File => all,
        Order::Random => {
            rng.shuffle(&mut all);
            all
        }
        Order::GroupByModalityLength => by_modality(lengths, batch, batches, &mut rng),
    }
}

/// `get_modality_length_grouped_indices` of LLaVA: every step but the last has samples with images only, or without.
fn by_modality(lengths: &[i32], batch: usize, batches: usize, rng: &mut Rng) -> Vec<usize> {
    let of = |images: bool| (0..lengths.len()).filter(|&i| (lengths[i] > 0) == images).collect::<Vec<_>>();
    let (shown, told) = (of(true), of(false));
    if shown.is_empty() || told.is_empty() {
        return by_length((0..lengths.len()).collect(), lengths, batch, batches, rng).concat();
    }
    let mut steps = Vec::new();
    let mut rest = Vec::new();
    for part in [shown, told] {
        let ordered = by_length(part, lengths, batch, batches, rng).concat();
        let mut chunks: Vec<Vec<usize>> = ordered.chunks(batch * batches).map(<[usize]>::to_vec).collect();
        rest.extend(chunks.pop().unwrap_or_default());
        steps.extend(chunks);
    }
    rng.shuffle(&mut steps);
    rest.sort_unstable();
    steps.push(rest);
    steps.concat()
}

/// `get_length_grouped_indices`: random steps, in each of which batches are of like length in all.
fn by_length(
    mut samples: Vec<usize>,
    lengths: &[i32],
    batch: usize,
    batches: usize,
    rng: &mut Rng,
) -> Vec<Vec<usize>> {
    rng.shuffle(&mut samples);
    let length = |&i: &usize| lengths[i].unsigned_abs();
    let mut out = Vec::new();
    for step in samples.chunks_mut(batch * batches) {
        step.sort_by_key(|i| std::cmp::Reverse(length(i)));
        if !step.len().is_multiple_of(batches) {
            out.extend((0..batches).map(|k| step.iter().skip(k).step_by(batches).copied().collect()));
            continue;
        }
        let (mut parts, mut totals) = (vec![Vec::new(); batches], vec![0u64; batches]);
        for sample in step.iter() {
            let shortest = (0..batches).min_by_key(|&k| totals[k]).unwrap_or(0);
            parts[shortest].push(*sample);
            totals[shortest] += u64::from(length(sample));
            if parts[shortest].len() == step.len() / batches {
                totals[shortest] = u64::MAX;
            }
        }
        out.extend(parts);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> Vec<i32> {
        (0..53).map(|i| if i % 3 == 0 { -(i * 7 % 11 + 1) } else { i * 5 % 13 + 1 }).collect()
    }

    #[test]
    fn every_sample_comes_once_and_the_seed_decides() {
        for kind in [Order::Random, Order::File, Order::GroupByModalityLength] {
            let of = |seed, epoch| order(kind, &lengths(), 4, 2, seed, epoch);
            let mut sorted = of(1, 0);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..53).collect::<Vec<_>>());
            assert_eq!(of(1, 0), of(1, 0));
            let same = kind == Order::File;
            assert_eq!((of(1, 0) == of(2, 0), of(1, 0) == of(1, 1)), (same, same));
        }
    }

    #[test]
    fn no_step_but_the_last_mixes_kinds() {
        let lengths = lengths();
        let steps: Vec<Vec<usize>> = order(Order::GroupByModalityLength, &lengths, 4, 2, 3, 0)
            .chunks(8)
            .map(|step| step.to_vec())
            .collect();
        // 35 with images, 18 without: 4 and 2 whole steps, and what is left of both.
        for step in &steps[..6] {
            assert!(step.iter().all(|&i| (lengths[i] > 0) == (lengths[step[0]] > 0)), "{step:?}");
        }
        let rest = steps[6..].concat();
        assert!(rest.is_sorted() && rest.len() == 5, "{rest:?}");
    }

    #[test]
    fn batches_of_a_step_are_of_like_length() {
        let mut rng = Rng::new(5, 0);
        let lengths: Vec<i32> = (1..=8).collect();
        let batches = by_length((0..8).collect(), &lengths, 4, 2, &mut rng);
        let totals: Vec<i32> = batches.iter().map(|b| b.iter().map(|&i| lengths[i]).sum()).collect();
        assert_eq!(totals, [18, 18]);
    }
}
