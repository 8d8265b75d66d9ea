//! Intervals and tests, in closed form: no seed, no resampling, the same figures every time.

/// The normal quantile of a two-sided interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's interval of 95 % for a share of `n` items. For shares whose items are not just right or wrong it is wider
/// than need be, because nothing in [0, 1] varies more than right and wrong do.
pub fn wilson(share: f64, n: usize) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let n = n as f64;
    let z2 = Z * Z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}

/// An interval of 95 % around `value` by its variance.
pub fn normal(value: f64, variance: f64) -> (f64, f64) {
    let half = Z * variance.max(0.0).sqrt();
    (value - half, value + half)
}

/// The probability of a standard normal value at least as far from 0 as `z`, to 1e-7 (Abramowitz and Stegun 7.1.26).
pub fn two_sided(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let poly = series.iter().fold(0.0, |sum, factor| sum * t + factor) * t;
    (poly * (-x * x).exp()).clamp(0.0, 1.0)
}

/// McNemar's exact test: the probability, were both equally good, of a split at least as uneven as `wins` to `losses`.
pub fn exact_split(wins: usize, losses: usize) -> f64 {
    let n = wins + losses;
    if n == 0 {
        return 1.0;
    }
    let (low, n) = (wins.min(losses), n as f64);
    // The logarithm of each term, as 2^-n alone has no number for large n.
    let mut log_term = -n * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for k in 0..low {
        log_term += ((n - k as f64) / (k as f64 + 1.0)).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: f64, expected: f64, within: f64) {
        assert!((value - expected).abs() < within, "{value}, expected {expected}");
    }

    #[test]
    fn wilsons_interval_is_the_textbooks() {
        // statsmodels.stats.proportion.proportion_confint(k, n, method="wilson")
        for (right, n, low, high) in [
            (0, 10, 0.0, 0.277_532_8),
            (5, 10, 0.236_593_1, 0.763_406_9),
            (90, 100, 0.825_634_2, 0.944_770_8),
        ] {
            let (a, b) = wilson(f64::from(right) / f64::from(n), n as usize).unwrap();
            near(a, low, 1e-5);
            near(b, high, 1e-5);
        }
        assert_eq!(wilson(0.0, 0), None);
    }

    #[test]
    fn tails() {
        near(two_sided(1.959_963_984_540_054), 0.05, 1e-6);
        near(two_sided(0.0), 1.0, 1e-6);
        near(two_sided(-3.0), 0.002_699_796, 1e-6);
    }

    #[test]
    fn splits_are_binomial() {
        near(exact_split(0, 5), 0.0625, 1e-12);
        near(exact_split(8, 2), 0.109_375, 1e-12);
        near(exact_split(5, 5), 1.0, 1e-12);
        assert_eq!(exact_split(0, 0), 1.0);
        near(exact_split(2000, 2000), 1.0, 1e-9);
        assert!(exact_split(1000, 1200) < 0.001);
    }
}
