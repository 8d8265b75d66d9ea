//! A mean over seeds with its interval.

use serde::Serialize;

/// Two-sided quantiles of 95 % of Student's distribution for 1, 2, … degrees of freedom; beyond, the normal one.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// A mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The interval of 95 % by Student's distribution; none of a single seed, of which nothing can be said.
    pub interval: Option<(f64, f64)>,
    /// Seeds.
    pub seeds: usize,
}

impl Estimate {
    /// Of one value for each seed; none of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let seeds = values.len();
        if seeds == 0 {
            return None;
        }
        let n = seeds as f64;
        let mean = values.iter().sum::<f64>() / n;
        let interval = (seeds > 1).then(|| {
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let quantile = STUDENT.get(seeds - 2).copied().unwrap_or(1.960);
            let half = quantile * (variance / n).sqrt();
            (mean - half, mean + half)
        });
        Some(Self { mean, interval, seeds })
    }

    /// As text: `51.2 (48.0 to 54.4)`.
    pub fn text(&self) -> String {
        match self.interval {
            Some((low, high)) => format!("{:.1} ({low:.1} to {high:.1})", self.mean),
            None => format!("{:.1} (one seed)", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_students() {
        // scipy.stats.t.interval(0.95, 2, loc=2, scale=scipy.stats.sem([1, 2, 3]))
        let (low, high) = Estimate::of(&[1.0, 2.0, 3.0]).and_then(|found| found.interval).unwrap();
        assert!((low + 0.484_138).abs() < 1e-3 && (high - 4.484_138).abs() < 1e-3, "{low} {high}");
        assert_eq!(Estimate::of(&[4.0]).unwrap().interval, None);
        assert_eq!(Estimate::of(&[]), None);
    }
}
