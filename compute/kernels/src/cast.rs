//! Numbers in another element type.

use std::marker::PhantomData;

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, Lanes, Work};
use crate::out::{Slot, filled};

/// Numbers of a task.
const TASK: usize = 1 << 16;

/// Writes the numbers of `x` to `out`, rounded to nearest where that is needed, and returns it. Runs on the threads
/// of rayon.
///
/// # Panics
/// When the lengths differ.
pub fn cast<'o, A: Element, B: Element>(x: &[A], out: &'o mut [impl Slot<B>]) -> &'o mut [B] {
    assert_eq!(x.len(), out.len(), "x and out");
    let parts = out.par_chunks_mut(TASK).zip(x.par_chunks(TASK));
    parts.for_each(|(out, x)| lanes::run(Cast { x, out, number: PhantomData::<B> }));
    // SAFETY: the numbers of all tasks are all numbers.
    unsafe { filled(out) }
}

struct Cast<'a, A, B, P> {
    x: &'a [A],
    out: &'a mut [P],
    /// What the places take.
    number: PhantomData<B>,
}

impl<A: Element, B: Element, P: Slot<B>> Work for Cast<'_, A, B, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.out.iter_mut().zip(self.x).for_each(|(out, x)| out.put(B::round(x.widen())));
    }
}
