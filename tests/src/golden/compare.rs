//! How far two tensors are apart.

use candle_core::{DType, Tensor};

/// The distance of a tensor from the expected one.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `max|Δ|`; NaN where either tensor has one.
    pub max: f64,
    /// Root mean square of the expected tensor.
    pub rms: f64,
    /// Root mean square of the difference.
    pub off: f64,
    /// Index of the largest difference.
    pub worst: Vec<usize>,
    /// What came out there, and what should have.
    pub values: (f64, f64),
}

impl Difference {
    /// `max|Δ| / rms`.
    pub fn relative(&self) -> f64 {
        self.max / self.rms
    }

    /// Whether the tensors agree to `bound · rms`. Never true for NaN, nor for an expected tensor of zeros,
    /// which would prove nothing.
    pub fn within(&self, bound: f64) -> bool {
        self.rms > 0.0 && self.max <= bound * self.rms
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (got, expected) = self.values;
        write!(
            f,
            "max|Δ| {:.2e}, rms {:.2e}, ratio {:.2e}; worst at {:?}: {got} instead of {expected}",
            self.max,
            self.rms,
            self.relative(),
            self.worst
        )
    }
}

/// Compares in f64.
///
/// # Errors
/// Different shapes, or a tensor that cannot be read.
pub fn compare(got: &Tensor, expected: &Tensor) -> Result<Difference, String> {
    if got.dims() != expected.dims() {
        return Err(format!("shape {:?} instead of {:?}", got.dims(), expected.dims()));
    }
    let (a, b) = (values(got)?, values(expected)?);
    // NaN counts as the largest difference of all.
    let gap = |i: usize| Some((a[i] - b[i]).abs()).filter(|d| !d.is_nan()).unwrap_or(f64::INFINITY);
    let worst = (0..a.len()).max_by(|&i, &j| gap(i).total_cmp(&gap(j))).ok_or("the tensor is empty")?;
    let root = |squares: f64| (squares / b.len() as f64).sqrt();
    Ok(Difference {
        max: (a[worst] - b[worst]).abs(),
        rms: root(b.iter().map(|b| b * b).sum()),
        off: root(a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum()),
        worst: unravel(worst, got.dims()),
        values: (a[worst], b[worst]),
    })
}

fn values(tensor: &Tensor) -> Result<Vec<f64>, String> {
    let flat = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1());
    flat.map_err(|e| e.to_string())
}

fn unravel(mut flat: usize, dims: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = dims.iter().rev().map(|&d| (flat % d, flat /= d).0).collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (2, values.len() / 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn finds_the_worst_element() {
        let d = compare(&tensor(&[1., 2., 3., 4.5]), &tensor(&[1., 2., 3., 4.])).unwrap();
        assert_eq!((d.max, d.worst.as_slice(), d.values), (0.5, &[1, 1][..], (4.5, 4.0)));
        assert_eq!((d.rms, d.off), (7.5f64.sqrt(), 0.25));
        assert!(!d.within(1e-4) && d.within(0.2));
    }

    #[test]
    fn nan_and_zeros_never_pass() {
        let nan = compare(&tensor(&[1., f32::NAN, 3., 4.]), &tensor(&[1., 2., 3., 4.])).unwrap();
        assert!(!nan.within(1e9));
        assert_eq!(nan.worst, [0, 1]);
        assert!(!compare(&tensor(&[0.; 4]), &tensor(&[0.; 4])).unwrap().within(1.0));
    }

    #[test]
    fn shapes_must_agree() {
        let message = compare(&tensor(&[1., 2.]), &tensor(&[1., 2., 3., 4.])).unwrap_err();
        assert_eq!(message, "shape [2, 1] instead of [2, 2]");
    }
}
