//! Encoders of the registry: `encode/<encoder>/<batch>`. The small untrained ones always, others when `ZOO_BENCH`
//! names them; and one beside the same network in candle-transformers.

use candle_core::{Device, Module};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::vision_model::{ClipVisionConfig, ClipVisionTransformer};
use criterion::{Criterion, Throughput};
use serde_json::json;
use zoo_benches::{encoder, linked, noise, spec, tensors};
use zoo_core::{FeatureRequest, Layers};
use zoo_host::plugins::ObjectKind;
use zoo_registry::{Registry, Selection, Weights};

pub fn group(c: &mut Criterion) {
    let registry = Registry::shipped().unwrap();
    for row in registry.encoders().filter(|row| matches!(row.weights, Weights::Seed(_))) {
        run(c, &Selection::of(row), &[1, 8]);
    }
    let asked = std::env::var("ZOO_BENCH").unwrap_or_default();
    for name in asked.split(',').filter(|name| !name.is_empty()) {
        run(c, &registry.select(name).unwrap(), &[1]);
    }
}

fn run(c: &mut Criterion, selection: &Selection<'_>, batches: &[usize]) {
    let (row, side) = (selection.row, selection.resolution);
    let spec = spec(&row.id, &row.architecture, row.arch.clone().into()).unwrap();
    let encoder = encoder(&linked(&row.plugin).unwrap(), &spec).unwrap();
    let request = FeatureRequest {
        layers: Layers::Indices(selection.layers.clone()),
        norm: selection.norm,
        prefix: false,
    };
    let mut group = c.benchmark_group(format!("encode/{}", row.id));
    for &batch in batches {
        let pixels = noise(&[batch, 3, side, side], 1).unwrap();
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(batch.to_string(), |b| b.iter(|| encoder.forward(&pixels, &request).unwrap()));
    }
    group.finish();
}

/// CLIP ViT-B/32 with the same weights, here and in candle-transformers: `encode/clip-vit-b-32[-candle]/<batch>`.
pub fn peers(c: &mut Criterion) {
    const ID: &str = "clip-vit-b-32";
    let arch = json!({
        "embed_dim": 768, "depth": 12, "num_heads": 12, "mlp_dim": 3072, "patch_size": 32, "image_size": 224,
    });
    let (door, spec) = (linked("clip").unwrap(), spec(ID, "clip-vit", arch).unwrap());
    let ours = encoder(&door, &spec).unwrap();
    let request = FeatureRequest::layer(-1, true);
    let weights = tensors(&door, ObjectKind::Encoder, &spec).unwrap();
    let weights = VarBuilder::from_tensors(weights, candle_core::DType::F32, &Device::Cpu);
    let config = ClipVisionConfig::vit_base_patch32();
    let theirs = ClipVisionTransformer::new(weights.pp("vision_model"), &config).unwrap();
    for batch in [1, 4] {
        let pixels = noise(&[batch, 3, 224, 224], 1).unwrap();
        let mut group = c.benchmark_group(format!("encode/{ID}"));
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(batch.to_string(), |b| b.iter(|| ours.forward(&pixels, &request).unwrap()));
        group.finish();
        let mut group = c.benchmark_group(format!("encode/{ID}-candle"));
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(batch.to_string(), |b| b.iter(|| theirs.forward(&pixels).unwrap()));
        group.finish();
    }
}
