//! What repeated measurements say together.

use serde::{Deserialize, Serialize};

/// Median and quartiles: unlike mean and deviation, they do not care how slow the slowest run was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// A quarter of the values are below.
    pub low: f64,
    /// Half of the values are below.
    pub median: f64,
    /// A quarter of the values are above.
    pub high: f64,
}

impl Summary {
    /// Of `values` in any order; none for no values. Between two values, quartiles are interpolated.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |share: f64| {
            let position = share * last as f64;
            let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
            below + (above - below) * position.fract()
        };
        Some(Self { low: at(0.25), median: at(0.5), high: at(0.75) })
    }

    /// Of `f(value)` where `f` falls: a speed of a time. Low and high change places.
    #[must_use]
    pub fn inverted(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.high), median: f(self.median), high: f(self.low) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated() {
        let of = |values: &[f64]| Summary::of(values).map(|s| [s.low, s.median, s.high]);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some([3.0, 3.0, 3.0]));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]), Some([1.75, 2.5, 3.25]));
        assert_eq!(of(&[9.0, 1.0, 2.0, 3.0, 4.0]), Some([2.0, 3.0, 4.0]));
    }

    #[test]
    fn a_long_time_is_a_low_speed() {
        let times = Summary { low: 1.0, median: 2.0, high: 4.0 };
        assert_eq!(times.inverted(|t| 1.0 / t), Summary { low: 0.25, median: 0.5, high: 1.0 });
    }
}
