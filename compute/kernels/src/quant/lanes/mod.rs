//! Vectors of sixteen lanes of 32 bits, one for each output of a panel, on each instruction set.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;

/// Outputs of a panel of weights.
pub(super) const COLUMNS: usize = 16;

/// Work that is compiled for every instruction set.
pub(super) trait Job {
    /// # Safety
    /// The machine has the instructions of `L`; what else the job asks for.
    unsafe fn run<L: Lanes>(&self);
}

/// One instruction set. Every operation is exact or correctly rounded, so that all sets give the same bits.
///
/// # Safety
/// Each function may be called where the machine has the instructions; those that take a pointer read what they say
/// from it.
pub(super) trait Lanes: Sized {
    /// Sixteen `i32`, or what fits into them.
    type Int: Copy;
    /// Sixteen `f32`.
    type Float: Copy;

    /// The 64 bytes at `at`, which is a multiple of 64.
    unsafe fn line(at: *const u8) -> Self::Int;
    /// The same number in every lane.
    unsafe fn splat(x: i32) -> Self::Int;
    unsafe fn and(a: Self::Int, b: Self::Int) -> Self::Int;
    unsafe fn or(a: Self::Int, b: Self::Int) -> Self::Int;
    /// Each lane to the left.
    unsafe fn left(a: Self::Int, by: u32) -> Self::Int;
    /// Each lane to the right, zeros coming in.
    unsafe fn right(a: Self::Int, by: u32) -> Self::Int;
    unsafe fn add(a: Self::Int, b: Self::Int) -> Self::Int;
    /// The low 32 bits of each product.
    unsafe fn mul(a: Self::Int, b: Self::Int) -> Self::Int;
    /// `sum` and the products of the four unsigned bytes of each lane of `codes` and the signed ones of `x`.
    unsafe fn dot_bytes(sum: Self::Int, codes: Self::Int, x: Self::Int) -> Self::Int;
    /// `sum` and the products of the two signed 16-bit numbers of each lane.
    unsafe fn dot_words(sum: Self::Int, a: Self::Int, b: Self::Int) -> Self::Int;
    /// The 16 signed bytes at `at`.
    unsafe fn signed_bytes(at: *const u8) -> Self::Int;
    /// To nearest.
    unsafe fn float(a: Self::Int) -> Self::Float;
    unsafe fn zero() -> Self::Float;
    /// The 16 f16 at `at`.
    unsafe fn halves(at: *const u8) -> Self::Float;
    /// Times the f32 that has the bits `by`.
    unsafe fn scaled(a: Self::Float, by: i32) -> Self::Float;
    unsafe fn times(a: Self::Float, b: Self::Float) -> Self::Float;
    unsafe fn plus(a: Self::Float, b: Self::Float) -> Self::Float;
    unsafe fn minus(a: Self::Float, b: Self::Float) -> Self::Float;
    unsafe fn store(a: Self::Float, to: &mut [f32; COLUMNS]);

    /// [`Job::run`], compiled for the instruction set.
    ///
    /// # Safety
    /// The machine has the instructions; that of [`Job::run`].
    unsafe fn work(job: &impl Job);
}
