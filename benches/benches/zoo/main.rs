//! All groups in one program, so that it links once. `cargo bench -p zoo-benches -- GROUP` runs one of them.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod attention;
mod boundary;
mod decode;
mod encode;
mod kernels;
mod preprocess;
mod sva;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Short runs: figures to see changes by, not to publish.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = short();
    targets = preprocess::group, kernels::group, kernels::table, attention::group, encode::group, encode::peers, sva::group, decode::group, boundary::group
}
criterion_main!(benches);
