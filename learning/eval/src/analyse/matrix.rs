//! Correlations, clusters and principal components of benchmarks.

use serde::Serialize;

/// Pearson's correlation of each pair of columns.
pub fn correlations(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let standard: Vec<Vec<f64>> = columns.iter().map(|column| standardised(column)).collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() / a.len() as f64;
    standard.iter().map(|a| standard.iter().map(|b| product(a, b)).collect()).collect()
}

/// With mean 0 and variance 1.
fn standardised(column: &[f64]) -> Vec<f64> {
    let n = column.len() as f64;
    let mean = column.iter().sum::<f64>() / n;
    let deviation = (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    column.iter().map(|v| if deviation > 0.0 { (v - mean) / deviation } else { 0.0 }).collect()
}

/// Two clusters that become one. Those below the number of columns are columns; later ones are earlier merges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Merge {
    /// The first.
    pub a: usize,
    /// The second.
    pub b: usize,
    /// Their distance: 1 less the mean correlation of their members.
    pub distance: f64,
}

/// Average linkage on 1 - r: the nearest two clusters are joined until one is left.
pub fn cluster(correlations: &[Vec<f64>]) -> Vec<Merge> {
    let n = correlations.len();
    let mut clusters: Vec<(usize, Vec<usize>)> = (0..n).map(|i| (i, vec![i])).collect();
    let mut merges = Vec::new();
    while clusters.len() > 1 {
        let mut best: Option<(f64, usize, usize)> = None;
        for i in 0..clusters.len() {
            for j in i + 1..clusters.len() {
                let (a, b) = (&clusters[i].1, &clusters[j].1);
                let sum: f64 = a.iter().flat_map(|x| b.iter().map(|y| 1.0 - correlations[*x][*y])).sum();
                let distance = sum / (a.len() * b.len()) as f64;
                if best.is_none_or(|(known, ..)| distance < known) {
                    best = Some((distance, i, j));
                }
            }
        }
        let Some((distance, i, j)) = best else { break };
        let (b, of_b) = clusters.remove(j);
        let (a, of_a) = std::mem::take(&mut clusters[i]);
        clusters[i] = (n + merges.len(), [of_a, of_b].concat());
        merges.push(Merge { a, b, distance });
    }
    merges
}

/// The columns in the order of the tree: members of a cluster stand together.
pub fn order(merges: &[Merge]) -> Vec<usize> {
    let n = merges.len() + 1;
    let mut out = Vec::new();
    let mut waiting = vec![n + merges.len().saturating_sub(1)];
    if merges.is_empty() {
        return vec![0];
    }
    while let Some(node) = waiting.pop() {
        match node.checked_sub(n).and_then(|at| merges.get(at)) {
            Some(merge) => waiting.extend([merge.b, merge.a]),
            None => out.push(node),
        }
    }
    out
}

/// The clusters that are left when joining ends at `count`, each in the order of columns.
pub fn cut(merges: &[Merge], count: usize) -> Vec<Vec<usize>> {
    let n = merges.len() + 1;
    let mut clusters: Vec<Option<Vec<usize>>> = (0..n).map(|i| Some(vec![i])).collect();
    for merge in merges.iter().take(n.saturating_sub(count.max(1))) {
        let mut joined = clusters[merge.a].take().unwrap_or_default();
        joined.extend(clusters[merge.b].take().unwrap_or_default());
        joined.sort_unstable();
        clusters.push(Some(joined));
    }
    let mut left: Vec<Vec<usize>> = clusters.into_iter().flatten().collect();
    left.sort();
    left
}

/// A principal component of the benchmarks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// The share of the variance that it explains.
    pub share: f64,
    /// What each benchmark is on it: the eigenvector times the root of its eigenvalue, so its correlation with the component.
    pub loadings: Vec<f64>,
}

/// The first `count` principal components of standardised columns, from their correlations. The sign is such that most
/// loadings are positive.
pub fn components(correlations: &[Vec<f64>], count: usize) -> Vec<Component> {
    let n = correlations.len();
    let (values, vectors) = eigen(correlations);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let component = |at: usize| {
        let scale = values[at].max(0.0).sqrt();
        let sum: f64 = vectors.iter().map(|row| row[at]).sum();
        let sign = if sum < 0.0 { -1.0 } else { 1.0 };
        Component {
            share: values[at] / n as f64,
            loadings: vectors.iter().map(|row| sign * scale * row[at]).collect(),
        }
    };
    order.into_iter().take(count).map(component).collect()
}

/// Eigenvalues and eigenvectors (as columns) of a symmetric matrix, by Jacobi's rotations.
fn eigen(matrix: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    const SWEEPS: usize = 64;
    let n = matrix.len();
    let mut a = matrix.to_vec();
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        if off < 1e-24 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    let (x, y) = (row[p], row[q]);
                    (row[p], row[q]) = (c * x - s * y, s * x + c * y);
                }
                let (row_p, row_q) = (a[p].clone(), a[q].clone());
                for k in 0..n {
                    a[p][k] = c * row_p[k] - s * row_q[k];
                    a[q][k] = s * row_p[k] + c * row_q[k];
                }
                for row in &mut vectors {
                    let (x, y) = (row[p], row[q]);
                    (row[p], row[q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..n).map(|i| a[i][i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_are_those_of_their_matrix() {
        let matrix = vec![vec![2.0, -1.0, 0.3], vec![-1.0, 2.0, 0.7], vec![0.3, 0.7, 1.0]];
        let (values, vectors) = eigen(&matrix);
        for k in 0..3 {
            for i in 0..3 {
                let product: f64 = (0..3).map(|j| matrix[i][j] * vectors[j][k]).sum();
                assert!((product - values[k] * vectors[i][k]).abs() < 1e-10);
            }
        }
        assert!((values.iter().sum::<f64>() - 5.0).abs() < 1e-10);
    }

    #[test]
    fn benchmarks_that_measure_the_same_stand_together() {
        // Two pairs that go together, and against one another.
        let columns = [
            vec![1.0, 2.0, 3.0, 4.0, 5.0],
            vec![9.0, 7.0, 6.0, 3.0, 1.0],
            vec![1.1, 2.2, 2.9, 4.2, 5.0],
            vec![8.0, 7.5, 5.0, 4.0, 1.5],
        ];
        let r = correlations(&columns);
        assert!((r[0][0] - 1.0).abs() < 1e-12 && r[0][2] > 0.99 && r[0][1] < -0.9);
        let merges = cluster(&r);
        assert_eq!(cut(&merges, 2), [vec![0, 2], vec![1, 3]]);
        assert_eq!(cut(&merges, 4).len(), 4);
        let mut all = order(&merges);
        assert!(all.windows(2).any(|w| w == [0, 2] || w == [2, 0]), "{all:?}");
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        let parts = components(&r, 4);
        assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(parts[0].share > 0.9 && parts[0].loadings[0] * parts[0].loadings[1] < 0.0);
    }
}
