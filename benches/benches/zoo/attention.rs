//! Attention of the encoders on q, k and v as their projection leaves them: `attention/<encoder>/{f32,bf16}`.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use half::bf16;
use zoo_benches::noise;
use zoo_kernels::{Attention, AttentionSize, Element, Heads};

/// Tokens, heads, channels of a head: at the resolutions that the encoders were made for.
const SIZES: [(&str, [usize; 3]); 4] = [
    ("vit-b-224", [197, 12, 64]),
    ("clip-l-336", [577, 16, 64]),
    ("so400m-384", [729, 16, 72]),
    ("dinov2-l-518", [1370, 16, 64]),
];

pub fn group(c: &mut Criterion) {
    for (name, size) in SIZES {
        let mut group = c.benchmark_group(format!("attention/{name}"));
        run::<f32>(&mut group, "f32", size);
        run::<bf16>(&mut group, "bf16", size);
        group.finish();
    }
}

fn run<T: Element>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    [tokens, heads, channels]: [usize; 3],
) {
    let width = heads * channels;
    let values = noise(&[tokens * 3 * width], 1).unwrap().to_vec1::<f32>().unwrap();
    let qkv: Vec<T> = values.into_iter().map(T::round).collect();
    let part =
        |i| Heads { values: &qkv[i * width..], batch: tokens * 3 * width, token: 3 * width, head: channels };
    let size = AttentionSize { batch: 1, queries: tokens, keys: tokens, heads, key_heads: heads, channels };
    let scale = (channels as f32).powf(-0.5);
    let attention = Attention { size, q: part(0), k: part(1), v: part(2), scale, bias: None, sight: None };
    let mut out = vec![T::round(0.0); tokens * width];
    group.throughput(Throughput::Elements(4 * (tokens * tokens * width) as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            attention.apply(&mut out);
        });
    });
}
