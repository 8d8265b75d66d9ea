//! Hashes within a few bits of another, without looking at all of them.

use std::collections::HashMap;

use super::Hash;

/// Hashes in order of arrival, found again within `distance` bits.
pub struct Near {
    distance: u32,
    hashes: Vec<Hash>,
    /// Hashes by each of their parts. Of `distance + 1` parts, one is the same in two hashes that are near.
    parts: Vec<HashMap<u64, Vec<u32>>>,
}

/// More bits than that make any two pictures alike.
pub const FARTHEST: u32 = 16;

impl Near {
    /// Nothing yet. `distance` is at most [`FARTHEST`].
    pub fn new(distance: u32) -> Self {
        let distance = distance.min(FARTHEST);
        Self { distance, hashes: Vec::new(), parts: vec![HashMap::new(); distance as usize + 1] }
    }

    /// Hashes so far.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Adds a hash; its number is [`Near::len`] before.
    pub fn add(&mut self, hash: Hash) {
        let number = self.hashes.len() as u32;
        self.hashes.push(hash);
        let count = self.parts.len();
        for (at, part) in self.parts.iter_mut().enumerate() {
            part.entry(cut(hash, at, count)).or_default().push(number);
        }
    }

    /// The numbers of all hashes that are near, in order.
    pub fn of(&self, hash: Hash) -> Vec<u32> {
        let mut found = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            let same = part.get(&cut(hash, at, self.parts.len())).into_iter().flatten();
            found.extend(same.filter(|&&n| self.hashes[n as usize].distance(hash) <= self.distance));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The first hash that is near.
    pub fn first(&self, hash: Hash) -> Option<u32> {
        match self.distance {
            0 => self.parts[0].get(&hash.0).and_then(|same| same.first().copied()),
            _ => self.of(hash).first().copied(),
        }
    }
}

/// Part `at` of `count` of a hash.
fn cut(hash: Hash, at: usize, count: usize) -> u64 {
    let (from, to) = (64 * at / count, 64 * (at + 1) / count);
    let bits = to - from;
    let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    (hash.0 >> from) & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_search_finds(
            seeds in proptest::collection::vec((0_u64..4, proptest::collection::vec(0_u32..64, 0..6)), 1..40),
            distance in 0_u32..6,
        ) {
            let hash = |(base, flips): &(u64, Vec<u32>)| {
                Hash(flips.iter().fold(base * 0x1234_5678_9abc_def1, |hash, bit| hash ^ 1 << bit))
            };
            let hashes: Vec<Hash> = seeds.iter().map(hash).collect();
            let mut near = Near::new(distance);
            hashes.iter().for_each(|hash| near.add(*hash));
            for hash in &hashes {
                let expected: Vec<u32> = (0..hashes.len() as u32)
                    .filter(|n| hashes[*n as usize].distance(*hash) <= distance)
                    .collect();
                prop_assert_eq!(near.of(*hash), expected.clone());
                prop_assert_eq!(near.first(*hash), expected.first().copied());
            }
        }
    }
}
