//! AVX-512: 12 rows by two vectors, 24 of the 32 registers.

use std::arch::x86_64::*;

use super::{Job, ROWS, Tile};

const COLUMNS: usize = 32;

/// Products of `f32`.
pub(crate) struct Avx512;

impl Tile<COLUMNS> for Avx512 {
    const ROWS: usize = ROWS;
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn sums(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller vouches for instructions and lengths; a row of `sums` holds two vectors.
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
            for step in 0..steps {
                let (x, w) = (x.add(step * ROWS).cast::<f32>(), w.add(step * COLUMNS).cast::<f32>());
                let w = [_mm512_load_ps(w), _mm512_load_ps(w.add(16))];
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*x.add(r));
                    acc[0] = _mm512_fmadd_ps(x, w[0], acc[0]);
                    acc[1] = _mm512_fmadd_ps(x, w[1], acc[1]);
                }
            }
            store(&acc, sums);
        }
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx512f")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx512, COLUMNS>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}

/// Products of `bf16` pairs, summed in f32.
pub(crate) struct Avx512Pairs;

impl Tile<COLUMNS> for Avx512Pairs {
    const ROWS: usize = ROWS;
    const PAIRS: bool = true;

    #[inline(always)]
    unsafe fn sums(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: as above. Any 512 bits are a vector of bf16.
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
            let pairs = |v: __m512i| std::mem::transmute::<__m512i, __m512bh>(v);
            for step in 0..steps {
                let (x, w) = (x.add(step * ROWS).cast::<i32>(), w.add(step * COLUMNS).cast::<__m512i>());
                let w = [pairs(_mm512_load_si512(w)), pairs(_mm512_load_si512(w.add(1)))];
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = pairs(_mm512_set1_epi32(*x.add(r)));
                    acc[0] = _mm512_dpbf16_ps(acc[0], x, w[0]);
                    acc[1] = _mm512_dpbf16_ps(acc[1], x, w[1]);
                }
            }
            store(&acc, sums);
        }
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx512f,avx512bf16")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx512Pairs, COLUMNS>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}

/// # Safety
/// The machine has AVX-512 F; `sums` points to as many rows.
#[inline(always)]
unsafe fn store(acc: &[[__m512; 2]; ROWS], sums: *mut [f32; COLUMNS]) {
    for (r, acc) in acc.iter().enumerate() {
        // SAFETY: the caller's; a row is two vectors long.
        unsafe {
            let row = sums.add(r).cast::<f32>();
            _mm512_storeu_ps(row, acc[0]);
            _mm512_storeu_ps(row.add(16), acc[1]);
        }
    }
}
