//! AVX2 with FMA: 6 rows by two vectors, 12 of the 16 registers.

use std::arch::x86_64::*;

use super::{Job, Tile};
use crate::arithmetic::Fused;

const COLUMNS: usize = 16;
const HEIGHT: usize = 6;
const SHORT: usize = 4;

/// Products of `f32`.
pub(crate) struct Avx2;

impl Tile<COLUMNS> for Avx2 {
    type Arithmetic = Fused;
    const ROWS: usize = HEIGHT;
    const SHORT: usize = SHORT;
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn sums(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { accumulate([[_mm256_setzero_ps(); 2]; HEIGHT], steps, x, w, sums) }
    }

    #[inline(always)]
    unsafe fn few<const FEW: usize>(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { accumulate([[_mm256_setzero_ps(); 2]; FEW], steps, x, w, sums) }
    }

    #[inline(always)]
    unsafe fn add(
        rows: usize,
        steps: usize,
        x: *const u32,
        w: *const u32,
        scale: &[f32; COLUMNS],
        sums: *mut [f32; COLUMNS],
    ) {
        // SAFETY: the caller's.
        unsafe {
            if rows == HEIGHT {
                accumulate::<HEIGHT>(scaled(scale, sums), steps, x, w, sums);
            } else {
                accumulate::<SHORT>(scaled(scale, sums), steps, x, w, sums);
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

/// # Safety
/// The machine has AVX; `sums` points to as many rows.
#[inline(always)]
unsafe fn scaled<const ROWS: usize>(
    scale: &[f32; COLUMNS],
    sums: *const [f32; COLUMNS],
) -> [[__m256; 2]; ROWS] {
    // SAFETY: the caller's; a row holds two vectors.
    unsafe {
        let scale = scale.as_ptr();
        let scale = [_mm256_loadu_ps(scale), _mm256_loadu_ps(scale.add(8))];
        let mut acc = [[_mm256_setzero_ps(); 2]; ROWS];
        for (r, acc) in acc.iter_mut().enumerate() {
            let row = sums.add(r).cast::<f32>();
            acc[0] = _mm256_mul_ps(_mm256_loadu_ps(row), scale[0]);
            acc[1] = _mm256_mul_ps(_mm256_loadu_ps(row.add(8)), scale[1]);
        }
        acc
    }
}

/// # Safety
/// That of [`Tile::add`].
#[inline(always)]
unsafe fn accumulate<const ROWS: usize>(
    mut acc: [[__m256; 2]; ROWS],
    steps: usize,
    x: *const u32,
    w: *const u32,
    sums: *mut [f32; COLUMNS],
) {
    // SAFETY: the caller vouches for instructions and lengths; a row of `sums` holds two vectors.
    unsafe {
        for step in 0..steps {
            let (x, w) = (x.add(step * ROWS).cast::<f32>(), w.add(step * COLUMNS).cast::<f32>());
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
