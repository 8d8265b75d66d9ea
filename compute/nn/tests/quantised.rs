//! Quantised weights: what the blocks mean, by candle; decoders that hold them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor, Var};
use serde_json::json;
use zoo_core::weights::Weights;
use zoo_core::{LanguageModel, NoHook, Quantisation, Spec};
use zoo_kernels::quant::Format;
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};
use zoo_tests::noise::{self, normal};

const FORMATS: [(Format, GgmlDType); 3] =
    [(Format::Q8_0, GgmlDType::Q8_0), (Format::Q6K, GgmlDType::Q6K), (Format::Q4K, GgmlDType::Q4K)];

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn blocks_mean_what_candle_reads_in_them() {
    let weights = normal(&[64, 1024], 1);
    for (format, dtype) in FORMATS {
        let theirs = QTensor::quantize(&weights, dtype).unwrap();
        let mut decoded = vec![0.0; 64 * 1024];
        format.decode(&theirs.data().unwrap(), &mut decoded);
        assert!(decoded == numbers(&theirs.dequantize(&Device::Cpu).unwrap()), "{format:?}");
    }
}

/// Our quantisation is as close as candle's, which leaves out a part of the search.
#[test]
fn quantising_is_as_close_as_candle() {
    let weights = normal(&[64, 1024], 2);
    let weights = numbers(&weights);
    let tensor = Tensor::from_slice(&weights, (64, 1024), &Device::Cpu).unwrap();
    for (format, dtype) in FORMATS {
        let theirs = numbers(&QTensor::quantize(&tensor, dtype).unwrap().dequantize(&Device::Cpu).unwrap());
        let mut blocks = vec![0; format.row_bytes(weights.len())];
        format.encode(&weights, &mut blocks);
        let mut ours = vec![0.0; weights.len()];
        format.decode(&blocks, &mut ours);
        let (ours, theirs) = (squared_error(&weights, &ours), squared_error(&weights, &theirs));
        assert!(ours <= 1.001 * theirs, "{format:?}: {ours} against {theirs}");
    }
}

fn config(width: usize, tied: bool) -> DecoderConfig {
    let spec: Spec = serde_json::from_value(json!({"id": "tiny", "architecture": "decoder", "arch": {
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": tied
    }}))
    .unwrap();
    DecoderConfig::from_spec(&spec, DecoderStyle::LLAMA).unwrap()
}

fn tensors(config: &DecoderConfig) -> BTreeMap<String, Tensor> {
    let record = Weights::record(DType::F32);
    Decoder::open("tiny", config.clone(), &record, &Device::Cpu).unwrap();
    noise::weights(record.manifest())
}

fn open(config: &DecoderConfig, dtype: DType, format: Option<Quantisation>) -> Decoder {
    let weights = Weights::tensors(tensors(config), dtype).quantise(format);
    Decoder::open("tiny", config.clone(), &weights, &Device::Cpu).unwrap()
}

fn logits(model: &Decoder, rows: &[&[u32]]) -> Tensor {
    let length = rows[0].len();
    let table = |values: Vec<u32>| Tensor::from_vec(values, (rows.len(), length), &Device::Cpu).unwrap();
    let mut cache = model.cache(rows.len()).unwrap();
    let embedded = model.embed(&table(rows.concat())).unwrap();
    let positions = table((0..rows.len()).flat_map(|_| 0..length as u32).collect());
    let hidden = model.prefill(&embedded, &positions, &mut cache, &mut NoHook).unwrap();
    model.logits(&hidden).unwrap()
}

/// Root mean square of the difference, in units of that of `want`.
fn distance(got: &Tensor, want: &Tensor) -> f64 {
    let (got, want) = (numbers(got), numbers(want));
    (squared_error(&got, &want) / squared_error(&want, &vec![0.0; want.len()])).sqrt()
}

#[test]
fn quantised_decoders_are_close_and_say_what_they_hold() {
    let prompt: Vec<u32> = (0..9).map(|i| i * 7 % 40).collect();
    for tied in [false, true] {
        let config = config(256, tied);
        let exact = logits(&open(&config, DType::F32, None), &[&prompt]);
        let mut last = 0.0;
        for (format, most) in Quantisation::ALL.into_iter().zip([0.03, 0.05, 0.2]) {
            for dtype in [DType::F32, DType::BF16, DType::F16] {
                let model = open(&config, dtype, Some(format));
                let off = distance(&logits(&model, &[&prompt]), &exact);
                assert!(off < most && off > last / 2.0, "{format} {dtype:?}: off by {off}");
                last = off;
                let layers = 2 * (2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 512);
                let head = if tied { 0 } else { 40 * 256 };
                let held = &model.descriptor().quantised;
                assert_eq!(*held, BTreeMap::from([(format, layers + head)]), "{format}");
            }
        }
    }
}

#[test]
fn other_widths_fall_back() {
    let held = |width| {
        open(&config(width, false), DType::F32, Some(Quantisation::Q4K)).descriptor().quantised.clone()
    };
    // The network's inner width of 256 takes blocks of 256, the others of 128 do not.
    let outer = 2 * (2 * 128 * 128 + 2 * 128 * 64 + 2 * 128 * 256) + 40 * 128;
    let expected = [(Quantisation::Q8_0, outer), (Quantisation::Q4K, 2 * 128 * 256)];
    assert_eq!(held(128), BTreeMap::from(expected));
    assert_eq!(held(24), BTreeMap::new());
}

#[test]
fn rows_of_a_batch_are_as_on_their_own() {
    let prompts: [Vec<u32>; 3] = [1, 2, 3].map(|k| (0..11).map(|i| (i * i + k * i) % 40).collect());
    let bits = |t: &Tensor| numbers(t).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for format in Quantisation::ALL {
        let model = open(&config(256, false), DType::F32, Some(format));
        let batch = logits(&model, &[&prompts[0], &prompts[1], &prompts[2]]);
        for (row, prompt) in prompts.iter().enumerate() {
            let alone = logits(&model, &[prompt]);
            assert!(distance(&batch.get(row).unwrap(), &alone.get(0).unwrap()) < 1e-5, "{format}");
            assert_eq!(bits(&alone), bits(&logits(&model, &[prompt])));
        }
    }
}

#[test]
fn gradients_reach_the_input_through_quantised_weights() {
    let model = open(&config(256, false), DType::F32, Some(Quantisation::Q8_0));
    let hidden = Var::from_tensor(&normal(&[1, 3, 256], 5)).unwrap();
    let positions = Tensor::new(&[[0u32, 1, 2]], &Device::Cpu).unwrap();
    let mut cache = model.cache(1).unwrap();
    let out = model.layers(0..2, hidden.as_tensor(), &positions, &mut cache).unwrap();
    let gradients = out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = numbers(gradients.get(&hidden).unwrap());
    assert!(gradient.iter().all(|x| x.is_finite()) && gradient.iter().any(|&x| x != 0.0));
}

#[test]
fn training_quantised_weights_is_refused() {
    let config = config(256, false);
    let weights =
        Weights::tensors(tensors(&config), DType::F32).quantise(Some(Quantisation::Q4K)).trainable(true);
    let message = Decoder::open("tiny", config, &weights, &Device::Cpu).err().unwrap().to_string();
    assert!(message.contains("q4_k") && message.contains("trained"), "{message}");
}
