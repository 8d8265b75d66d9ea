//! AVX-512 with products of bytes (VNNI): a vector is a register.

use std::arch::x86_64::*;

use super::{COLUMNS, Job, Lanes};

/// 512 bits.
pub(in crate::quant) struct Avx512;

// SAFETY, for all functions: the caller vouches for the instructions and for what it points to.
impl Lanes for Avx512 {
    type Int = __m512i;
    type Float = __m512;

    #[inline(always)]
    unsafe fn line(at: *const u8) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_load_si512(at.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(x: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn left(a: __m512i, by: u32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_sll_epi32(a, _mm_cvtsi32_si128(by as i32)) }
    }
    #[inline(always)]
    unsafe fn right(a: __m512i, by: u32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_srl_epi32(a, _mm_cvtsi32_si128(by as i32)) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_mullo_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn dot_bytes(sum: __m512i, codes: __m512i, x: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(sum, codes, x) }
    }
    #[inline(always)]
    unsafe fn dot_words(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpwssd_epi32(sum, a, b) }
    }
    #[inline(always)]
    unsafe fn signed_bytes(at: *const u8) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn float(a: __m512i) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn halves(at: *const u8) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
    }
    #[inline(always)]
    unsafe fn scaled(a: __m512, by: i32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, _mm512_set1_ps(f32::from_bits(by as u32))) }
    }
    #[inline(always)]
    unsafe fn times(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn plus(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn minus(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn store(a: __m512, to: &mut [f32; COLUMNS]) {
        // SAFETY: see above; the array is as long as the vector.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), a) }
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vnni")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx512>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}
