//! The first three principal components of a feature map.
//!
//! Subspace iteration on the centred token matrix, with a Rayleigh–Ritz step at its end: neither the `C × C`
//! covariance nor the `N × N` Gram matrix is formed, so 5760 channels cost no more memory than 384.

/// Components that a picture can show.
pub const COMPONENTS: usize = 3;
/// Vectors that are iterated: a few more than wanted, so that the wanted ones converge quickly.
const SUBSPACE: usize = 8;
/// Rounds at most.
const ROUNDS: usize = 60;
/// Relative change of the wanted variances at which iteration ends.
const TOLERANCE: f64 = 1e-7;
/// Tokens used for the fit at most; every `n`-th one of a larger map.
const FIT_TOKENS: usize = 2500;

/// Ends of a colour channel: a little inside the range of a screen, where colours are easier on the eye.
const DARKEST: f32 = 18.0;
const LIGHTEST: f32 = 246.0;

/// Axes of largest variance.
#[derive(Debug, Clone)]
pub struct Pca {
    mean: Vec<f32>,
    /// One unit vector of `C` channels per component, in order of variance. The channel with the largest absolute
    /// loading is positive, so that the same features always give the same colours.
    axes: Vec<Vec<f32>>,
}

impl Pca {
    /// Fits the rows of `tokens` (`[n, channels]`, row-major) for which `keep` holds; all rows when that leaves
    /// fewer than four.
    pub fn fit(tokens: &[f32], channels: usize, keep: impl Fn(usize) -> bool) -> Self {
        let all: Vec<&[f32]> = tokens.chunks_exact(channels.max(1)).collect();
        let mut rows: Vec<&[f32]> =
            all.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, row)| *row).collect();
        if rows.len() < 4 {
            rows = all;
        }
        let rows: Vec<&[f32]> =
            rows.iter().copied().step_by(rows.len().div_ceil(FIT_TOKENS).max(1)).collect();
        let mean = mean(&rows, channels);
        let centred: Vec<f32> =
            rows.iter().flat_map(|row| row.iter().zip(&mean).map(|(x, m)| x - m)).collect();
        Self { axes: leading(&centred, channels, rows.len()), mean }
    }

    /// Coordinates of each row of `tokens` along the axes; zero where the data has fewer than three dimensions.
    pub fn project(&self, tokens: &[f32]) -> Vec<[f32; COMPONENTS]> {
        tokens
            .chunks_exact(self.mean.len().max(1))
            .map(|row| {
                let centred: Vec<f32> = row.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
                std::array::from_fn(|k| self.axes.get(k).map_or(0.0, |axis| dot(&centred, axis)))
            })
            .collect()
    }
}

/// Coordinates as colours: the `k`-th component becomes the `k`-th channel, stretched between the 2nd and 98th
/// percentile of the rows for which `keep` holds, so that a few outliers do not wash the picture out.
pub fn colours(coordinates: &[[f32; COMPONENTS]], keep: impl Fn(usize) -> bool) -> Vec<[u8; 3]> {
    let ranges: [(f32, f32); COMPONENTS] = std::array::from_fn(|k| {
        let kept: Vec<f32> =
            coordinates.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, c)| c[k]).collect();
        if kept.is_empty() {
            percentiles(coordinates.iter().map(|c| c[k]).collect())
        } else {
            percentiles(kept)
        }
    });
    coordinates
        .iter()
        .map(|c| {
            std::array::from_fn(|k| {
                let (low, high) = ranges[k];
                // A component without spread is neither bright nor dark.
                let t = if high > low { (c[k] - low) / (high - low) } else { 0.5 };
                (DARKEST + t.clamp(0.0, 1.0) * (LIGHTEST - DARKEST)).round() as u8
            })
        })
        .collect()
}

/// 2nd and 98th percentile.
pub fn percentiles(mut values: Vec<f32>) -> (f32, f32) {
    values.retain(|v| v.is_finite());
    values.sort_by(f32::total_cmp);
    let at = |share: f64| {
        let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
        values.get(index).copied().unwrap_or(0.0)
    };
    (at(0.02), at(0.98))
}

