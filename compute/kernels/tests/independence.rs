//! What kernels promise, bit by bit: the same result on any number of threads, and of an image among others the
//! same as of that image alone. Sizes are such that 32 images are cut into more tasks, slabs and turns than one.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::mem::MaybeUninit;
use std::ops::Range;

use common::noise;
use half::bf16;
use zoo_kernels::quant::{Format, Quantised};
use zoo_kernels::{
    Activation, Attention, AttentionSize, Bias, Decomposed, Depthwise, Element, Epilogue, FeedForward,
    FineGrid, Gated, Heads, LocalAttention, Maps, Norm, NormKind, Packed, Pairing, Residual, Rotary,
    add_per_key,
};

const IMAGES: usize = 32;
/// One, as many as small machines have, and more than there are tasks of some kernels.
const THREADS: [usize; 4] = [1, 2, 3, 16];

/// `run` computes the results for some of the images.
#[track_caller]
fn check<T: Element>(name: &str, run: impl Fn(Range<usize>) -> Vec<T> + Sync) {
    let bits = |images| run(images).iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
    let whole = bits(0..IMAGES);
    assert!(!whole.iter().any(|x| f32::from_bits(*x).is_nan()), "{name}: a place was not written");
    assert!(whole.iter().any(|x| *x != whole[0]) && whole.len().is_multiple_of(IMAGES), "{name}: no result");
    let size = whole.len() / IMAGES;
    for threads in THREADS {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| bits(0..IMAGES)) == whole, "{name}: another result on {threads} threads");
        // Not 32 times on every pool: a few images tell.
        let some = if threads == 1 { 0..IMAGES } else { 13..15 };
        for image in some {
            let alone = pool.install(|| bits(image..image + 1));
            assert!(
                alone == whole[image * size..][..size],
                "{name}: image {image} alone differs, {threads} threads"
            );
        }
    }
    assert!(bits(3..11) == whole[3 * size..11 * size], "{name}: eight images differ");
}

/// The part of `values` that belongs to some of the images.
fn of<T>(values: &[T], images: Range<usize>) -> &[T] {
    let size = values.len() / IMAGES;
    &values[images.start * size..images.end * size]
}

/// Numbers that a kernel writes over.
fn empty<T: Element>(count: usize) -> Vec<T> {
    vec![T::round(f32::NAN); count]
}

/// The numbers that `write` writes to places that count as holding none. What is in them shows which it leaves.
fn placed<T: Element>(count: usize, write: impl FnOnce(&mut [MaybeUninit<T>]) -> &mut [T]) -> Vec<T> {
    let mut places = vec![MaybeUninit::new(T::round(f32::NAN)); count];
    let numbers = write(&mut places);
    assert_eq!(numbers.len(), count);
    numbers.to_vec()
}

fn norm<'a, T>(weight: &'a [T], bias: &'a [T]) -> Norm<'a, T> {
    Norm { kind: NormKind::Layer, weight, bias: Some(bias), eps: 1e-5 }
}

