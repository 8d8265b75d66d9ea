//! Results that several threads write, each to places of its own.

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
    pub(crate) fn new(out: &mut [T]) -> Self {
        Self(out.as_mut_ptr())
    }

    /// The `length` places from `start`.
    ///
    /// # Safety
    /// They lie inside the slice of [`Out::new`], which is still borrowed, and nobody else uses them.
    #[inline(always)]
    pub(crate) unsafe fn slice<'a>(self, start: usize, length: usize) -> &'a mut [T] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), length) }
    }
}
