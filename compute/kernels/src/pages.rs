//! Large pages for large memory: fewer first touches while weights are packed, fewer misses of the page tables while
//! they are read.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::element::Element;

/// Numbers that one task writes.
const TASK: usize = 128 << 10;

/// As many zeros, for results: written on the threads of rayon, which touch them for the first time, on large pages
/// where they fill some.
pub fn zeros<T: Element>(length: usize) -> Vec<T> {
    let mut zeros = Vec::with_capacity(length);
    let memory = &mut zeros.spare_capacity_mut()[..length];
    prefer_large(memory);
    memory.par_chunks_mut(TASK).for_each(|part| part.fill(MaybeUninit::new(T::round(0.0))));
    // SAFETY: the parts cover `length` places, each of which was filled.
    unsafe { zeros.set_len(length) };
    zeros
}

/// Says that `memory` should stand on large pages, where the system has them for whoever asks. A hint.
pub(crate) fn prefer_large<T>(memory: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    {
        /// madvise(2).
        const MADV_HUGEPAGE: i32 = 14;
        const LARGE: usize = 2 << 20;
        unsafe extern "C" {
            fn madvise(start: *mut std::ffi::c_void, length: usize, advice: i32) -> i32;
        }
        let bytes = memory.as_mut_ptr_range();
        let (start, end) = (bytes.start.addr().next_multiple_of(LARGE), bytes.end.addr() / LARGE * LARGE);
        if start < end {
            // SAFETY: the range lies inside `memory`; which pages it stands on changes nothing of what it holds.
            unsafe { madvise(bytes.start.with_addr(start).cast(), end - start, MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
