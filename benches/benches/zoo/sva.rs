//! The Spatial Vision Aggregator alone, on features that are there already: `sva/<connector>/<dtype>-<batch>`. The small
//! untrained one always, others when `ZOO_BENCH` names them.

use criterion::{Criterion, Throughput};
use zoo_benches::{connector, linked, noise, spec};
use zoo_core::{ConnectorInputs, Precision, Spec};
use zoo_registry::{ConnectorRow, Registry, Weights};

use crate::asked;
use crate::spent::Spent;

pub fn group(c: &mut Criterion) {
    let registry = Registry::shipped().unwrap();
    let rows = registry.connectors().filter(|row| row.plugin == "sva");
    for row in rows.filter(|row| matches!(row.weights, Some(Weights::Seed(_)))) {
        run(c, row, &[1, 8]);
    }
    for row in asked::connectors(&registry, "sva") {
        run(c, row, &[1]);
    }
}

fn run(c: &mut Criterion, row: &ConnectorRow, batches: &[usize]) {
    let mut group = c.benchmark_group(format!("sva/{}", row.id));
    for (precision, dtype) in [(Precision::F32, "f32"), (Precision::Bf16, "bf16")] {
        let spec = spec(&row.id, &row.architecture, row.arch.clone().into()).unwrap();
        let connector = connector(&linked(&row.plugin).unwrap(), &Spec { precision, ..spec }).unwrap();
        for &batch in batches {
            let features = connector.descriptor().inputs.iter().map(|input| {
                let shape = [batch, input.tokens.unwrap(), input.channels];
                noise(&shape, 1).unwrap().to_dtype(precision.dtype()).unwrap()
            });
            let inputs =
                ConnectorInputs { features: features.collect(), image_sizes: vec![(640, 480); batch] };
            let spent = Spent::default();
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{dtype}-{batch}"), |b| {
                b.iter_custom(|times| spent.run(times, || connector.forward(&inputs).unwrap()));
            });
            spent.say(batch);
        }
    }
    group.finish();
}