fn products<T: Element>() {
    // 1,632 rows are more than a slab of packed inputs, 51 are not a whole number of tiles.
    let (rows, outputs, inputs) = (51, 70, 3072);
    let (x, shortcut) = (noise::<T>(1, IMAGES * rows * inputs), noise::<T>(2, IMAGES * rows * outputs));
    let weight = noise::<T>(3, outputs * inputs);
    let (bias, gain, shift) = (noise::<T>(4, outputs), noise::<T>(5, inputs), noise::<T>(6, inputs));
    let packed = Packed::new(&weight, outputs, inputs);
    let wide: Vec<f32> = weight.iter().map(|x| x.widen()).collect();
    let blocks = Quantised::encode(Format::Q8_0, outputs, inputs, |first, out| {
        out.copy_from_slice(&wide[first * inputs..][..out.len()]);
    });
    let epilogue = |images| Epilogue {
        bias: Some(&bias[..]),
        activation: Some(Activation::GeluErf),
        residual: Some(Residual { shortcut: of(&shortcut, images), scale: None }),
    };
    check("product", |images: Range<usize>| {
        let count = images.len() * rows * outputs;
        placed(count, |out| packed.apply(of(&x, images.clone()), &epilogue(images), out))
    });
    check("product of normalised rows", |images: Range<usize>| {
        let (count, norm) = (images.len() * rows * outputs, norm(&gain, &shift));
        placed(count, |out| packed.apply_normed(of(&x, images.clone()), &norm, &epilogue(images), out))
    });
    check("quantised product", |images: Range<usize>| {
        let mut out = empty::<T>(images.len() * rows * outputs);
        blocks.apply(of(&x, images.clone()), &epilogue(images), &mut out);
        out
    });
    check("norm", |images: Range<usize>| {
        let x = of(&x, images);
        placed(x.len(), |out| norm(&gain, &shift).apply(x, out))
    });
}

fn feed_forward<T: Element>() {
    // 640 rows are a turn, 1,632 are several.
    let (rows, inputs, hidden) = (51, 40, 1700);
    let x = noise::<T>(1, IMAGES * rows * inputs);
    let first = Packed::new(&noise::<T>(2, hidden * inputs), hidden, inputs);
    let second = Packed::new(&noise::<T>(3, inputs * hidden), inputs, hidden);
    let (bias, gain, shift) = (noise::<T>(4, hidden), noise::<T>(5, inputs), noise::<T>(6, inputs));
    let network = FeedForward {
        first: &first,
        bias: Some(&bias),
        activation: Activation::QuickGelu,
        up: None,
        norm: None,
        second: &second,
    };
    check("feed-forward", |images: Range<usize>| {
        let x = of(&x, images);
        let epilogue =
            Epilogue { residual: Some(Residual { shortcut: x, scale: None }), ..Epilogue::default() };
        placed(x.len(), |out| network.apply_normed(x, &norm(&gain, &shift), &epilogue, out))
    });
    let up = Packed::new(&noise::<T>(8, hidden * inputs), hidden, inputs);
    let gated = FeedForward { up: Some((&up, Some(&bias))), ..network };
    check("gated feed-forward", |images: Range<usize>| {
        let x = of(&x, images);
        placed(x.len(), |out| gated.apply(x, &Epilogue::default(), out))
    });
    let (gain, shift) = (noise::<T>(9, hidden), noise::<T>(10, hidden));
    let normed = FeedForward { norm: Some(norm(&gain, &shift)), ..gated };
    check("gated feed-forward, normed between", |images: Range<usize>| {
        let x = of(&x, images);
        placed(x.len(), |out| normed.apply(x, &Epilogue::default(), out))
    });
    let gated = noise::<T>(7, IMAGES * rows * 2 * inputs);
    check("gate", |images: Range<usize>| {
        let joint = of(&gated, images);
        let (gate, up) = (joint, &joint[inputs..]);
        let gated = Gated { activation: Activation::Silu, gate, up, width: inputs, step: 2 * inputs };
        placed(joint.len() / 2, |out| gated.apply(out))
    });
}

fn depthwise<T: Element>() {
    let (height, width, channels) = (11, 19, 40);
    let x = noise::<T>(1, IMAGES * height * width * channels);
    let conv = Depthwise::new(&noise::<T>(2, channels * 49), &noise::<T>(3, channels), 7);
    let (gain, shift) = (noise::<T>(4, channels), noise::<T>(5, channels));
    for normed in [false, true] {
        check("depthwise convolution", |images: Range<usize>| {
            let maps = Maps { images: images.len(), height, width };
            let x = of(&x, images);
            placed(x.len(), |out| conv.apply(x, maps, normed.then(|| norm(&gain, &shift)), out))
        });
    }
}

