//! Arrays, which the compiler vectorises for its target.

use super::{COLUMNS, Job, Lanes};

/// Plain loops.
pub(in crate::quant) struct Portable;

type Int = [i32; COLUMNS];
type Float = [f32; COLUMNS];

#[inline(always)]
fn each<T: Copy, U>(a: [T; COLUMNS], b: [T; COLUMNS], f: impl Fn(T, T) -> U) -> [U; COLUMNS] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Portable {
    type Int = Int;
    type Float = Float;

    #[inline(always)]
    unsafe fn line(at: *const u8) -> Int {
        // SAFETY: 64 readable bytes, aligned for 32 bits.
        unsafe { at.cast::<Int>().read() }.map(i32::from_le)
    }
    #[inline(always)]
    unsafe fn splat(x: i32) -> Int {
        [x; COLUMNS]
    }
    #[inline(always)]
    unsafe fn and(a: Int, b: Int) -> Int {
        each(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn or(a: Int, b: Int) -> Int {
        each(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn left(a: Int, by: u32) -> Int {
        a.map(|a| a << by)
    }
    #[inline(always)]
    unsafe fn right(a: Int, by: u32) -> Int {
        a.map(|a| (a as u32 >> by) as i32)
    }
    #[inline(always)]
    unsafe fn add(a: Int, b: Int) -> Int {
        each(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn mul(a: Int, b: Int) -> Int {
        each(a, b, i32::wrapping_mul)
    }
    #[inline(always)]
    unsafe fn dot_bytes(sum: Int, codes: Int, x: Int) -> Int {
        let mut sum = sum;
        for byte in 0..4 {
            let products = each(codes, x, |c, x| (c >> (8 * byte) & 0xff) * (x << (24 - 8 * byte) >> 24));
            sum = each(sum, products, i32::wrapping_add);
        }
        sum
    }
    #[inline(always)]
    unsafe fn dot_words(sum: Int, a: Int, b: Int) -> Int {
        let products = each(a, b, |a, b| (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16));
        each(sum, products, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn signed_bytes(at: *const u8) -> Int {
        // SAFETY: 16 readable bytes.
        unsafe { at.cast::<[i8; COLUMNS]>().read() }.map(i32::from)
    }
    #[inline(always)]
    unsafe fn float(a: Int) -> Float {
        a.map(|a| a as f32)
    }
    #[inline(always)]
    unsafe fn zero() -> Float {
        [0.0; COLUMNS]
    }
    #[inline(always)]
    unsafe fn halves(at: *const u8) -> Float {
        // SAFETY: 32 readable bytes.
        let bytes = unsafe { at.cast::<[[u8; 2]; COLUMNS]>().read() };
        bytes.map(|b| half::f16::from_le_bytes(b).to_f32())
    }
    #[inline(always)]
    unsafe fn scaled(a: Float, by: i32) -> Float {
        a.map(|a| a * f32::from_bits(by as u32))
    }
    #[inline(always)]
    unsafe fn times(a: Float, b: Float) -> Float {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn plus(a: Float, b: Float) -> Float {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn minus(a: Float, b: Float) -> Float {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn store(a: Float, to: &mut Float) {
        *to = a;
    }

    unsafe fn work(job: &impl Job) {
        // SAFETY: the caller's.
        unsafe { job.run::<Self>() }
    }
}
