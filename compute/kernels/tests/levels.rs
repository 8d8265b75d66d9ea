//! Which instruction levels the tests reach here, and that demanding others fails.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use common::levels::{demanded, levels};
use zoo_kernels::Isa;

#[track_caller]
fn check(list: &str, best: Isa, message: Option<&str>) {
    match (demanded(list, best), message) {
        (Ok(()), None) => {}
        (Err(said), Some(message)) => assert!(said.contains(message), "{list}: {said}"),
        (said, _) => panic!("{list} on {best:?}: {said:?}"),
    }
}

#[test]
fn what_is_demanded_must_be_there() {
    for best in Isa::ALL {
        check("", best, None);
        check("portable", best, None);
        check(" portable , ", best, None);
    }
    check("avx2,avx512", Isa::Avx512Bf16, None);
    check("all", Isa::Avx512Bf16, None);
    check("avx2,avx512", Isa::Avx2, Some("demands level avx512, but this machine lacks"));
    check("all", Isa::Avx512, Some("demands level all"));
    check("avx2", Isa::Portable, Some("demands level avx2"));
    check("avx3", Isa::Avx512Bf16, Some("no level `avx3`; there are all, portable, avx2, avx512"));
}

#[test]
fn levels_are_those_of_this_machine() {
    let found: Vec<Isa> = levels().collect();
    assert_eq!(found.first(), Some(&Isa::Portable));
    assert_eq!(found.last(), Some(&Isa::detect()));
}
