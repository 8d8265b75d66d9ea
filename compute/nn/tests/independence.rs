//! What decoders promise, bit by bit: a row gives the same numbers alone and beside others, whatever pads it, on any
//! number of threads, read in one piece or in several. Pieces have more than four tokens: so few are decoded, by a kernel of
//! their own, whose results agree with those of the other to rounding.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use zoo_core::weights::Weights;
use zoo_core::{LanguageModel, NoHook, Quantisation, Spec};
use zoo_nn::activation::Activation;
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle, Windows};
use zoo_tests::noise;

/// One, as many as small machines have, and more than there is work for.
const THREADS: [usize; 4] = [1, 2, 3, 16];
/// Tokens of each row: over a block of keys, within one, and just more than what is decoded.
const LENGTHS: [usize; 3] = [131, 40, 5];
/// Tokens that are written after each prompt.
const WRITTEN: usize = 3;
const VOCABULARY: u32 = 96;

/// Of the Llama kind with a joint matrix, or of the Gemma kind with norms behind each half; both with windows.
fn model(post_norms: bool, dtype: DType, quantise: Option<Quantisation>) -> Decoder {
    let spec: Spec = serde_json::from_value(json!({"id": "small", "architecture": "decoder", "arch": {
        "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        "sliding_window": 33
    }}))
    .unwrap();
    let style = DecoderStyle { packed: !post_norms, qkv_bias: true, ..DecoderStyle::LLAMA };
    let style = if post_norms {
        let activation = Activation::GeluTanh;
        DecoderStyle {
            post_norms,
            unit_offset: true,
            scaled_input: true,
            activation,
            windows: Windows::Even,
            ..style
        }
    } else {
        style
    };
    let config = DecoderConfig::from_spec(&spec, style).unwrap();
    let record = Weights::record(DType::F32);
    Decoder::open("small", config.clone(), &record, &Device::Cpu).unwrap();
    let weights = Weights::tensors(noise::weights(record.manifest()), dtype).quantise(quantise);
    Decoder::open("small", config, &weights, &Device::Cpu).unwrap()
}

fn token(row: usize, place: usize) -> u32 {
    ((place * place * 7 + place * 3 + row * 31 + 5) % VOCABULARY as usize) as u32
}

fn bits(t: &Tensor) -> Vec<u32> {
    let numbers: Vec<f32> = t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert!(numbers.iter().all(|x| x.is_finite()));
    numbers.into_iter().map(f32::to_bits).collect()
}

/// For each of `rows`: the hidden states of its prompt and the logits of what is written after it. Shorter rows are
/// padded on the right; a prompt is read in pieces of so many tokens at most.
fn run(model: &Decoder, rows: &[usize], piece: usize) -> Vec<[Vec<u32>; 2]> {
    let longest = rows.iter().map(|&row| LENGTHS[row]).max().unwrap();
    let mut cache = model.cache(rows.len()).unwrap();
    let table = |of: &dyn Fn(usize) -> Vec<u32>| {
        let all: Vec<u32> = rows.iter().flat_map(|&row| of(row)).collect();
        let width = all.len() / rows.len();
        Tensor::from_vec(all, (rows.len(), width), &Device::Cpu).unwrap()
    };
    let mut states = Vec::new();
    for start in (0..longest).step_by(piece) {
        let places = start..longest.min(start + piece);
        let ids = table(&|row| places.clone().map(|place| token(row, place)).collect());
        let positions = table(&|_| places.clone().map(|place| place as u32).collect());
        let embedded = model.embed(&ids).unwrap();
        states.push(model.prefill(&embedded, &positions, &mut cache, &mut NoHook).unwrap());
    }
    let states = Tensor::cat(&states, 1).unwrap();
    let written: Vec<Tensor> = (0..WRITTEN)
        .map(|step| {
            let ids = table(&|row| vec![token(row + 7, step)]);
            let positions = table(&|row| vec![(LENGTHS[row] + step) as u32]);
            model.decode(&ids, &positions, &mut cache).unwrap()
        })
        .collect();
    let written = Tensor::cat(&written, 1).unwrap();
    let of = |(index, &row): (usize, &usize)| {
        let prompt = states.get(index).unwrap().narrow(0, 0, LENGTHS[row]).unwrap();
        [bits(&prompt), bits(&written.get(index).unwrap())]
    };
    rows.iter().enumerate().map(of).collect()
}

#[track_caller]
fn check(post_norms: bool, dtype: DType, quantise: Option<Quantisation>) {
    let model = model(post_norms, dtype, quantise);
    let name = format!("{dtype:?} {quantise:?}, norms behind: {post_norms}");
    let whole = run(&model, &[0, 1, 2], usize::MAX / 2);
    assert!(whole[0][1] != whole[1][1], "{name}: rows do not differ");
    for threads in THREADS {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let same = |rows: &[usize], piece: usize| {
            for (&row, found) in rows.iter().zip(pool.install(|| run(&model, rows, piece))) {
                let beside = format!("{name}: row {row} of {rows:?} in pieces of {piece}, {threads} threads");
                assert!(found[0] == whole[row][0], "{beside}: another prompt");
                assert!(found[1] == whole[row][1], "{beside}: another text");
            }
        };
        same(&[0, 1, 2], usize::MAX / 2);
        same(&[2, 0], usize::MAX / 2);
        [0, 1, 2].into_iter().for_each(|row| same(&[row], usize::MAX / 2));
        same(&[0, 1, 2], 50);
        same(&[0], 18);
    }
}

#[test]
fn of_decoders_with_plain_weights() {
    for dtype in [DType::F32, DType::BF16] {
        check(false, dtype, None);
        check(true, dtype, None);
    }
}

#[test]
fn of_decoders_with_quantised_weights() {
    for dtype in [DType::F32, DType::BF16] {
        check(false, dtype, Some(Quantisation::Q8_0));
        check(true, dtype, Some(Quantisation::Q4K));
    }
}
