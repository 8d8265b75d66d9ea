//! What the tests of all kernels need.

#![allow(dead_code, reason = "every test file compiles its own copy and few use all of it")]

pub mod levels;

use zoo_kernels::{Element, Isa};

/// Numbers in -1..1.
pub fn noise<T: Element>(seed: u32, count: usize) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        T::round((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..count).map(next).collect()
}
