//! Which instructions this machine has.

use std::sync::LazyLock;

/// A level of instructions; each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler's target guarantees.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 F.
    Avx512,
    /// AVX-512 with BW, DQ and products of bf16 pairs.
    Avx512Bf16,
}

impl Isa {
    /// All levels, lowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The highest level of this machine.
    pub fn detect() -> Self {
        static BEST: LazyLock<Isa> = LazyLock::new(best);
        *BEST
    }
}

#[cfg(target_arch = "x86_64")]
fn best() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = avx2 && is_x86_feature_detected!("avx512f");
    let bf16 = avx512
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bf16");
    match (avx2, avx512, bf16) {
        (_, _, true) => Isa::Avx512Bf16,
        (_, true, _) => Isa::Avx512,
        (true, _, _) => Isa::Avx2,
        _ => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Isa {
    Isa::Portable
}
