//! AVX2 with FMA: 6 rows by two vectors, 12 of the 16 registers.

use std::arch::x86_64::*;

use super::{Job, Tile};

const COLUMNS: usize = 16;
const HEIGHT: usize = 6;

/// Products of `f32`.
pub(crate) struct Avx2;

impl Tile<COLUMNS> for Avx2 {
    const ROWS: usize = HEIGHT;
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn sums(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller vouches for instructions and lengths; a row of `sums` holds two vectors.
        unsafe {
            let mut acc = [[_mm256_setzero_ps(); 2]; HEIGHT];
            for step in 0..steps {
                let (x, w) = (x.add(step * HEIGHT).cast::<f32>(), w.add(step * COLUMNS).cast::<f32>());
                let w = [_mm256_load_ps(w), _mm256_load_ps(w.add(8))];
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*x.add(r));
                    acc[0] = _mm256_fmadd_ps(x, w[0], acc[0]);
                    acc[1] = _mm256_fmadd_ps(x, w[1], acc[1]);
                }
            }
            for (r, acc) in acc.iter().enumerate() {
                let row = sums.add(r).cast::<f32>();
                _mm256_storeu_ps(row, acc[0]);
                _mm256_storeu_ps(row.add(8), acc[1]);
            }
        }
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx2, COLUMNS>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}
