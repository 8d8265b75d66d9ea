//! Results: places that numbers are written to, by several threads, each to its own.

use std::mem::MaybeUninit;

use crate::prefetch;

/// A place for a number: one that is written over, or memory that holds none yet.
///
/// # Safety
/// A place has the size and the alignment of a number, and where a number was written there is a number.
pub unsafe trait Place<T>: Send {
    /// Writes the number.
    fn put(&mut self, number: T);
}

// SAFETY: itself.
unsafe impl<T: Send> Place<T> for T {
    #[inline(always)]
    fn put(&mut self, number: T) {
        *self = number;
    }
}

// SAFETY: what the standard library says of it.
unsafe impl<T: Send> Place<T> for MaybeUninit<T> {
    #[inline(always)]
    fn put(&mut self, number: T) {
        self.write(number);
    }
}

/// The numbers in `places`.
///
/// # Safety
/// Numbers were written to all of them.
pub(crate) unsafe fn filled<T, P: Place<T>>(places: &mut [P]) -> &mut [T] {
    // SAFETY: the caller's; places are like numbers.
    unsafe { std::slice::from_raw_parts_mut(places.as_mut_ptr().cast(), places.len()) }
}

/// Memory whose places are shared out among tasks.
pub(crate) struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Out<T> {}
// SAFETY: whoever calls `slice` vouches that nobody else uses the places: a place moves to one thread.
unsafe impl<T: Send> Send for Out<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Out<T> {}

impl<T> Out<T> {
    pub(crate) fn new<P: Place<T>>(out: &mut [P]) -> Self {
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