fn mean(rows: &[&[f32]], channels: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; channels];
    for row in rows {
        sum.iter_mut().zip(*row).for_each(|(s, &x)| *s += f64::from(x));
    }
    sum.iter().map(|s| (s / rows.len().max(1) as f64) as f32).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight running sums: the compiler keeps them in one vector register.
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    let mut sums = [0.0_f32; 8];
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// Leading axes of centred data `[n, channels]`.
fn leading(centred: &[f32], channels: usize, n: usize) -> Vec<Vec<f32>> {
    let size = SUBSPACE.min(channels).min(n.saturating_sub(1));
    let mut basis: Vec<Vec<f32>> = (0..size).map(|k| start(k, channels)).collect();
    orthonormalise(&mut basis);
    let mut before = vec![0.0; COMPONENTS];
    for _ in 0..ROUNDS {
        let mut image = vec![vec![0.0_f32; channels]; basis.len()];
        for row in centred.chunks_exact(channels.max(1)) {
            for (axis, out) in basis.iter().zip(&mut image) {
                let y = dot(row, axis);
                out.iter_mut().zip(row).for_each(|(o, &x)| *o += y * x);
            }
        }
        let small: Vec<Vec<f64>> = basis
            .iter()
            .map(|a| image.iter().map(|b| f64::from(dot(a, b)) / n.max(1) as f64).collect())
            .collect();
        let (values, vectors) = jacobi(small);
        basis = rotate(&image, &vectors);
        let settled = values.iter().zip(&before).take(COMPONENTS).all(|(new, old): (&f64, &f64)| {
            (new - old).abs() <= TOLERANCE * values.first().copied().unwrap_or(0.0)
        });
        before = values;
        orthonormalise(&mut basis);
        if settled {
            break;
        }
    }
    basis.truncate(COMPONENTS);
    for axis in &mut basis {
        let peak = axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
        if peak < 0.0 {
            axis.iter_mut().for_each(|x| *x = -*x);
        }
    }
    basis
}

/// A fixed pseudo-random direction (SplitMix64), so that no picture depends on a seed.
fn start(k: usize, channels: usize) -> Vec<f32> {
    let mut state = (k as u64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03);
    (0..channels)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        })
        .collect()
}

/// Linear combinations of `rows` by the columns of `vectors`.
fn rotate(rows: &[Vec<f32>], vectors: &[Vec<f64>]) -> Vec<Vec<f32>> {
    (0..rows.len())
        .map(|k| {
            let mut out = vec![0.0_f32; rows.first().map_or(0, Vec::len)];
            for (row, weights) in rows.iter().zip(vectors) {
                out.iter_mut().zip(row).for_each(|(o, x)| *o += weights[k] as f32 * x);
            }
            out
        })
        .collect()
}

