//! Attention against f64, on every instruction set that the machine has, at sizes that do not fit the blocks.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::ops::Range;

use common::levels::levels;
use common::noise;
use half::bf16;
use zoo_kernels::{Attention, AttentionSize, Bias, Decomposed, Element, Heads, Isa};

struct Case<T> {
    size: AttentionSize,
    q: Vec<T>,
    k: Vec<T>,
    v: Vec<T>,
    scale: f32,
    bias: Option<Vec<f32>>,
    sight: Option<Vec<Range<usize>>>,
}

/// Queries, keys and channels of one head of one image.
fn size(queries: usize, keys: usize, channels: usize) -> AttentionSize {
    AttentionSize { batch: 1, queries, keys, heads: 1, key_heads: 1, channels }
}

impl<T: Element> Case<T> {
    /// Logits of about `spread`.
    fn new(size: AttentionSize, spread: f32) -> Self {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = size;
        Self {
            size,
            q: noise(1, batch * queries * heads * channels),
            k: noise(2, batch * keys * key_heads * channels),
            v: noise(3, batch * keys * key_heads * channels),
            scale: 3.0 * spread / (channels as f32).sqrt(),
            bias: None,
            sight: None,
        }
    }

    fn run(&self, isa: Isa) -> Vec<T> {
        self.run_with(|attention, out| {
            attention.apply_at_most(isa, out);
        })
    }

    fn run_few(&self) -> Vec<T> {
        self.run_with(|attention, out| {
            attention.apply_few(out);
        })
    }

    fn run_with(&self, apply: impl Fn(&Attention<'_, T>, &mut [T])) -> Vec<T> {
        self.run_biased(self.bias.as_deref().map(Bias::Dense), apply)
    }

    fn run_biased(&self, bias: Option<Bias<'_>>, apply: impl Fn(&Attention<'_, T>, &mut [T])) -> Vec<T> {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.size;
        let packed = |values, tokens: usize, heads: usize| Heads {
            values,
            batch: tokens * heads * channels,
            token: heads * channels,
            head: channels,
        };
        let mut out = vec![T::round(f32::NAN); batch * queries * heads * channels];
        let attention = Attention {
            size: self.size,
            q: packed(&self.q, queries, heads),
            k: packed(&self.k, keys, key_heads),
            v: packed(&self.v, keys, key_heads),
            scale: self.scale,
            bias,
            sight: self.sight.as_deref(),
        };
        apply(&attention, &mut out);
        out
    }

