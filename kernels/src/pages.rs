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

/// As many numbers as `write` was given places for, on large pages where they fill some. It returns those places, as
/// kernels do when they have written all of them.
///
/// # Errors
/// Those of `write`.
///
/// # Panics
/// When `write` returns other numbers.
pub fn written<T: Element, E>(
    length: usize,
    write: impl FnOnce(&mut [MaybeUninit<T>]) -> Result<&mut [T], E>,
) -> Result<Vec<T>, E> {
    let mut numbers = Vec::with_capacity(length);
    let memory = &mut numbers.spare_capacity_mut()[..length];
    prefer_large(memory);
    let places = memory.as_ptr();
    let written = write(memory)?;
    assert!(written.as_ptr() == places.cast() && written.len() == length, "not all places were written");
    // SAFETY: a slice of numbers covers the `length` places.
    unsafe { numbers.set_len(length) };
    Ok(numbers)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::norm::{Norm, NormKind};

    #[test]
    fn what_was_written_is_there() {
        let norm = Norm { kind: NormKind::Rms, weight: &[2.0; 4], bias: None, eps: 0.0 };
        let numbers = written(8, |places| Ok::<_, ()>(norm.apply(&[3.0; 8], places)));
        assert_eq!(numbers, Ok(vec![2.0; 8]));
        assert_eq!(written::<f32, _>(3, |_| Err("no")), Err("no"));
    }

    #[test]
    #[should_panic(expected = "not all places were written")]
    fn other_numbers_are_refused() {
        let _ = written::<f32, ()>(0, |_| Ok(Box::leak(Box::new([1.0; 2]))));
    }
}
