//! Attention to windows beside the formula in f64.

use half::bf16;
use zoo_kernels::{Element, FineGrid, LocalAttention, add_per_key};

fn noise<T: Element>(count: usize, seed: usize) -> Vec<T> {
    (0..count).map(|i| T::round(((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)).collect()
}

fn check<T: Element>(
    images: usize,
    (h, w): (usize, usize),
    heads: usize,
    width: usize,
    windows: &[usize],
    masked: bool,
) {
    let n = images * h * w;
    let keys: usize = windows.iter().map(|m| m * m).sum();
    let tensors: Vec<[Vec<T>; 2]> = windows
        .iter()
        .enumerate()
        .map(|(k, m)| [noise(n * m * m * width, 2 * k + 2), noise(n * m * m * width, 2 * k + 3)])
        .collect();
    let sources: Vec<FineGrid<T>> =
        windows.iter().zip(&tensors).map(|(&m, [keys, values])| FineGrid { m, keys, values }).collect();
    let queries = noise::<T>(n * width, 1);
    let mut bias: Vec<f32> = noise(n * keys, 99);
    for (i, bias) in bias.iter_mut().enumerate() {
        if i % keys != 0 && i % 3 == 0 {
            *bias = f32::NEG_INFINITY;
        }
    }
    let bias = masked.then_some(&bias[..]);
    let attention = LocalAttention {
        images,
        grid: (h, w),
        heads,
        queries: &queries,
        scale: 0.3,
        sources: &sources,
        bias,
    };
    let (mut out, mut weights) = (vec![T::round(f32::NAN); n * width], vec![f32::NAN; n * heads * keys]);
    attention.apply(&mut out, &mut weights);

    let part = width / heads;
    for query in 0..n {
        let (image, i, j) = (query / (h * w), query / w % h, query % w);
        // Every key's source and first channel.
        let cells: Vec<(usize, usize)> = windows
            .iter()
            .enumerate()
            .flat_map(|(source, &m)| {
                (0..m * m).map(move |key| {
                    let (row, column) = (i * m + key / m, j * m + key % m);
                    (source, ((image * h * m + row) * w * m + column) * width)
                })
            })
            .collect();
        for head in 0..heads {
            let at = |t: &[T], start: usize, c: usize| f64::from(t[start + head * part + c].widen());
            let scores = cells.iter().enumerate().map(|(key, &(source, cell))| {
                let dot: f64 = (0..part)
                    .map(|c| at(&queries, query * width, c) * at(sources[source].keys, cell, c))
                    .sum();
                dot * 0.3 + bias.map_or(0.0, |bias| f64::from(bias[query * keys + key]))
            });
            let powers: Vec<f64> = scores.map(f64::exp).collect();
            let total: f64 = powers.iter().sum();
            let got = &weights[(query * heads + head) * keys..][..keys];
            for (got, power) in got.iter().zip(&powers) {
                assert!((f64::from(*got) - power / total).abs() < 1e-5);
            }
            for c in 0..part {
                let expected: f64 = cells
                    .iter()
                    .zip(&powers)
                    .map(|(&(source, cell), power)| power / total * at(sources[source].values, cell, c))
                    .sum();
                let got = f64::from(out[query * width + head * part + c].widen());
                let allowed = if T::HALF { 5e-3 } else { 1e-5 };
                assert!((got - expected).abs() < allowed, "query {query}, head {head}: {got} {expected}");
            }
        }
    }
}

#[test]
fn the_formula() {
    for masked in [false, true] {
        check::<f32>(2, (3, 2), 4, 24, &[1, 4, 2], masked);
        check::<bf16>(1, (2, 5), 2, 64, &[1, 1, 3], masked);
        check::<f32>(1, (1, 1), 1, 17, &[1], masked);
    }
    check::<f32>(1, (4, 4), 16, 256, &[1, 1, 1, 4], true);
}

#[test]
fn places_of_a_window_are_added_where_they_lie() {
    // Two rows of three windows of 2 × 2.
    let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let mut out = vec![0.0; 24];
    add_per_key(&x, &[100.0, 200.0, 300.0, 400.0], 3, 2, &mut out);
    let place = |cell: usize| [100.0, 200.0, 300.0, 400.0][cell / 6 % 2 * 2 + cell % 2];
    let expected: Vec<f32> = (0..24).map(|cell| cell as f32 + place(cell)).collect();
    assert_eq!(out, expected);
}
