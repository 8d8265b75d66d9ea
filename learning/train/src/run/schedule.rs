//! Rates over time.

use std::f64::consts::PI;

use crate::recipe::Shape;

/// What rates are multiplied by in step `step`, from 0, of `steps`: from 0 up to 1 in the share `warmup` of them, then
/// as `shape` says. (`get_scheduler` of transformers, which the reference calls: the first step of a warm-up has the
/// rate 0.)
pub fn factor(shape: Shape, warmup: f64, step: usize, steps: usize) -> f64 {
    let rising = (steps as f64 * warmup).ceil() as usize;
    if step < rising {
        return step as f64 / rising as f64;
    }
    let done = (step - rising) as f64 / (steps.saturating_sub(rising)).max(1) as f64;
    match shape {
        Shape::Constant => 1.0,
        Shape::Linear => (1.0 - done).max(0.0),
        Shape::Cosine => (0.5 * (1.0 + (PI * done).cos())).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[get_scheduler(…)[0].lr_lambdas[0](s) for s in range(…)]` of transformers 5.23.
    #[test]
    fn factors_are_those_of_the_reference() {
        let of = |shape, warmup, steps: usize| -> Vec<f64> {
            (0..steps).map(|step| factor(shape, warmup, step, steps)).collect()
        };
        let near = |got: Vec<f64>, expected: &[f64]| {
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-12, "{got} {expected}");
            }
        };
        let root = 2f64.sqrt() / 4.0;
        near(
            of(Shape::Cosine, 0.2, 10),
            &[
                0.0,
                0.5,
                1.0,
                0.5 * (1.0 + (PI / 8.0).cos()),
                0.5 + root,
                0.5 * (1.0 + (PI * 3.0 / 8.0).cos()),
                0.5,
                0.5 * (1.0 - (PI * 3.0 / 8.0).cos()),
                0.5 - root,
                0.5 * (1.0 - (PI / 8.0).cos()),
            ],
        );
        // Three of ten, rounded up, warm up.
        near(
            of(Shape::Linear, 0.25, 10),
            &[
                0.0,
                1.0 / 3.0,
                2.0 / 3.0,
                1.0,
                6.0 / 7.0,
                5.0 / 7.0,
                4.0 / 7.0,
                3.0 / 7.0,
                2.0 / 7.0,
                1.0 / 7.0,
            ],
        );
        near(of(Shape::Constant, 0.5, 4), &[0.0, 0.5, 1.0, 1.0]);
        near(of(Shape::Cosine, 0.0, 1), &[1.0]);
    }
}
