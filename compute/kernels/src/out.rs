//! Results: slots that numbers are written to, by several threads, each to its own.

use std::mem::MaybeUninit;

use crate::element::Element;
use crate::{pages, prefetch};

/// A slot for a number: one that is written over, or memory that holds none yet.
///
/// # Safety
/// A slot has the size and the alignment of a number, and where a number was written, by `put` or as a `T` through a
/// pointer, there is a number.
pub unsafe trait Slot<T>: Send {
    /// Writes the number.
    fn put(&mut self, number: T);
}

// SAFETY: a `T` has its own layout.
unsafe impl<T: Send> Slot<T> for T {
    #[inline(always)]
    fn put(&mut self, number: T) {
        *self = number;
    }
}

// SAFETY: what the standard library says of it.
unsafe impl<T: Send> Slot<T> for MaybeUninit<T> {
    #[inline(always)]
    fn put(&mut self, number: T) {
        self.write(number);
    }
}

/// The numbers in `places`.
///
/// # Safety
/// Numbers were written to all of them.
pub(crate) unsafe fn filled<T, P: Slot<T>>(places: &mut [P]) -> &mut [T] {
    // SAFETY: the caller's; places are like numbers.
    unsafe { std::slice::from_raw_parts_mut(places.as_mut_ptr().cast(), places.len()) }
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
    pages::prefer_large(memory);
    let places = memory.as_ptr();
    let written = write(memory)?;
    // Of nothing there is no address: kernels return any empty slice.
    let same = written.len() == length && (length == 0 || written.as_ptr() == places.cast());
    assert!(same, "not all places were written");
    // SAFETY: a slice of numbers covers the `length` places.
    unsafe { numbers.set_len(length) };
    Ok(numbers)
}

/// Memory whose places are shared out among tasks.
pub(crate) struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Out<T> {}
// SAFETY: whoever calls `set` or `slice` vouches that nobody else uses the places: a place moves to one thread.
unsafe impl<T: Send> Send for Out<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Out<T> {}

impl<T> Out<T> {
    pub(crate) fn new<P: Slot<T>>(out: &mut [P]) -> Self {
        Self(out.as_mut_ptr().cast())
    }

    /// Asks the cache for `length` places from `start`.
    #[inline(always)]
    pub(crate) fn prefetch(self, start: usize, length: usize) {
        prefetch::write(self.0.wrapping_add(start), length);
    }

    /// Writes `numbers` to the places from `start`.
    ///
    /// # Safety
    /// As for [`Out::slice`], but for what the places hold.
    #[inline(always)]
    pub(crate) unsafe fn set<const N: usize>(self, start: usize, numbers: [T; N]) {
        // SAFETY: the caller's.
        unsafe { self.0.add(start).cast::<[T; N]>().write_unaligned(numbers) };
    }

    /// The `length` places from `start`.
    ///
    /// # Safety
    /// They hold numbers, lie inside the slice of [`Out::new`], which is still borrowed, and nobody else uses them.
    #[inline(always)]
    pub(crate) unsafe fn slice<'a>(self, start: usize, length: usize) -> &'a mut [T] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), length) }
    }
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
    fn nothing_is_written_too() {
        let weight = [2f32; 4];
        for channels in [0, 4] {
            let norm = Norm { kind: NormKind::Rms, weight: &weight[..channels], bias: None, eps: 0.0 };
            let numbers = written(0, |places| Ok::<_, ()>(norm.apply(&[], places)));
            assert_eq!(numbers, Ok(vec![]), "{channels} channels");
        }
    }

    #[test]
    #[should_panic(expected = "not all places were written")]
    fn other_numbers_are_refused() {
        let _ = written::<f32, ()>(2, |_| Ok(Box::leak(Box::new([1.0; 2]))));
    }
}
