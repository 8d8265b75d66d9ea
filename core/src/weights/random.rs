//! Numbers from a seed, each made where it is read: nothing is written to a disk, and nothing is held but what the reader
//! keeps. They are what is measured without training, and what training begins with.

use zoo_kernels::Element;

use super::{Init, TensorInfo};

/// Random numbers of one seed and name. Each depends on these and its place alone, not on who reads it, in which order
/// or together with what: so threads share a tensor, and any row can be made without those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream(u64);

impl Stream {
    /// That of `key`, usually a tensor's.
    pub fn new(seed: u64, key: &str) -> Self {
        Self(key.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte))))
    }

    /// 64 random bits.
    #[inline(always)]
    pub fn bits(self, place: u64) -> u64 {
        mix(self.0.wrapping_add(place))
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[inline(always)]
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers `[shape]` with which the tensor `info` begins where nobody trained it.
pub fn initial(seed: u64, info: &TensorInfo) -> Vec<f32> {
    let mut values = vec![0.0; info.shape.iter().product()];
    Seeded::new(seed, &info.key, info.init).read(0, &mut values);
    values
}

/// The numbers of one tensor, independent and distributed as its [`Init`] says.
///
/// A normal number is the sum of four uniform ones of 16 bits, which one draw holds: its mean and deviation are exact and
/// its tails end at 3.46 deviations, where initialisation is often cut on purpose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeded {
    stream: Stream,
    init: Init,
}

impl Seeded {
    pub(super) fn new(seed: u64, key: &str, init: Init) -> Self {
        Self { stream: Stream::new(seed, key), init }
    }

    /// Writes the numbers from place `start` on to `out`, on the calling thread.
    pub(super) fn read<T: Element>(self, start: usize, out: &mut [T]) {
        match self.init {
            Init::Const(value) => out.fill(T::round(value as f32)),
            Init::Normal { mean, std } => {
                // The sum of n numbers below 2^16 has the variance n (2^32 - 1) / 12.
                let (mean, scale) = (mean as f32, (std / (4_294_967_295f64 / 3.0).sqrt()) as f32);
                self.each(start, out, |bits| mean + scale * (sum_of_quarters(bits) - 131_070) as f32);
            }
            Init::Uniform { bound } => {
                // The upper 24 bits: as many as an f32 holds.
                let bound = bound as f32;
                self.each(start, out, |bits| bound * ((bits >> 40) as f32 / 8_388_608.0 - 1.0));
            }
        }
    }

    #[inline(always)]
    fn each<T: Element>(self, start: usize, out: &mut [T], number: impl Fn(u64) -> f32) {
        for (place, out) in (start as u64..).zip(out) {
            *out = T::round(number(self.stream.bits(place)));
        }
    }
}

#[inline(always)]
fn sum_of_quarters(bits: u64) -> i32 {
    // Two sums of 17 bits side by side, then one of 18.
    let pairs = (bits & 0x0000_ffff_0000_ffff) + ((bits >> 16) & 0x0000_ffff_0000_ffff);
    ((pairs & 0xffff_ffff) + (pairs >> 32)) as i32
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
        // Of a normal distribution 4.55 % stand beyond two deviations, of this one 4.25 %.
        let far = normal.iter().filter(|&&x| (x - 1.0).abs() > 1.0).count();
        assert!((350..500).contains(&far), "{far} of 10,000");
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
