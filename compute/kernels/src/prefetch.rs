//! Asking the caches for what is needed soon, where the machine does not guess it: rows of a matrix lie pages apart.

/// Asks for values that will be read.
#[inline(always)]
pub(crate) fn read<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    lines(values.as_ptr(), values.len(), |line| {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has the instruction, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
    });
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Asks for `count` places from `first`, wherever they are, that will be written.
#[inline(always)]
pub(crate) fn write<T>(first: *const T, count: usize) {
    #[cfg(target_arch = "x86_64")]
    lines(first, count, |line| {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: as above; the compiler asks as for reading where its target does not promise PREFETCHW.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(line) };
    });
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, count);
}

/// Calls `ask` with a byte of each cache line, of which most begin on one or end a little after one.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn lines<T>(first: *const T, count: usize, ask: impl Fn(*const i8)) {
    const LINE: usize = 64;
    let (first, bytes) = (first.cast::<i8>(), count * size_of::<T>());
    for byte in (0..bytes).step_by(LINE) {
        ask(first.wrapping_add(byte));
    }
    if bytes > 0 && !first.addr().is_multiple_of(LINE) {
        ask(first.wrapping_add(bytes - 1));
    }
}
