//! The most that one core's multipliers can do, measured: what a product's speed is a share of.

use std::time::Instant;

use crate::isa::Isa;

/// Floating-point operations a second of one core in a loop of independent multiply-adds without memory, in f32 and
/// in pairs of bf16 where there are instructions for them; the best of `rounds` short runs. `None` where this
/// machine has no vector kernel to compare with.
pub fn flops(half: bool, rounds: usize) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    {
        const STEPS: usize = 200_000;
        let (run, operations): (unsafe fn(usize), usize) = match (Isa::detect(), half) {
            (Isa::Avx512Bf16, true) => (x86::pairs, 64),
            (_, true) | (Isa::Portable, _) => return None,
            (Isa::Avx2, false) => (x86::avx2, 16),
            (_, false) => (x86::avx512, 32),
        };
        let time = |_| {
            let begun = Instant::now();
            // SAFETY: the instructions were found.
            unsafe { run(STEPS) };
            (STEPS * x86::CHAINS * operations) as f64 / begun.elapsed().as_secs_f64()
        };
        Some((0..rounds.max(1)).map(time).fold(0.0, f64::max))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (half, rounds, Isa::detect(), Instant::now());
        None
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Independent sums: more than latency times throughput of any such machine.
    pub(super) const CHAINS: usize = 12;

    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq")]
    pub(super) fn avx512(steps: usize) {
        let (x, mut acc) = (black_box(_mm512_set1_ps(0.5)), [_mm512_setzero_ps(); CHAINS]);
        for _ in 0..steps {
            for acc in &mut acc {
                *acc = _mm512_fmadd_ps(*acc, x, x);
            }
        }
        black_box(acc);
    }

    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vnni,avx512bf16")]
    pub(super) fn pairs(steps: usize) {
        let x = black_box(_mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5), _mm512_set1_ps(0.5)));
        let mut acc = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..steps {
            for acc in &mut acc {
                *acc = _mm512_dpbf16_ps(*acc, x, x);
            }
        }
        black_box(acc);
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn avx2(steps: usize) {
        let (x, mut acc) = (black_box(_mm256_set1_ps(0.5)), [_mm256_setzero_ps(); CHAINS]);
        for _ in 0..steps {
            for acc in &mut acc {
                *acc = _mm256_fmadd_ps(*acc, x, x);
            }
        }
        black_box(acc);
    }
}
