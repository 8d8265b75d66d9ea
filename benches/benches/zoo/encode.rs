//! Encoders of the registry: `encode/<encoder>/<dtype>-<batch>`. The small untrained ones always, others when
//! `ZOO_BENCH` names them; and one beside the same network in candle-transformers.

use candle_core::{Device, Module};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::vision_model::{ClipVisionConfig, ClipVisionTransformer};
use criterion::{Criterion, Throughput};
use serde_json::json;
use zoo_benches::{encoder, linked, noise, spec, tensors};
use zoo_core::{FeatureRequest, Layers, Precision, Spec};
use zoo_host::plugins::ObjectKind;
use zoo_measure::{Machine, Speed};
use zoo_registry::{Registry, Selection, Weights};

use crate::asked;
use crate::spent::Spent;

pub fn group(c: &mut Criterion) {
    let registry = Registry::shipped().unwrap();
    let mut machine = Machine::new();
    for row in registry.encoders().filter(|row| matches!(row.weights, Weights::Seed(_))) {
        run(c, &mut machine, &Selection::of(row));
    }
    for selection in asked::encoders(&registry) {
        run(c, &mut machine, &selection);
    }
}

fn run(c: &mut Criterion, machine: &mut Machine, selection: &Selection<'_>) {
    let (row, side) = (selection.row, selection.resolution);
    let request = FeatureRequest {
        layers: Layers::Indices(selection.layers.clone()),
        norm: selection.norm,
        prefix: false,
    };
    for (precision, dtype) in [(Precision::F32, "f32"), (Precision::Bf16, "bf16")] {
        let spec = spec(&row.id, &row.architecture, row.arch.clone().into()).unwrap();
        let encoder = encoder(&linked(&row.plugin).unwrap(), &Spec { precision, ..spec }).unwrap();
        for batch in [1, 8] {
            let pixels = noise(&[batch, 3, side, side], 1).unwrap();
            let spent = Spent::default();
            let mut group = c.benchmark_group(format!("encode/{}", row.id));
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{dtype}-{batch}"), |b| {
                b.iter_custom(|times| spent.run(times, || encoder.forward(&pixels, &request).unwrap()));
            });
            group.finish();
            if let Some(seconds) = spent.seconds() {
                machine.measure();
                let peak = if precision == Precision::Bf16 { machine.bf16 } else { machine.f32 };
                say(Speed::of(&[seconds], batch, encoder.cost(batch, side, side).macs, Some(peak)));
            }
            spent.say(batch);
        }
    }
}

/// A speed beside the machine's peaks, which are measured again each time: they change with what else runs.
fn say(speed: Option<Speed>) {
    let Some(Speed { gflops: Some(gflops), of_instructions, of_product, .. }) = speed else { return };
    let share = |share: Option<f64>, of: &str| {
        share.map_or_else(String::new, |share| format!(", {:.0} % of {of}", 100.0 * share))
    };
    println!(
        "                        {gflops:.0} GFLOP/s{}{}",
        share(of_instructions, "the multipliers' peak"),
        share(of_product, "a large product's")
    );
}

/// CLIP ViT-B/32 here and in candle-transformers: `encode/clip-vit-b-32[-candle]/<batch>`.
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
