//! Backward passes against formulas in f64, and these against central differences.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::ops::Range;

use common::levels::levels;
use common::noise;
use half::bf16;
use zoo_kernels::{
    Activation, Attention, AttentionGradient, AttentionSize, Bias, Decomposed, Depthwise, Element, Epilogue,
    FineGrid, Gated, Heads, LocalAttention, LocalGradients, Maps, Norm, NormGradients, NormKind, Packed,
    sum_per_key,
};

fn wide<T: Element>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| f64::from(x.widen())).collect()
}

/// The slopes of `value` along every number of `x`.
fn differences(x: &[f64], value: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let (at, step) = (x[i], 1e-5);
            let mut moved = |by| {
                x[i] = at + by;
                value(&x)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            x[i] = at;
            slope
        })
        .collect()
}

/// Within `tolerance` of the size of all, and of half a unit in the last place of each in bf16.
#[track_caller]
fn close<T: Element>(what: &str, got: &[T], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    // Where all is zero in exact arithmetic, that of rounding the numbers around it.
    let size = (want.iter().map(|x| x * x).sum::<f64>() / want.len().max(1) as f64).sqrt().max(1e-2);
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let rounding = if T::HALF { want.abs() / 250.0 } else { 0.0 };
        let apart = (f64::from(got.widen()) - want).abs();
        assert!(apart <= tolerance * size + rounding, "{what} at {i}: {got:?}, not {want}, size {size}");
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn products<T: Element>() {
    for isa in levels() {
        for (rows, outputs, inputs) in [(1, 3, 5), (13, 40, 64), (50, 33, 131), (7, 70, 2)] {
            let (matrix, x) = (noise::<T>(1, inputs * outputs), noise::<T>(2, rows * inputs));
            let turned = |x: &[T], columns: usize| -> Vec<T> {
                (0..x.len()).map(|i| x[i % (x.len() / columns) * columns + i / (x.len() / columns)]).collect()
            };
            let straight = Packed::at_most(isa, &turned(&matrix, outputs), outputs, inputs);
            let mut want = vec![T::round(0.0); rows * outputs];
            straight.apply(&x, &Epilogue::default(), &mut want);
            let back = Packed::at_most(isa, &matrix, inputs, outputs).transpose::<T>();
            let transposed = Packed::transposed_at_most(isa, &matrix, outputs, inputs);
            for (name, packed) in [("transposed", &transposed), ("panels transposed", &back)] {
                let mut got = vec![T::round(f32::NAN); want.len()];
                packed.apply(&x, &Epilogue::default(), &mut got);
                assert_eq!(wide(&got), wide(&want), "{isa:?} {name}: {rows} {outputs} {inputs}");
                packed.apply_transposed(&turned(&x, inputs), &Epilogue::default(), &mut got);
                assert_eq!(wide(&got), wide(&want), "{isa:?} {name} twice: {rows} {outputs} {inputs}");
            }
        }
    }
}

#[test]
fn transposed_factors_give_the_bits_of_the_others() {
    products::<f32>();
    products::<bf16>();
}

fn norms<T: Element>(kind: NormKind, rows: usize, channels: usize) {
    let (x, gradient, plus) =
        (noise::<T>(1, rows * channels), noise::<T>(2, rows * channels), noise::<T>(3, rows * channels));
    let (weight, bias) = (noise::<T>(4, channels), noise::<T>(5, channels));
    let norm = Norm { kind, weight: &weight, bias: Some(&bias), eps: 1e-3 };
    let mut out = vec![T::round(f32::NAN); x.len()];
    let (mut to_weight, mut to_bias) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
    let parameters = NormGradients { weight: &mut to_weight, bias: Some(&mut to_bias) };
    norm.gradient(&x, &gradient, Some(&plus), Some(parameters), &mut out);
    let cotangent = wide(&gradient);
    let value = |x: &[f64], weight: &[f64], bias: &[f64]| -> f64 {
        let mut total = 0.0;
        for (x, g) in x.chunks(channels).zip(cotangent.chunks(channels)) {
            let mean = if kind == NormKind::Layer { x.iter().sum::<f64>() / channels as f64 } else { 0.0 };
            let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
            for (i, g) in g.iter().enumerate() {
                total += g * ((x[i] - mean) / (square + 1e-3).sqrt() * weight[i] + bias[i]);
            }
        }
        total
    };
    let (x, weight, bias) = (wide(&x), wide(&weight), wide(&bias));
    let want: Vec<f64> =
        differences(&x, |x| value(x, &weight, &bias)).iter().zip(wide(&plus)).map(|(a, b)| a + b).collect();
    let what = format!("{kind:?} {rows} by {channels}");
    close(&what, &out, &want, 1e-5);
    close(&what, &to_weight, &differences(&weight, |weight| value(&x, weight, &bias)), 1e-5);
    close(&what, &to_bias, &differences(&bias, |bias| value(&x, &weight, bias)), 1e-5);
}

#[test]
fn norms_of_every_length() {
    for kind in [NormKind::Layer, NormKind::Rms] {
        for (rows, channels) in [(1, 2), (5, 31), (3, 64), (130, 3), (2, 100)] {
            norms::<f32>(kind, rows, channels);
            norms::<bf16>(kind, rows, channels);
        }
    }
}

#[test]
fn gates() {
    for activation in Activation::ALL {
        for (rows, width) in [(1, 3), (5, 70)] {
            let (gate, up) = (noise::<f32>(1, rows * width), noise::<f32>(2, rows * width));
            let gradient = noise::<f32>(3, rows * width);
            let gated = Gated { activation, gate: &gate, up: &up, width, step: width };
            let (mut to_gate, mut to_up) = (vec![f32::NAN; gate.len()], vec![f32::NAN; up.len()]);
            gated.gradient(&gradient, &mut to_gate, &mut to_up);
            let value = |gate: &[f64], up: &[f64]| {
                (0..gate.len())
                    .map(|i| activation_f64(activation, gate[i]) * up[i] * f64::from(gradient[i]))
                    .sum()
            };
            let (g, u) = (wide(&gate), wide(&up));
            close("gate", &to_gate, &differences(&g, |g| value(g, &u)), 1e-5);
            close("up", &to_up, &differences(&u, |u| value(&g, u)), 1e-5);
            // The same numbers, a row of one after a row of the other.
            let both: Vec<f32> =
                gate.chunks(width).zip(up.chunks(width)).flat_map(|(a, b)| [a, b].concat()).collect();
            let joint = Gated { activation, gate: &both, up: &both[width..], width, step: 2 * width };
            let mut to_both = vec![f32::NAN; both.len()];
            joint.gradient_joint(&gradient, &mut to_both);
            let want: Vec<f32> =
                to_gate.chunks(width).zip(to_up.chunks(width)).flat_map(|(a, b)| [a, b].concat()).collect();
            assert_eq!(to_both, want);
            let mut alone = vec![f32::NAN; gate.len()];
            activation.gradient(&gate, &gradient, &mut alone);
            let value = |x: &[f64]| {
                (0..x.len()).map(|i| activation_f64(activation, x[i]) * f64::from(gradient[i])).sum()
            };
            close("activation", &alone, &differences(&g, value), 1e-5);
        }
    }
}

/// In f64: differences of single numbers would drown in their rounding.
fn activation_f64(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::GeluErf => {
            let y = x / std::f64::consts::SQRT_2;
            let (mut term, mut sum, mut n) = (y, y, 0.0);
            while term.abs() > 1e-18 * sum.abs() {
                n += 1.0;
                term *= 2.0 * y * y / (2.0 * n + 1.0);
                sum += term;
            }
            0.5 * x * (1.0 + std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp() * sum)
        }
        Activation::GeluTanh => {
            x * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3)))
        }
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Silu => x * sigmoid(x),
    }
}

