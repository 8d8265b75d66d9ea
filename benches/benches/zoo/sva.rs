//! The Spatial Vision Aggregator alone, on features that are there already: `sva/<ensemble>/<batch>`.

use criterion::{Criterion, Throughput};
use zoo_benches::{connector, linked, noise, spec};
use zoo_core::ConnectorInputs;
use zoo_registry::{Registry, Weights};

pub fn group(c: &mut Criterion) {
    let registry = Registry::shipped().unwrap();
    let mut group = c.benchmark_group("sva");
    let rows = registry.connectors().filter(|row| row.plugin == "sva");
    for row in rows.filter(|row| matches!(row.weights, Some(Weights::Seed(_)))) {
        let spec = spec(&row.id, &row.architecture, row.arch.clone().into()).unwrap();
        let connector = connector(&linked(&row.plugin).unwrap(), &spec).unwrap();
        let shapes = &connector.descriptor().inputs;
        for batch in [1, 8] {
            let features = shapes
                .iter()
                .map(|input| noise(&[batch, input.tokens.unwrap(), input.channels], 1).unwrap())
                .collect();
            let inputs = ConnectorInputs { features, image_sizes: vec![(640, 480); batch] };
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{}/{batch}", row.id), |b| {
                b.iter(|| connector.forward(&inputs).unwrap());
            });
        }
    }
    group.finish();
}
