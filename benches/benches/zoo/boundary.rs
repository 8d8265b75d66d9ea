//! What the dynamic door costs, as the difference between the same call through both.
//!
//! `boundary/call/<door>`: nearly nothing is computed. `boundary/tensor/<door>/<bytes>`: a patch per
//! cell, so that tensors of this size go in.

use criterion::{Criterion, Throughput};
use serde_json::json;
use zoo_benches::{encoder, linked, loaded, noise, spec};
use zoo_core::FeatureRequest;

pub fn group(c: &mut Criterion) {
    let doors = [("static", linked("toy").unwrap()), ("dynamic", loaded("tests/plugins/toy").unwrap())];
    let request = FeatureRequest::layer(-1, false);
    let mut group = c.benchmark_group("boundary");
    for (name, door) in doors {
        let arch = json!({"patch_size": 16, "embed_dim": 1, "depth": 1, "image_size": 16});
        let toy = encoder(&door, &spec("toy", "patches", arch).unwrap()).unwrap();
        let pixels = noise(&[1, 3, 16, 16], 1).unwrap();
        group.bench_function(format!("call/{name}"), |b| b.iter(|| toy.forward(&pixels, &request).unwrap()));
        for side in [256, 1024, 2048] {
            let pixels = noise(&[1, 3, side, side], 1).unwrap();
            let bytes = pixels.elem_count() * 4;
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(format!("tensor/{name}/{bytes}"), |b| {
                b.iter(|| toy.forward(&pixels, &request).unwrap());
            });
        }
    }
    group.finish();
}