struct Case {
    size: AttentionSize,
    scale: f32,
    sight: Option<Vec<Range<usize>>>,
    /// Rows and columns of a grid of keys.
    grid: Option<(usize, usize)>,
}

/// Queries, keys, values, rows and columns of the bias: what there is a gradient of.
type Parts = [Vec<f64>; 5];

impl Case {
    fn sees(&self, image: usize, query: usize, key: usize) -> bool {
        self.sight.as_ref().is_none_or(|sight| {
            let at = if sight.len() == self.size.queries { query } else { image * self.size.queries + query };
            sight[at].contains(&key)
        })
    }

    fn bias(&self, parts: &Parts, row: usize, key: usize) -> f64 {
        self.grid.map_or(0.0, |(h, w)| parts[3][row * h + key / w] + parts[4][row * w + key % w])
    }

    /// Calls `visit` with the image, the heads of query and key, the query and its weights.
    fn weights(&self, parts: &Parts, mut visit: impl FnMut([usize; 4], &[f64])) {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.size;
        for image in 0..batch {
            for (head, query) in (0..heads).flat_map(|head| (0..queries).map(move |query| (head, query))) {
                let key_head = head / (heads / key_heads);
                let q = &parts[0][((image * queries + query) * heads + head) * channels..][..channels];
                let row = (image * heads + head) * queries + query;
                let mut weights: Vec<f64> = (0..keys)
                    .map(|key| {
                        let k =
                            &parts[1][((image * keys + key) * key_heads + key_head) * channels..][..channels];
                        let score = f64::from(self.scale) * dot(q, k) + self.bias(parts, row, key);
                        if self.sees(image, query, key) { score.exp() } else { 0.0 }
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                weights.iter_mut().for_each(|w| *w /= if total == 0.0 { 1.0 } else { total });
                visit([image, head, key_head, query], &weights);
            }
        }
    }

    fn value(&self, parts: &Parts, cotangent: &[f64]) -> f64 {
        let AttentionSize { queries, keys, heads, key_heads, channels, .. } = self.size;
        let mut total = 0.0;
        self.weights(parts, |[image, head, key_head, query], weights| {
            let g = &cotangent[((image * queries + query) * heads + head) * channels..][..channels];
            for (key, weight) in weights.iter().enumerate() {
                let v = &parts[2][((image * keys + key) * key_heads + key_head) * channels..][..channels];
                total += weight * dot(g, v);
            }
        });
        total
    }

    /// From what was computed, if it was rounded.
    fn gradients(&self, parts: &Parts, cotangent: &[f64], out: Option<&[f64]>) -> Parts {
        let AttentionSize { queries, keys, heads, key_heads, channels, .. } = self.size;
        let mut to = parts.each_ref().map(|part| vec![0.0; part.len()]);
        self.weights(parts, |[image, head, key_head, query], weights| {
            let q = ((image * queries + query) * heads + head) * channels;
            let g = &cotangent[q..][..channels];
            let at = |key: usize| ((image * keys + key) * key_heads + key_head) * channels;
            let slopes: Vec<f64> = (0..keys).map(|key| dot(g, &parts[2][at(key)..][..channels])).collect();
            let level = out.map_or_else(|| dot(&slopes, weights), |out| dot(g, &out[q..][..channels]));
            let row = (image * heads + head) * queries + query;
            for (key, (weight, slope)) in weights.iter().zip(&slopes).enumerate() {
                let slope = weight * (slope - level);
                if let Some((h, w)) = self.grid {
                    to[3][row * h + key / w] += slope;
                    to[4][row * w + key % w] += slope;
                }
                let slope = slope * f64::from(self.scale);
                for (c, g) in g.iter().enumerate() {
                    to[0][q + c] += slope * parts[1][at(key) + c];
                    to[1][at(key) + c] += slope * parts[0][q + c];
                    to[2][at(key) + c] += weight * g;
                }
            }
        });
        to
    }

    fn check<T: Element>(&self) {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.size;
        let (all, shared) = (batch * queries * heads * channels, batch * keys * key_heads * channels);
        let (q, k, v) = (noise::<T>(1, all), noise::<T>(2, shared), noise::<T>(3, shared));
        let (h, w) = self.grid.unwrap_or((0, 0));
        let one = batch * heads * queries;
        let (rows, columns) = (noise::<f32>(4, one * h), noise::<f32>(5, one * w));
        let gradient = noise::<T>(6, all);
        let of = |values, tokens: usize, heads: usize| Heads {
            values,
            batch: tokens * heads * channels,
            token: heads * channels,
            head: channels,
        };
        let grid = self.grid.map(|grid| Decomposed { prefix: 0, grid, rows: &rows, columns: &columns });
        let attention = Attention {
            size: self.size,
            q: of(&q, queries, heads),
            k: of(&k, keys, key_heads),
            v: of(&v, keys, key_heads),
            scale: self.scale,
            bias: grid.map(Bias::Decomposed),
            sight: self.sight.as_deref(),
        };
        let (mut out, mut logs) = (vec![T::round(f32::NAN); all], vec![f32::NAN; one]);
        attention.apply_kept(&mut out, &mut logs);
        let mut plain = vec![T::round(f32::NAN); all];
        attention.apply(&mut plain);
        assert_eq!(wide(&out), wide(&plain), "what is kept changes nothing");
        let parts = [wide(&q), wide(&k), wide(&v), wide(&rows), wide(&columns)];
        let rounded = wide(&out);
        let want = self.gradients(&parts, &wide(&gradient), T::HALF.then_some(&rounded[..]));
        let backward = AttentionGradient { attention, out: &out, logs: &logs, gradient: &gradient };
        let mut apart = [all, shared, shared].map(|count| vec![T::round(f32::NAN); count]);
        let mut bias = [vec![f32::NAN; rows.len()], vec![f32::NAN; columns.len()]];
        let [to_q, to_k, to_v] = &mut apart;
        let [to_rows, to_columns] = &mut bias;
        let to_bias = self.grid.map(|_| [&mut to_rows[..], &mut to_columns[..]]);
        backward.apply(to_q, to_k, to_v, to_bias);
        let tolerance = if T::HALF { 1e-3 } else { 2e-5 };
        for (i, name) in ["q", "k", "v"].into_iter().enumerate() {
            close(&format!("{name} of {:?}", self.size), &apart[i], &want[i], tolerance);
        }
        if self.grid.is_some() {
            close("rows", &bias[0], &want[3], tolerance);
            close("columns", &bias[1], &want[4], tolerance);
        }
        if queries != keys {
            return;
        }
        for isa in levels() {
            let token = (heads + 2 * key_heads) * channels;
            let mut joint = vec![T::round(f32::NAN); batch * queries * token];
            backward.apply_joint_at_most(isa, &mut joint, None);
            let part = |first: usize, count: usize| -> Vec<T> {
                joint
                    .chunks(token)
                    .flat_map(|row| row[first * channels..][..count * channels].to_vec())
                    .collect()
            };
            let parts = [part(0, heads), part(heads, key_heads), part(heads + key_heads, key_heads)];
            for (i, part) in parts.iter().enumerate() {
                close(&format!("{isa:?}, joint, {i} of {:?}", self.size), part, &want[i], tolerance);
            }
        }
    }
}

fn size(batch: usize, queries: usize, keys: usize, heads: usize, key_heads: usize) -> AttentionSize {
    AttentionSize { batch, queries, keys, heads, key_heads, channels: 8 }
}

#[test]
fn formulas_of_attention_are_those_of_differences() {
    let causal = Some((0..6).map(|i| 0..i + 1).collect());
    for (sight, grid) in [(None, None), (causal, None), (None, Some((2, 3)))] {
        let case = Case { size: size(2, 6, 6, 2, 1), scale: 0.7, sight, grid };
        let (h, w) = grid.unwrap_or((0, 0));
        let parts: Parts = [(1, 192), (2, 96), (3, 96), (4, 24 * h), (5, 24 * w)]
            .map(|(seed, count)| wide(&noise::<f32>(seed, count)));
        let cotangent = wide(&noise::<f32>(6, 192));
        let want = case.gradients(&parts, &cotangent, None);
        for (i, want) in want.iter().enumerate() {
            let slopes = differences(&parts[i], |moved| {
                let mut parts = parts.clone();
                parts[i] = moved.to_vec();
                case.value(&parts, &cotangent)
            });
            assert!(slopes.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-8), "part {i}");
        }
    }
}

#[test]
fn attention_in_all_its_forms() {
    let causal = |count: usize| Some((0..count).map(|i| 0..i + 1).collect::<Vec<_>>());
    // Two sequences one behind the other, with a window of 40, and a query that sees nothing.
    let packed = |count: usize| {
        let start = |i: usize| if i < count / 3 { 0 } else { count / 3 };
        let seen = |i: usize| if i == 5 { 0..0 } else { start(i).max((i + 1).saturating_sub(40))..i + 1 };
        Some((0..count).map(seen).collect::<Vec<_>>())
    };
    let mut cases = vec![
        (size(1, 1, 1, 1, 1), None, None),
        (size(2, 17, 17, 3, 3), None, None),
        (size(1, 130, 130, 2, 1), causal(130), None),
        (size(1, 210, 210, 4, 2), packed(210), None),
        (size(2, 5, 140, 2, 2), None, None),
        (size(2, 140, 33, 2, 1), None, None),
        (size(2, 15, 15, 2, 2), None, Some((3, 5))),
        (size(1, 132, 132, 1, 1), None, Some((11, 12))),
    ];
    // Rows that differ.
    cases.push((
        size(2, 9, 9, 1, 1),
        Some((0..18).map(|i| i % 9 / 2..i % 9 + 1 - i / 9 * (i % 2)).collect()),
        None,
    ));
    for channels in [8, 5, 20, 64] {
        for (size, sight, grid) in &cases {
            let size = AttentionSize { channels, ..*size };
            let case = Case { size, scale: 1.3, sight: sight.clone(), grid: *grid };
            case.check::<f32>();
            if channels == 20 {
                case.check::<bf16>();
            }
        }
    }
}

#[test]
fn windows_under_a_query() {
    let (images, grid, heads, width) = (2, (2, 3), 2, 6);
    let queries = images * 6;
    let sides = [1, 2];
    let keys = 5;
    let q = noise::<f32>(1, queries * width);
    let sources =
        sides.map(|m| [2, 3].map(|seed| noise::<f32>(seed + 10 * m as u32, queries * m * m * width)));
    let mut bias = noise::<f32>(5, queries * keys);
    bias[3] = f32::NEG_INFINITY;
    let gradient = noise::<f32>(6, queries * width);
    let grids: Vec<FineGrid<'_, f32>> =
        sides.iter().zip(&sources).map(|(&m, [keys, values])| FineGrid { m, keys, values }).collect();
    let attention =
        LocalAttention { images, grid, heads, queries: &q, scale: 0.8, sources: &grids, bias: Some(&bias) };
    let (mut out, mut weights) = (vec![0f32; q.len()], vec![0f32; queries * heads * keys]);
    attention.apply(&mut out, &mut weights);
    let mut to_q = vec![f32::NAN; q.len()];
    let mut to = sources.each_ref().map(|parts| parts.each_ref().map(|part| vec![f32::NAN; part.len()]));
    let slices = to.iter_mut().map(|[k, v]| [&mut k[..], &mut v[..]]).collect();
    attention.gradient(&weights, &gradient, LocalGradients { queries: &mut to_q, sources: slices });
    // All of it in one row, to be moved number by number.
    let all: Vec<f64> =
        wide(&q).into_iter().chain(sources.iter().flatten().flat_map(|part| wide(part))).collect();
    let value = |all: &[f64]| {
        let mut total = 0.0;
        for query in 0..queries {
            let (image, i, j) = (query / 6, query / 3 % 2, query % 3);
            for head in 0..heads {
                let part = |at: usize| &all[at * width..][head * 3..][..3];
                let mut seen = Vec::new();
                let (mut first, mut number) = (queries, 0);
                for m in sides {
                    let count = queries * m * m;
                    for (u, v) in (0..m).flat_map(|u| (0..m).map(move |v| (u, v))) {
                        let cell = ((image * 2 + i) * m + u) * 3 * m + j * m + v;
                        let bias = f64::from(bias[query * keys + number]);
                        let score = 0.8 * dot(part(query), part(first + cell)) + bias;
                        seen.push((score.exp(), first + count + cell));
                        number += 1;
                    }
                    first += 2 * count;
                }
                let sum: f64 = seen.iter().map(|(weight, _)| weight).sum();
                let g = wide(&gradient[query * width + head * 3..][..3]);
                total += seen.iter().map(|(weight, at)| weight / sum * dot(&g, part(*at))).sum::<f64>();
            }
        }
        total
    };
    let got: Vec<f32> = to_q.into_iter().chain(to.into_iter().flatten().flatten()).collect();
    close("windows", &got, &differences(&all, value), 1e-5);
}

#[test]
fn places_in_a_window() {
    let (images, columns, m, width) = (3, 4, 2, 19);
    let lines = images * 3 * m;
    let gradient = noise::<f32>(1, lines * columns * m * width);
    let mut got = vec![f32::NAN; m * m * width];
    sum_per_key(&gradient, columns, m, &mut got);
    let mut want = vec![0.0; got.len()];
    for (i, x) in gradient.iter().enumerate() {
        let (cell, c) = (i / width, i % width);
        want[(cell / (columns * m) % m * m + cell % m) * width + c] += f64::from(*x);
    }
    close("places", &got, &want, 1e-5);
}

#[test]
fn taps_of_depthwise_convolutions() {
    for (kernel, maps, channels) in [
        (3, Maps { images: 2, height: 4, width: 5 }, 18),
        (7, Maps { images: 1, height: 3, width: 9 }, 4),
        (1, Maps { images: 1, height: 2, width: 2 }, 16),
    ] {
        let Maps { images, height, width } = maps;
        let count = images * height * width * channels;
        let (x, gradient) = (noise::<f32>(1, count), noise::<f32>(2, count));
        let mut got = vec![f32::NAN; channels * kernel * kernel];
        Depthwise::tap_gradients(kernel, &x, &gradient, maps, &mut got);
        let mut want = vec![0.0; got.len()];
        for (image, i, j) in
            (0..images * height * width).map(|p| (p / (height * width), p / width % height, p % width))
        {
            for (u, v) in (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel)) {
                let (y, z) = ((i + u).wrapping_sub(kernel / 2), (j + v).wrapping_sub(kernel / 2));
                if y < height && z < width {
                    for c in 0..channels {
                        let at = |i, j| ((image * height + i) * width + j) * channels + c;
                        want[(c * kernel + u) * kernel + v] +=
                            f64::from(x[at(y, z)]) * f64::from(gradient[at(i, j)]);
                    }
                }
            }
        }
        close(&format!("taps of {kernel}"), &got, &want, 1e-5);
    }
}