/// Modified Gram–Schmidt, twice for stability; directions that vanish are dropped.
fn orthonormalise(basis: &mut Vec<Vec<f32>>) {
    let mut done: Vec<Vec<f32>> = Vec::with_capacity(basis.len());
    let scale = basis.iter().map(|v| dot(v, v).sqrt()).fold(0.0, f32::max);
    for mut vector in std::mem::take(basis) {
        for _ in 0..2 {
            for other in &done {
                let along = dot(&vector, other);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        if norm > scale * 1e-6 && norm > 0.0 {
            vector.iter_mut().for_each(|v| *v /= norm);
            done.push(vector);
        }
    }
    *basis = done;
}

/// Eigenvalues, largest first, and eigenvectors (as columns) of a small symmetric matrix by cyclic Jacobi
/// rotations.
fn jacobi(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.len();
    let mut v: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..30 {
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() < f64::MIN_POSITIVE {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
                for row in &mut v {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    let values = order.iter().map(|&i| a[i][i]).collect();
    let vectors = v.iter().map(|row| order.iter().map(|&i| row[i]).collect()).collect();
    (values, vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens spread along three known orthogonal directions with standard deviations 5, 3 and 1.
    fn cloud(n: usize, channels: usize) -> (Vec<f32>, Vec<Vec<f32>>) {
        let mut axes: Vec<Vec<f32>> = (0..3).map(|k| start(100 + k, channels)).collect();
        orthonormalise(&mut axes);
        let noise: Vec<Vec<f32>> = (0..3).map(|k| start(200 + k, n)).collect();
        let tokens = (0..n)
            .flat_map(|i| {
                let weights = [5.0, 3.0, 1.0].iter().zip(&noise).map(|(s, z)| s * z[i]).collect::<Vec<f32>>();
                (0..channels)
                    .map(|c| 7.0 + weights.iter().zip(&axes).map(|(w, a)| w * a[c]).sum::<f32>())
                    .collect::<Vec<f32>>()
            })
            .collect();
        (tokens, axes)
    }

    #[test]
    fn known_axes_are_found_in_order() {
        for (n, channels) in [(400, 24), (30, 200), (3000, 40)] {
            let (tokens, axes) = cloud(n, channels);
            let pca = Pca::fit(&tokens, channels, |_| true);
            for axis in &pca.axes {
                // Random weights are only nearly uncorrelated, so the span is exact and the axes are close.
                let inside: f32 = axes.iter().map(|a| dot(a, axis).powi(2)).sum();
                assert!((inside - 1.0).abs() < 1e-3, "{n}×{channels}: {inside}");
            }
            if n >= 400 {
                assert!(dot(&pca.axes[0], &axes[0]).abs() > 0.98);
            }
        }
    }

    #[test]
    fn projections_are_uncorrelated_and_ordered_by_variance() {
        let (tokens, _) = cloud(300, 16);
        let coordinates = Pca::fit(&tokens, 16, |_| true).project(&tokens);
        let moment = |a: usize, b: usize| {
            coordinates.iter().map(|c| f64::from(c[a]) * f64::from(c[b])).sum::<f64>() / 300.0
        };
        assert!(moment(0, 0) > moment(1, 1) && moment(1, 1) > moment(2, 2));
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            assert!(moment(a, b).abs() < 1e-3 * moment(2, 2), "{a} {b}: {}", moment(a, b));
        }
    }

    #[test]
    fn the_sign_is_fixed() {
        let (tokens, _) = cloud(200, 12);
        let flipped: Vec<f32> = tokens.iter().map(|x| -x).collect();
        let (a, b) = (Pca::fit(&tokens, 12, |_| true), Pca::fit(&flipped, 12, |_| true));
        for (x, y) in a.axes.iter().zip(&b.axes) {
            assert!(dot(x, y) > 0.999, "mirrored data must keep its axes");
        }
    }

    #[test]
    fn excluded_tokens_do_not_bend_the_axes() {
        let (mut tokens, _) = cloud(200, 12);
        let clean = Pca::fit(&tokens, 12, |_| true);
        tokens.extend((0..12).map(|c| if c == 3 { 1e4 } else { 0.0 }));
        let kept = Pca::fit(&tokens, 12, |i| i < 200);
        assert!(dot(&clean.axes[0], &kept.axes[0]) > 0.9999);
    }

    #[test]
    fn degenerate_maps_give_grey_not_nan() {
        let flat = Pca::fit(&[1.0; 50], 5, |_| true);
        assert_eq!(colours(&flat.project(&[1.0; 50]), |_| true), vec![[132, 132, 132]; 10]);
        let one = Pca::fit(&[1.0, 2.0], 2, |_| true);
        assert_eq!(one.project(&[1.0, 2.0]), vec![[0.0; 3]]);
    }

    #[test]
    fn outliers_do_not_set_the_range() {
        let mut values: Vec<[f32; 3]> = (0..100).map(|i| [i as f32, 0.0, 0.0]).collect();
        values[99][0] = 1e6;
        let colours = colours(&values, |_| true);
        assert!(colours[50][0] > 110 && colours[50][0] < 145, "{:?}", colours[50]);
    }
}