    fn exact(&self) -> Vec<f64> {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.size;
        let wide = |x: &[T]| x.iter().map(|x| f64::from(x.widen())).collect::<Vec<_>>();
        let mut out = Vec::new();
        for b in 0..batch {
            for i in 0..queries {
                for h in 0..heads {
                    let q = wide(&self.q[((b * queries + i) * heads + h) * channels..][..channels]);
                    let row = |x: &[T], key: usize| {
                        wide(
                            &x[((b * keys + key) * key_heads + h * key_heads / heads) * channels..]
                                [..channels],
                        )
                    };
                    let seen = match &self.sight {
                        None => 0..keys,
                        Some(sight) => {
                            sight[if sight.len() == queries { i } else { b * queries + i }].clone()
                        }
                    };
                    let score = |key: usize| {
                        let dot: f64 = q.iter().zip(row(&self.k, key)).map(|(q, k)| q * k).sum();
                        let bias = self.bias.as_ref().map_or(0.0, |bias| {
                            let head = if bias.len() == queries * keys { 0 } else { h };
                            f64::from(bias[(head * queries + i) * keys + key])
                        });
                        f64::from(self.scale) * dot + bias
                    };
                    let scores: Vec<f64> = seen.clone().map(score).collect();
                    let max = scores.iter().copied().fold(f64::MIN, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    let mut mixed = vec![0.0; channels];
                    for (key, weight) in seen.zip(weights) {
                        for (mixed, v) in mixed.iter_mut().zip(row(&self.v, key)) {
                            *mixed += weight / sum * v;
                        }
                    }
                    out.extend(mixed);
                }
            }
        }
        out
    }

    /// Values are in -1..1, so errors are absolute: of f32, or of weights and results that are rounded to bf16.
    #[track_caller]
    fn check(&self, isa: Isa) {
        let tolerance = if T::HALF { 6e-3 } else { 4e-6 };
        let exact = self.exact();
        for (out, way) in [(self.run(isa), "many"), (self.run_few(), "few")] {
            for (i, (got, want)) in out.into_iter().zip(&exact).enumerate() {
                let (got, size) = (got.widen(), self.size);
                let error = (f64::from(got) - want).abs();
                assert!(error <= tolerance, "{isa:?} {way} {size:?} at {i}: {got} for {want}");
            }
        }
    }
}

fn check_both(size: AttentionSize, change: impl Fn(&mut Option<Vec<f32>>, &mut Option<Vec<Range<usize>>>)) {
    for isa in levels() {
        let mut case = Case::<f32>::new(size, 1.0);
        change(&mut case.bias, &mut case.sight);
        case.check(isa);
        let mut case = Case::<bf16>::new(size, 1.0);
        change(&mut case.bias, &mut case.sight);
        case.check(isa);
    }
}

#[test]
fn sizes_that_fit_nothing() {
    for tokens in [1, 2, 11, 31, 32, 33, 95, 96, 97, 193, 577] {
        let channels = 1 + tokens * 7 % 90;
        check_both(size(tokens, tokens, channels), |_, _| ());
        check_both(size(1 + tokens % 7, tokens, channels), |_, _| ());
    }
    for channels in [1, 2, 7, 64, 72, 80, 88, 96, 128, 256] {
        check_both(size(37, 101, channels), |_, _| ());
    }
}

#[test]
fn grouped_heads() {
    for (heads, key_heads) in [(3, 3), (6, 2), (4, 1)] {
        check_both(
            AttentionSize { batch: 2, queries: 41, keys: 99, heads, key_heads, channels: 20 },
            |_, _| (),
        );
    }
}

#[test]
fn biases_of_one_and_of_each_head() {
    let size = AttentionSize { batch: 2, queries: 40, keys: 130, heads: 3, key_heads: 3, channels: 16 };
    for heads in [1, size.heads] {
        let mut values = noise::<f32>(9, heads * size.queries * size.keys);
        values.iter_mut().step_by(5).for_each(|x| *x = f32::NEG_INFINITY);
        check_both(size, |bias, _| *bias = Some(values.clone()));
    }
}

/// Bit by bit as with the matrix of the sums, for each image by itself.
fn decomposed_is_dense<T: Element>(
    levels: impl Iterator<Item = Isa>,
    size: AttentionSize,
    prefix: usize,
    (h, w): (usize, usize),
) {
    let AttentionSize { batch, queries, keys, heads, channels, .. } = size;
    let case = Case::<T>::new(size, 1.0);
    let tables = |images: usize| {
        let numbers = images * heads * queries;
        (noise::<f32>(11, numbers * h), noise::<f32>(12, numbers * w))
    };
    let bits = |out: Vec<T>| out.iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
    for (isa, images) in levels.flat_map(|isa| [(isa, 1), (isa, batch)]) {
        let (rows, columns) = tables(images);
        let bias = Bias::Decomposed(Decomposed { prefix, grid: (h, w), rows: &rows, columns: &columns });
        let whole = bits(case.run_biased(Some(bias), |attention, out| {
            attention.apply_at_most(isa, out);
        }));
        let few = bits(case.run_biased(Some(bias), |attention, out| {
            attention.apply_few(out);
        }));
        for image in 0..batch {
            let mut dense = vec![0.0; heads * queries * keys];
            let first = if images == 1 { 0 } else { image } * heads * queries;
            for (i, row) in dense.chunks_exact_mut(keys).enumerate() {
                for (cell, bias) in row[prefix..].iter_mut().enumerate() {
                    let (row, column) = (&rows[(first + i) * h..][..h], &columns[(first + i) * w..][..w]);
                    *bias = row[cell / w] + column[cell % w];
                }
            }
            let (of_queries, of_keys) = (queries * heads * channels, keys * heads * channels);
            let single = Case {
                size: AttentionSize { batch: 1, ..size },
                q: case.q[image * of_queries..][..of_queries].to_vec(),
                k: case.k[image * of_keys..][..of_keys].to_vec(),
                v: case.v[image * of_keys..][..of_keys].to_vec(),
                bias: Some(dense),
                sight: None,
                ..case
            };
            let place = image * of_queries..(image + 1) * of_queries;
            assert!(bits(single.run(isa)) == whole[place.clone()], "{isa:?}, {images} tables, image {image}");
            assert!(bits(single.run_few()) == few[place], "few, {images} tables, image {image}");
        }
    }
}

fn square(batch: usize, tokens: usize, heads: usize, channels: usize) -> AttentionSize {
    AttentionSize { batch, queries: tokens, keys: tokens, heads, key_heads: heads, channels }
}

#[test]
fn decomposed_positions_in_windows() {
    decomposed_is_dense::<f32>(levels(), square(2, 14 * 14, 2, 80), 0, (14, 14));
    decomposed_is_dense::<bf16>(levels(), square(2, 14 * 14, 2, 64), 0, (14, 14));
}

#[test]
fn decomposed_positions_after_a_class_token_and_on_pooled_keys() {
    decomposed_is_dense::<f32>(levels(), square(2, 1 + 7 * 19, 3, 24), 1, (7, 19));
    let pooled = AttentionSize { queries: 50, keys: 3 + 5 * 9, ..square(2, 0, 2, 16) };
    decomposed_is_dense::<bf16>(levels(), pooled, 3, (5, 9));
}

#[test]
fn decomposed_positions_of_a_large_grid() {
    let best = || std::iter::once(Isa::detect());
    let some = |channels| AttentionSize { queries: 150, ..square(1, 64 * 64, 1, channels) };
    decomposed_is_dense::<f32>(best(), some(64), 0, (64, 64));
    decomposed_is_dense::<bf16>(best(), some(80), 0, (64, 64));
}

#[test]
#[should_panic(expected = "bias: 1 keys and a grid of 3 · 4, not 12")]
fn grids_of_other_sizes_are_refused() {
    let bias = Decomposed { prefix: 1, grid: (3, 4), rows: &[0.0; 36], columns: &[0.0; 48] };
    let case = Case::<f32>::new(size(12, 12, 4), 1.0);
    case.run_biased(Some(Bias::Decomposed(bias)), |attention, out| {
        attention.apply(out);
    });
}

#[test]
fn causal_and_ragged_sight() {
    let size = AttentionSize { batch: 2, queries: 150, keys: 210, heads: 4, key_heads: 2, channels: 24 };
    let causal = (0..size.queries).map(|i| 0..60 + i + 1).collect::<Vec<_>>();
    check_both(size, |_, sight| *sight = Some(causal.clone()));
    let window = (0..2 * size.queries).map(|i| (i * 31 % 100)..(i * 31 % 100 + 1 + i * 17 % 110)).collect();
    check_both(size, |_, sight| *sight = Some(Vec::clone(&window)));
}

#[test]
fn what_sees_nothing_is_zero() {
    for isa in levels() {
        let mut case = Case::<f32>::new(size(70, 100, 8), 1.0);
        case.sight = Some((0..70).map(|i| if i % 3 == 0 { 5..5 } else { 0..100 }).collect());
        let out = case.run(isa);
        for (i, row) in out.chunks(8).enumerate() {
            assert_eq!(row.iter().all(|x| *x == 0.0), i % 3 == 0, "{isa:?}, query {i}");
        }
        case.sight = None;
        case.bias = Some(vec![f32::NEG_INFINITY; 70 * 100]);
        assert!(case.run(isa).iter().all(|x| *x == 0.0));
        // The largest finite bias hides nothing where it is everywhere, as in the references.
        case.bias = Some(vec![f32::MIN; 70 * 100]);
        let mean = case.v.iter().step_by(8).sum::<f32>() / 100.0;
        assert!((case.run(isa)[0] - mean).abs() < 1e-5);
        assert!((case.run_few()[0] - mean).abs() < 1e-5);
        let none = Case::<f32>::new(size(3, 0, 4), 1.0);
        assert_eq!(none.run(isa), [0.0; 12]);
        assert_eq!(none.run_few(), [0.0; 12]);
    }
}

/// Logits up to ten thousand: weights of zero and one, and no infinity on the way.
#[test]
fn extreme_logits() {
    for isa in levels() {
        for spread in [100.0, 1e4] {
            let mut case = Case::<f32>::new(size(40, 300, 64), 1.0);
            // Whole numbers, so that scores are exact however they are summed.
            case.q.iter_mut().chain(&mut case.k).for_each(|x| *x = (*x * 3.0).round());
            case.scale = spread / 128.0;
            case.check(isa);
        }
    }
}

#[test]
fn what_is_not_a_number_stays_with_its_query() {
    for isa in levels() {
        let mut case = Case::<f32>::new(size(40, 100, 8), 1.0);
        case.q[8 * 7] = f32::NAN;
        for (i, row) in case.run(isa).chunks(8).enumerate() {
            assert_eq!(row.iter().all(|x| x.is_nan()), i == 7, "{isa:?}, query {i}");
        }
    }
}

/// Bit by bit: an image and a query alone or among others, and on other numbers of threads.
fn queries_are_independent<T: Element>() {
    let size = AttentionSize { batch: 3, queries: 700, keys: 205, heads: 2, key_heads: 1, channels: 40 };
    let bits = |out: &[T]| out.iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
    for isa in levels() {
        let mut case = Case::<T>::new(size, 1.0);
        case.sight = Some((0..size.queries).map(|i| i / 9..i / 9 + 100).collect());
        let (whole, few) = (bits(&case.run(isa)), bits(&case.run_few()));
        for threads in [1, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| bits(&case.run(isa))) == whole, "{isa:?}, {threads} threads");
        }
        let (row, image) = (size.heads * size.channels, size.keys * size.channels);
        for (b, i) in [(0, 0), (1, 333), (2, 699)] {
            let at = b * size.queries + i;
            let single = Case {
                size: AttentionSize { batch: 1, queries: 1, ..size },
                q: case.q[at * row..][..row].to_vec(),
                k: case.k[b * image..][..image].to_vec(),
                v: case.v[b * image..][..image].to_vec(),
                sight: Some(std::iter::once(i / 9..i / 9 + 100).collect()),
                bias: None,
                ..case
            };
            assert!(bits(&single.run(isa)) == whole[at * row..][..row], "{isa:?}, query {i} of {b}");
            assert!(bits(&single.run_few()) == few[at * row..][..row], "few, query {i} of {b}");
        }
    }
}

