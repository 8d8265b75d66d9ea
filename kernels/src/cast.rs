//! Numbers in another element type.

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, Lanes, Work};

/// Numbers of a task.
const TASK: usize = 1 << 16;

/// Writes the numbers of `x` to `out`, rounded to nearest where that is needed. Runs on the threads of
/// rayon.
///
/// # Panics
/// When the lengths differ.
pub fn cast<A: Element, B: Element>(x: &[A], out: &mut [B]) {
    assert_eq!(x.len(), out.len(), "x and out");
    out.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(out, x)| lanes::run(Part { x, out }));
}

struct Part<'a, A, B> {
    x: &'a [A],
    out: &'a mut [B],
}

impl<A: Element, B: Element> Work for Part<'_, A, B> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.out.iter_mut().zip(self.x).for_each(|(out, x)| *out = B::round(x.widen()));
    }
}
