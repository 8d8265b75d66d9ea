//! Numbers from a seed, each made where it is read: for measuring what needs no training. Nothing is written to a disk,
//! and nothing is held but what the reader keeps.
//!
//! What is trained from nothing or kept in a file begins with other numbers (the host's `initial`): a stream for each tensor,
//! whose normal numbers take as many draws as they happen to need. Such a stream is read from its beginning and by one
//! thread; these numbers are read by all threads, from any row on.

use zoo_kernels::Element;

use super::Init;

/// The numbers of one tensor: independent, of the mean and deviation that its [`Init`] says, uniform. A number depends
/// on the seed, the key and its place, not on who reads it, in which order or together with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeded {
    stream: u64,
    centre: f32,
    bound: f32,
}

impl Seeded {
    pub(super) fn new(seed: u64, key: &str, init: Init) -> Self {
        let (centre, bound) = match init {
            Init::Const(value) => (value as f32, 0.0),
            Init::Normal { mean, std } => (mean as f32, (std * 3f64.sqrt()) as f32),
            Init::Uniform { bound } => (0.0, bound as f32),
        };
        let stream = key.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)));
        Self { stream, centre, bound }
    }

    /// Writes the numbers from place `start` on to `out`, on the calling thread.
    pub(super) fn read<T: Element>(self, start: usize, out: &mut [T]) {
        for (place, out) in (start as u64..).zip(out) {
            *out = T::round(self.at(place));
        }
    }

    #[inline(always)]
    fn at(self, place: u64) -> f32 {
        // The upper 24 bits: as many as an f32 holds.
        let unit = (mix(self.stream.wrapping_add(place)) >> 40) as f32 / 8_388_608.0 - 1.0;
        self.centre + self.bound * unit
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    fn values<T: Element>(seed: u64, key: &str, init: Init) -> Vec<f32> {
        let mut out = vec![T::round(0.0); 10_000];
        Seeded::new(seed, key, init).read(0, &mut out);
        out.into_iter().map(T::widen).collect()
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_recipe() {
        let normal = values::<f32>(1, "a", Init::Normal { mean: 1.0, std: 0.5 });
        let mean = normal.iter().sum::<f32>() / normal.len() as f32;
        let std = (normal.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / normal.len() as f32).sqrt();
        assert!((mean - 1.0).abs() < 0.02 && (std - 0.5).abs() < 0.01, "{mean} {std}");
        let uniform = values::<bf16>(1, "a", Init::Uniform { bound: 0.25 });
        assert!(uniform.iter().all(|x| x.abs() <= 0.25) && uniform.iter().any(|&x| x < -0.2));
        assert!(values::<bf16>(1, "a", Init::Const(3.0)).iter().all(|&x| x == 3.0));
    }

    #[test]
    fn seed_and_key_decide() {
        let init = Init::Uniform { bound: 1.0 };
        let first = values::<f32>(1, "a", init);
        assert_eq!(first, values::<f32>(1, "a", init));
        assert_ne!(first, values::<f32>(2, "a", init));
        assert_ne!(first, values::<f32>(1, "b", init));
    }

    #[test]
    fn a_number_depends_on_its_place_alone() {
        let init = Init::Normal { mean: 0.5, std: 2.0 };
        let (whole, seeded) = (values::<f32>(1, "a", init), Seeded::new(1, "a", init));
        for (start, count) in [(0, 1), (1, 7), (4099, 64), (9_999, 1)] {
            let mut part = vec![0f32; count];
            seeded.read(start, &mut part);
            assert_eq!(part, whole[start..start + count]);
        }
    }
}