#[test]
fn queries_are_independent_f32() {
    queries_are_independent::<f32>();
}

#[test]
fn queries_are_independent_bf16() {
    queries_are_independent::<bf16>();
}

/// An infinite value that few queries see may make others no number, but the same ones on any number of threads, which
/// cut the queries into tasks that see other keys.
#[test]
fn infinite_values_on_other_numbers_of_threads() {
    for isa in levels() {
        let mut case = Case::<bf16>::new(size(2048, 303, 16), 1.0);
        case.sight = Some((0..2048).map(|i| 0..if i < 256 { 301 } else { 303 }).collect());
        case.v[301 * 16] = bf16::INFINITY;
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.run(isa)).iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        });
        assert!(one == two, "{isa:?}");
    }
}

#[test]
#[should_panic(expected = "k: [1, 3, 1, 4] with these steps needs 12 elements, not 11")]
fn short_tensors_are_refused() {
    let mut case = Case::<f32>::new(size(2, 3, 4), 1.0);
    case.k.pop();
    case.run(Isa::Portable);
}

#[test]
#[should_panic(expected = "sight: beyond 3 keys")]
fn sight_beyond_the_keys_is_refused() {
    let mut case = Case::<f32>::new(size(2, 3, 4), 1.0);
    case.sight = Some(vec![0..3, 0..4]);
    case.run(Isa::Portable);
}
