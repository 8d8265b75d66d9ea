//! From decoded images to normalised pixels: `preprocess/<photo>-<side>`; and decoding a JPEG for an encoder of 336
//! pixels: `preprocess/decode/<exact or fast>/<photo>`. One of 12 megapixels is also decoded by `image`, whose JPEG decoder
//! is zune-jpeg: `preprocess/decode/12-megapixels/<ours or image>`.

use criterion::{Criterion, Throughput};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use zoo_core::{Filter, Preprocess};
use zoo_preprocess::{DecodeOptions, RgbImage, decode, prepare};

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
                fit: zoo_core::Fit::Pad,
                filter: Filter::Bicubic,
                then: None,
                raw: false,
                mean: [0.5; 3],
                std: [0.5; 3],
            };
            group.bench_function(format!("{width}x{height}-{side}"), |b| {
                b.iter(|| prepare(&photo, &pipeline).unwrap());
            });
        }
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&photo).unwrap();
        for (name, reduce_for) in [("exact", None), ("fast", Some(336))] {
            let options = DecodeOptions { reduce_for, ..DecodeOptions::default() };
            group.bench_function(format!("decode/{name}/{width}x{height}"), |b| {
                b.iter(|| decode(&jpeg, "photo", &options).unwrap());
            });
        }
    }
    let photo = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/trilobite.jpg")).unwrap();
    let photo = photo.resize_exact(4000, 3000, FilterType::Triangle).into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&photo).unwrap();
    group.bench_function("decode/12-megapixels/ours", |b| {
        b.iter(|| decode(&jpeg, "photo", &DecodeOptions::default()).unwrap());
    });
    group.bench_function("decode/12-megapixels/image", |b| {
        b.iter(|| image::load_from_memory(&jpeg).unwrap());
    });
    group.finish();
}
