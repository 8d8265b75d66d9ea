//! Large pages for large memory: fewer first touches while weights are packed, fewer misses of the page tables while
//! they are read.

use std::mem::MaybeUninit;

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
