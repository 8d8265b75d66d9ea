//! All groups in one program, so that it links once. `cargo bench -p zoo-benches -- GROUP` runs one of them.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod asked;
mod attention;
mod boundary;
mod decode;
mod encode;
mod kernels;
mod loading;
mod preprocess;
mod spent;
mod sva;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use zoo_measure::Machine;

/// Short runs: figures to see changes by, not to publish.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

/// What a filter asks for by this name, and what runs then.
type Group = (&'static str, &'static [fn(&mut Criterion)]);

/// The groups that the filter may ask for, and the tables.
fn all(c: &mut Criterion) {
    let groups: [Group; 7] = [
        ("preprocess", &[preprocess::group]),
        ("kernels", &[kernels::group]),
        ("attention", &[attention::group]),
        ("encode", &[encode::group, encode::peers]),
        ("sva", &[sva::group]),
        ("decode", &[decode::group]),
        ("boundary", &[boundary::group]),
    ];
    if ["kernels", "attention", "encode", "sva"].into_iter().any(asked::group) {
        print!("{}", Machine::new());
    }
    for (name, groups) in groups {
        if asked::group(name) {
            groups.iter().for_each(|group| group(c));
        }
    }
    for (name, table) in [("kernels", kernels::table as fn()), ("loading", loading::table)] {
        if asked::table(name) {
            table();
        }
    }
}

criterion_group! {
    name = benches;
    config = short();
    targets = all
}
criterion_main!(benches);
