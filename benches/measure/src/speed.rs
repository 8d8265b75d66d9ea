//! How fast something is, from what calls took.

use crate::{Peak, Summary};

/// What follows from times, operations and the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Images a second.
    pub images: Summary,
    /// Milliseconds for one image, median.
    pub milliseconds: f64,
    /// Multiply-accumulates a second, in units of 1e9, where operations are known.
    pub gmacs: Option<f64>,
    /// Floating-point operations a second, in units of 1e9: two for each multiply-accumulate.
    pub gflops: Option<f64>,
    /// Share of the multipliers' peak in this element type.
    pub of_instructions: Option<f64>,
    /// Share of the peak of a large product in this element type.
    pub of_product: Option<f64>,
}

impl Speed {
    /// Of calls on `batch` images that took `seconds`. None without a single time.
    pub fn of(seconds: &[f64], batch: usize, macs: u64, peak: Option<Peak>) -> Option<Self> {
        let times = Summary::of(seconds)?;
        let images = times.inverted(|t| batch as f64 / t);
        let gmacs = (macs > 0).then(|| macs as f64 / times.median / 1e9);
        let gflops = gmacs.map(|gmacs| 2.0 * gmacs);
        let share = |peak: f64| gflops.filter(|_| peak > 0.0).map(|gflops| gflops * 1e9 / peak);
        Some(Self {
            images,
            milliseconds: 1e3 * times.median / batch as f64,
            gmacs,
            gflops,
            of_instructions: peak.and_then(|p| p.instructions).and_then(share),
            of_product: peak.and_then(|p| share(p.product)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_derived_from_times_operations_and_peaks() {
        let peak = Peak { instructions: Some(4e9), product: 2e9 };
        let speed = Speed::of(&[2.0, 2.0, 2.0], 4, 1_000_000_000, Some(peak)).unwrap();
        assert_eq!((speed.images.median, speed.milliseconds), (2.0, 500.0));
        assert_eq!((speed.gmacs, speed.gflops), (Some(0.5), Some(1.0)));
        assert_eq!((speed.of_instructions, speed.of_product), (Some(0.25), Some(0.5)));
    }

    #[test]
    fn what_is_not_known_is_not_invented() {
        assert_eq!(Speed::of(&[], 1, 1, None), None);
        let speed = Speed::of(&[1.0], 1, 0, Some(Peak { instructions: None, product: 1.0 })).unwrap();
        assert_eq!((speed.gmacs, speed.of_product, speed.of_instructions), (None, None, None));
    }
}
