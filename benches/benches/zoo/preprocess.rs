//! From decoded images to normalised pixels: `preprocess/<mode>/<photo>-<side>`.

use criterion::{Criterion, Throughput};
use zoo_core::{Filter, Preprocess};
use zoo_preprocess::{ResizeMode, RgbImage, prepare};

pub fn group(c: &mut Criterion) {
    let mut group = c.benchmark_group("preprocess");
    group.throughput(Throughput::Elements(1));
    for (width, height) in [(640, 480), (2048, 1536)] {
        let bytes: Vec<u8> = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
        let photo = RgbImage::from_raw(width, height, bytes).unwrap();
        for side in [336, 1024] {
            let pipeline = Preprocess {
                size: side,
                pad: [122, 116, 104],
                filter: Filter::Bicubic,
                then: None,
                raw: false,
                mean: [0.5; 3],
                std: [0.5; 3],
            };
            for (name, mode) in [("exact", ResizeMode::Exact), ("fast", ResizeMode::Fast)] {
                group.bench_function(format!("{name}/{width}x{height}-{side}"), |b| {
                    b.iter(|| prepare(&photo, &pipeline, mode).unwrap());
                });
            }
        }
    }
    group.finish();
}