fn attention<T: Element>() {
    let (tokens, heads, channels) = (101, 2, 24);
    let width = heads * channels;
    let qkv = noise::<T>(1, IMAGES * tokens * 3 * width);
    let bias = noise::<f32>(2, tokens * tokens);
    let sides = [5, 6].map(|seed| noise::<f32>(seed, heads * tokens * 10));
    let decomposed = Decomposed { prefix: 1, grid: (10, 10), rows: &sides[0], columns: &sides[1] };
    for bias in [None, Some(Bias::Dense(&bias)), Some(Bias::Decomposed(decomposed))] {
        check("attention", |images: Range<usize>| {
            let batch = images.len();
            let qkv = of(&qkv, images);
            let part = |i: usize| Heads {
                values: &qkv[i * width..],
                batch: tokens * 3 * width,
                token: 3 * width,
                head: channels,
            };
            let size =
                AttentionSize { batch, queries: tokens, keys: tokens, heads, key_heads: heads, channels };
            let (q, k, v) = (part(0), part(1), part(2));
            let attention = Attention { size, q, k, v, scale: 0.4, bias, sight: None };
            placed(batch * tokens * width, |out| attention.apply(out))
        });
    }
    let angles = noise::<f32>(3, tokens * channels / 2);
    let (sin, cos): (Vec<f32>, Vec<f32>) = angles.iter().map(|angle| (angle * 3.0).sin_cos()).unzip();
    check("rotary positions", |images: Range<usize>| {
        let x = of(&qkv, images);
        let (pairing, still) = (Pairing::Neighbours, heads);
        let rotary = Rotary { cos: &cos, sin: &sin, pairs: channels / 2, pairing, still };
        placed(x.len(), |out| rotary.apply(x, 3 * heads, channels, out))
    });
}

fn local_attention<T: Element>() {
    // 15 queries are two tasks, of which the second is not full.
    let (grid, heads, width, windows) = ((3, 5), 2, 24, [1, 3]);
    let queries = grid.0 * grid.1;
    let keys: usize = windows.iter().map(|m| m * m).sum();
    let q = noise::<T>(1, IMAGES * queries * width);
    let tensors = windows.map(|m| [2, 3].map(|seed| noise::<T>(seed, IMAGES * queries * m * m * width)));
    let bias = noise::<f32>(4, IMAGES * queries * keys);
    let run = |images: Range<usize>| {
        let sources = [0, 1].map(|k| FineGrid {
            m: windows[k],
            keys: of(&tensors[k][0], images.clone()),
            values: of(&tensors[k][1], images.clone()),
        });
        let count = images.len() * queries;
        let (mut out, mut weights) = (empty::<T>(count * width), vec![f32::NAN; count * heads * keys]);
        let attention = LocalAttention {
            images: images.len(),
            grid,
            heads,
            queries: of(&q, images.clone()),
            scale: 0.5,
            sources: &sources,
            bias: Some(of(&bias, images)),
        };
        attention.apply(&mut out, &mut weights);
        (out, weights)
    };
    check("attention to windows", |images| run(images).0);
    check("weights of windows", |images| run(images).1);
    let places = noise::<T>(5, 9 * width);
    check("places in windows", |images: Range<usize>| {
        let x = of(&tensors[1][0], images);
        placed(x.len(), |out| add_per_key(x, &places, grid.1, 3, out))
    });
}

#[test]
fn of_products() {
    products::<f32>();
    products::<bf16>();
}

#[test]
fn of_feed_forward_networks() {
    feed_forward::<f32>();
    feed_forward::<bf16>();
}

#[test]
fn of_depthwise_convolutions() {
    depthwise::<f32>();
    depthwise::<bf16>();
}

#[test]
fn of_attention() {
    attention::<f32>();
    attention::<bf16>();
}

#[test]
fn of_attention_to_windows() {
    local_attention::<f32>();
    local_attention::<bf16>();
}
