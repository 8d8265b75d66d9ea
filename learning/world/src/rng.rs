//! Chance that is the same everywhere: one stream of ChaCha for each scene.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use crate::maths::rounded;

/// Numbers drawn from a seed.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream that belongs to these words, apart from all others.
    pub fn of(seed: u64, words: &[&str], index: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        for word in words {
            hash.update((word.len() as u64).to_le_bytes());
            hash.update(word.as_bytes());
        }
        hash.update(index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Uniform in [0, 1), of 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform between two numbers, to four decimals, so that records are short.
    pub fn range(&mut self, from: f64, to: f64) -> f64 {
        rounded(from + (to - from) * self.unit(), 4)
    }

    /// A whole number from `from` to `to`, both possible.
    pub fn whole(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// A whole number below `count`; 0 where there is none.
    pub fn below(&mut self, count: usize) -> usize {
        // 2^-64 of bias for what is drawn here.
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// True with that probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of several; the slice must not be empty.
    pub fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// One of several, `None` where there is none.
    pub fn any<T: Clone>(&mut self, among: &[T]) -> Option<T> {
        (!among.is_empty()).then(|| self.pick(among))
    }

    /// In random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    /// `count` different ones, or all, in random order.
    pub fn some<T: Clone>(&mut self, among: &[T], count: usize) -> Vec<T> {
        let mut list = among.to_vec();
        self.shuffle(&mut list);
        list.truncate(count);
        list
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// A well-mixed 32-bit hash of a place: noise in pictures, where a stream would depend on the order of pixels.
pub fn hashed(a: u32, b: u32, c: u32) -> u32 {
    let mut h = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca77) ^ c.wrapping_mul(0xc2b2_ae3d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_apart_and_stay_what_they_are() {
        let first = |seed, words: &[&str], index| Rng::of(seed, words, index).bits();
        let all = [
            first(0, &["a"], 0),
            first(1, &["a"], 0),
            first(0, &["b"], 0),
            first(0, &["a"], 1),
            first(0, &["a", ""], 0),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{all:x?}");
        }
        assert_eq!(first(0, &["a"], 0), Rng::of(0, &["a"], 0).bits());
    }

    #[test]
    fn draws_are_even_and_in_bounds() {
        let mut rng = Rng::of(7, &["test"], 0);
        let mut seen = [0usize; 6];
        for _ in 0..6000 {
            seen[rng.whole(1, 6) - 1] += 1;
            let x = rng.range(-2.0, 3.0);
            assert!((-2.0..=3.0).contains(&x));
        }
        // 1000 expected, 29 is one standard deviation.
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
    }
}
