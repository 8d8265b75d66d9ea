//! GGUF files: written, read back, and used by a decoder.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};
use zoo_core::weights::{Checkpoint, Weights};
use zoo_core::{LanguageModel, NoHook, Quantisation, Spec};
use zoo_nn::decoder::gguf::{Export, ExportOptions, arch};
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};
use zoo_nn::quantised::RowOrder;
use zoo_tests::noise::normal;

fn numbers(width: usize, tied: bool) -> Map<String, Value> {
    let arch = json!({
        "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": width / 4, "vocab_size": 40, "max_position_embeddings": 32,
        "rms_norm_eps": 1e-5, "rope_theta": 50000.0, "tie_word_embeddings": tied
    });
    arch.as_object().unwrap().clone()
}

fn config(arch: &Map<String, Value>) -> DecoderConfig {
    let spec = json!({"id": "tiny", "architecture": "decoder", "arch": arch});
    DecoderConfig::from_spec(&serde_json::from_value::<Spec>(spec).unwrap(), DecoderStyle::LLAMA).unwrap()
}

/// A checkpoint of random weights.
fn checkpoint(folder: &Path, arch: &Map<String, Value>, dtype: DType) -> Checkpoint {
    let record = Weights::record(DType::F32);
    Decoder::open("tiny", config(arch), &record, &Device::Cpu).unwrap();
    let tensors: HashMap<String, Tensor> = record
        .manifest()
        .into_iter()
        .zip(1..)
        .map(|(info, seed)| {
            let scale = if info.shape.len() == 2 { 0.05 } else { 0.3 };
            let value = (normal(&info.shape, seed) * scale).unwrap();
            let value = if info.shape.len() == 1 { (value + 1.0).unwrap() } else { value };
            (info.key, value.to_dtype(dtype).unwrap())
        })
        .collect();
    let path = folder.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    Checkpoint::open(&[path]).unwrap()
}

fn logits(arch: &Map<String, Value>, weights: &Weights) -> (Vec<u32>, Decoder) {
    let model = Decoder::open("tiny", config(arch), weights, &Device::Cpu).unwrap();
    let ids = Tensor::new(&[[3u32, 17, 39, 0, 5, 5, 21]], &Device::Cpu).unwrap();
    let positions = Tensor::arange(0u32, 7, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let mut cache = model.cache(1).unwrap();
    let hidden = model.prefill(&model.embed(&ids).unwrap(), &positions, &mut cache, &mut NoHook).unwrap();
    let logits = model.logits(&hidden).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (logits.into_iter().map(f32::to_bits).collect(), model)
}

fn export(files: &Checkpoint, arch: &Map<String, Value>, format: Quantisation, to: &Path) {
    let options = ExportOptions { architecture: "llama", name: "tiny", arch, format };
    let export = Export::plan(files, &options).unwrap();
    let mut written = 0;
    let file = std::fs::File::create(to).unwrap();
    export
        .write(file, |weights| {
            written += weights;
            Ok(())
        })
        .unwrap();
    assert_eq!(written, export.weights());
}

/// Quantising into a file and reading it is quantising at load, bit by bit.
#[test]
fn a_file_is_what_quantising_at_load_gives() {
    let folder = tempfile::tempdir().unwrap();
    for (width, tied, dtype) in [(256, false, DType::F32), (256, true, DType::BF16), (96, false, DType::F16)]
    {
        let arch_numbers = numbers(width, tied);
        let files = checkpoint(folder.path(), &arch_numbers, dtype);
        for format in Quantisation::ALL {
            let path = folder.path().join(format!("{format}.gguf"));
            export(&files, &arch_numbers, format, &path);
            let at_load = Weights::open(&[folder.path().join("model.safetensors")], DType::F32).unwrap();
            let (want, in_place) = logits(&arch_numbers, &at_load.quantise(Some(format)));
            let (got, read) = logits(&arch_numbers, &Weights::open(&[path], DType::F32).unwrap());
            assert!(got == want, "{format}, {width} channels, {dtype:?}");
            let held = |model: &Decoder| model.descriptor().quantised.clone();
            let head = if tied { 40 * width as u64 } else { 0 };
            let sum = |held: BTreeMap<_, u64>| held.values().sum::<u64>();
            assert_eq!(sum(held(&read)), sum(held(&in_place)) + head);
        }
    }
}

#[test]
fn the_metadata_hold_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for tied in [false, true] {
        let arch_numbers = numbers(256, tied);
        let files = checkpoint(folder.path(), &arch_numbers, DType::F32);
        let path = folder.path().join("x.gguf");
        export(&files, &arch_numbers, Quantisation::Q4K, &path);
        let file = Checkpoint::open(&[path]).unwrap();
        assert_eq!(file.metadata().unwrap().architecture(), Some("llama"));
        let read = config(&arch(&file).unwrap());
        // A tied head is written a second time, so that the file has one of its own.
        assert!(!read.tie_word_embeddings);
        let want = DecoderConfig { tie_word_embeddings: false, ..config(&arch_numbers) };
        assert!((read.rms_norm_eps - want.rms_norm_eps).abs() < 1e-11);
        assert_eq!(DecoderConfig { rms_norm_eps: want.rms_norm_eps, ..read }, want);
    }
}

/// The order that llama.cpp's converter makes with `reshape(heads, 2, channels / 2, …).swapaxes(1, 2)`.
#[test]
fn rows_of_heads_are_interleaved() {
    let order = RowOrder::Interleaved { channels: 6 };
    let stored: Vec<usize> = (0..12).map(|row| order.computed(row)).collect();
    assert_eq!(stored, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    assert!((0..12).all(|row| order.computed(order.stored(row)) == row));
}

#[test]
fn what_has_no_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut arch_numbers = numbers(96, false);
    let files = checkpoint(folder.path(), &arch_numbers, DType::F32);
    arch_numbers.insert("rope_scaling".into(), json!({"rope_type": "yarn", "factor": 4.0}));
    let options =
        ExportOptions { architecture: "llama", name: "x", arch: &arch_numbers, format: Quantisation::Q8_0 };
    let message = Export::plan(&files, &options).err().unwrap().to_string();
    assert!(message.contains("yarn"), "{message}");

    let stray = HashMap::from([
        ("model.embed_tokens.weight".to_owned(), normal(&[4, 32], 1)),
        ("model.layers.0.self_attn.sinks".to_owned(), normal(&[4], 2)),
    ]);
    let path = folder.path().join("stray.safetensors");
    candle_core::safetensors::save(&stray, &path).unwrap();
    let numbers = numbers(96, false);
    let options =
        ExportOptions { architecture: "llama", name: "x", arch: &numbers, format: Quantisation::Q8_0 };
    let message = Export::plan(&Checkpoint::open(&[path]).unwrap(), &options).err().unwrap().to_string();
    assert!(message.contains("self_attn.sinks") && message.contains("no place"), "{message}");
}
