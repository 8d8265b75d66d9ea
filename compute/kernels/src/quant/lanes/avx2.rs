//! AVX2: a vector is two registers.

use std::arch::x86_64::*;

use super::{COLUMNS, Job, Lanes};

/// Twice 256 bits.
pub(in crate::quant) struct Avx2;

type Int = [__m256i; 2];
type Float = [__m256; 2];

// SAFETY, for all functions: the caller vouches for the instructions and for what it points to.
impl Lanes for Avx2 {
    type Int = Int;
    type Float = Float;

    #[inline(always)]
    unsafe fn line(at: *const u8) -> Int {
        // SAFETY: see above.
        unsafe { [_mm256_load_si256(at.cast()), _mm256_load_si256(at.add(32).cast())] }
    }
    #[inline(always)]
    unsafe fn splat(x: i32) -> Int {
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi32(x); 2] }
    }
    #[inline(always)]
    unsafe fn and(a: Int, b: Int) -> Int {
        // SAFETY: see above.
        unsafe { [_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn or(a: Int, b: Int) -> Int {
        // SAFETY: see above.
        unsafe { [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn left(a: Int, by: u32) -> Int {
        // SAFETY: see above.
        unsafe {
            let by = _mm_cvtsi32_si128(by as i32);
            [_mm256_sll_epi32(a[0], by), _mm256_sll_epi32(a[1], by)]
        }
    }
    #[inline(always)]
    unsafe fn right(a: Int, by: u32) -> Int {
        // SAFETY: see above.
        unsafe {
            let by = _mm_cvtsi32_si128(by as i32);
            [_mm256_srl_epi32(a[0], by), _mm256_srl_epi32(a[1], by)]
        }
    }
    #[inline(always)]
    unsafe fn add(a: Int, b: Int) -> Int {
        // SAFETY: see above.
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: Int, b: Int) -> Int {
        // SAFETY: see above.
        unsafe { [_mm256_mullo_epi32(a[0], b[0]), _mm256_mullo_epi32(a[1], b[1])] }
    }
    /// By products of 16 bits, even bytes and odd ones: the instruction for bytes saturates.
    #[inline(always)]
    unsafe fn dot_bytes(sum: Int, codes: Int, x: Int) -> Int {
        // SAFETY: see above.
        unsafe {
            let even = _mm256_srai_epi16(_mm256_slli_epi16(x[0], 8), 8);
            let odd = _mm256_srai_epi16(x[0], 8);
            let low = _mm256_set1_epi16(0xff);
            let mut sum = sum;
            for (sum, codes) in sum.iter_mut().zip(codes) {
                let evens = _mm256_madd_epi16(_mm256_and_si256(codes, low), even);
                let odds = _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), odd);
                *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(evens, odds));
            }
            sum
        }
    }
    #[inline(always)]
    unsafe fn dot_words(sum: Int, a: Int, b: Int) -> Int {
        // SAFETY: see above.
        unsafe {
            [
                _mm256_add_epi32(sum[0], _mm256_madd_epi16(a[0], b[0])),
                _mm256_add_epi32(sum[1], _mm256_madd_epi16(a[1], b[1])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn signed_bytes(at: *const u8) -> Int {
        // SAFETY: see above.
        unsafe {
            [
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast())),
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.add(8).cast())),
            ]
        }
    }
    #[inline(always)]
    unsafe fn float(a: Int) -> Float {
        // SAFETY: see above.
        unsafe { [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])] }
    }
    #[inline(always)]
    unsafe fn zero() -> Float {
        // SAFETY: see above.
        unsafe { [_mm256_setzero_ps(); 2] }
    }
    #[inline(always)]
    unsafe fn halves(at: *const u8) -> Float {
        // SAFETY: see above.
        unsafe {
            [_mm256_cvtph_ps(_mm_loadu_si128(at.cast())), _mm256_cvtph_ps(_mm_loadu_si128(at.add(16).cast()))]
        }
    }
    #[inline(always)]
    unsafe fn scaled(a: Float, by: i32) -> Float {
        // SAFETY: see above.
        unsafe {
            let by = _mm256_set1_ps(f32::from_bits(by as u32));
            [_mm256_mul_ps(a[0], by), _mm256_mul_ps(a[1], by)]
        }
    }
    #[inline(always)]
    unsafe fn times(a: Float, b: Float) -> Float {
        // SAFETY: see above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn plus(a: Float, b: Float) -> Float {
        // SAFETY: see above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn minus(a: Float, b: Float) -> Float {
        // SAFETY: see above.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn store(a: Float, to: &mut [f32; COLUMNS]) {
        // SAFETY: see above; the array is as long as both.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), a[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), a[1]);
        }
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx2>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}
