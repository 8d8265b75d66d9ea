//! A language model of 450 million parameters that writes and reads: `decode/<dtype>/<rows>`, in tokens of one row
//! each, `prefill/<dtype>`, and `read/<dtype>`, how long the machine takes to read as many bytes as a token needs
//! weights: what a token cannot be faster than.

use std::cell::Cell;
use std::hint::black_box;

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput};
use rayon::prelude::*;
use serde_json::json;
use zoo_benches::spec;
use zoo_core::sdk::OpenOptions;
use zoo_core::{NoHook, Precision};
use zoo_host::plugins::PluginDoor;

/// Tokens of the prompt.
const PROMPT: usize = 256;
/// Most tokens that are written after it; then writing begins there again.
const ANSWER: u32 = 256;
/// Rows that write at a time.
const ROWS: [usize; 3] = [1, 2, 4];

fn ids(rows: usize, length: usize) -> Tensor {
    let ids = (0..(rows * length) as u32).map(|i| i * 7 % 32_000).collect();
    Tensor::from_vec(ids, (rows, length), &Device::Cpu).unwrap()
}

pub fn group(c: &mut Criterion) {
    let arch = json!({
        "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 8, "num_attention_heads": 16,
        "num_key_value_heads": 4, "vocab_size": 32000, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5
    });
    let door = PluginDoor::Static(&zoo_llama::PLUGIN);
    let options = OpenOptions { random: Some(1), ..OpenOptions::default() };
    for (precision, name) in [(Precision::F32, "f32"), (Precision::Bf16, "bf16")] {
        let mut spec = spec("decoder", "llama", arch.clone()).unwrap();
        spec.precision = precision;
        let model = door.open_llm(&spec, &options).unwrap();
        let descriptor = model.descriptor();
        let table = (descriptor.vocab * descriptor.hidden) as u64;

        let bytes = (descriptor.parameters - table) * precision.bytes();
        let memory = vec![1u64; bytes as usize / size_of::<u64>()];
        let mut group = c.benchmark_group(format!("read/{name}"));
        group.throughput(Throughput::Bytes(bytes)).bench_function("weights", |b| {
            b.iter(|| {
                memory.par_chunks(1 << 16).map(|part| black_box(part).iter().sum::<u64>()).sum::<u64>()
            });
        });
        group.finish();
        drop(memory);

        let positions = |rows: usize| {
            let row = Tensor::arange(0, PROMPT as u32, &Device::Cpu).unwrap();
            row.repeat((rows, 1)).unwrap()
        };
        let mut group = c.benchmark_group(format!("prefill/{name}"));
        let (embedded, at) = (model.embed(&ids(1, PROMPT)).unwrap(), positions(1));
        // Packs the weights.
        model.prefill(&embedded, &at, &mut model.cache(1).unwrap(), &mut NoHook).unwrap();
        group.throughput(Throughput::Elements(PROMPT as u64)).bench_function("1", |b| {
            b.iter(|| model.prefill(&embedded, &at, &mut model.cache(1).unwrap(), &mut NoHook).unwrap());
        });
        group.finish();

        let mut group = c.benchmark_group(format!("decode/{name}"));
        for rows in ROWS {
            let mut cache = model.cache(rows).unwrap();
            let embedded = model.embed(&ids(rows, PROMPT)).unwrap();
            model.prefill(&embedded, &positions(rows), &mut cache, &mut NoHook).unwrap();
            let (next, written) = (ids(rows, 1), Cell::new(0));
            group.throughput(Throughput::Elements(rows as u64)).bench_function(rows.to_string(), |b| {
                b.iter(|| {
                    let at = PROMPT as u32 + written.replace((written.get() + 1) % ANSWER);
                    let at = Tensor::full(at, (rows, 1), &Device::Cpu).unwrap();
                    model.decode(&next, &at, &mut cache).unwrap()
                });
            });
        }
        group.finish();
    }
}
