//! What the dynamic door costs, as the difference between the same call through both.
//!
//! `boundary/call/<door>`: nearly nothing is computed. `boundary/estimate/<door>`: no tensor crosses.
//! `boundary/tensor/<door>/<bytes>`: pixels of this size go in. What loading took is printed once, since a library is
//! loaded once in a process.

use criterion::{Criterion, Throughput};
use serde_json::json;
use zoo_benches::{encoder, linked, loaded, noise, spec};
use zoo_core::FeatureRequest;
use zoo_host::plugins::PluginDoor;

pub fn group(c: &mut Criterion) {
    let doors = [("static", linked("toy").unwrap()), ("dynamic", loaded("tests/plugins/toy").unwrap())];
    if let (_, PluginDoor::Dynamic(plugin)) = &doors[1] {
        eprintln!("boundary/load: {:?}, layouts compared, file not hashed", plugin.load_time());
    }
    let request = FeatureRequest::layer(-1, false);
    for (name, door) in doors {
        let arch = json!({"patch_size": 16, "embed_dim": 1, "depth": 1, "image_size": 16});
        let toy = encoder(&door, &spec("toy", "patches", arch).unwrap()).unwrap();
        let pixels = noise(&[1, 3, 16, 16], 1).unwrap();
        let mut group = c.benchmark_group("boundary/call");
        group.bench_function(name, |b| b.iter(|| toy.forward(&pixels, &request).unwrap()));
        group.finish();
        let mut group = c.benchmark_group("boundary/estimate");
        group.bench_function(name, |b| b.iter(|| toy.cost(1, 16, 16)));
        group.finish();
        let mut group = c.benchmark_group("boundary/tensor");
        for side in [256, 1024, 2048] {
            let pixels = noise(&[1, 3, side, side], 1).unwrap();
            let bytes = pixels.elem_count() * 4;
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(format!("{name}/{bytes}"), |b| {
                b.iter(|| toy.forward(&pixels, &request).unwrap());
            });
        }
        group.finish();
    }
}
