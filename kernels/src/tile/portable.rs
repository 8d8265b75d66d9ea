//! Plain loops, which the compiler vectorises for its target.

use super::{Job, Tile};
use crate::arithmetic::Apart;

const COLUMNS: usize = 16;
const HEIGHT: usize = 2;

/// Products of `f32`, rounded before they are added.
pub(crate) struct Portable;

impl Tile<COLUMNS> for Portable {
    type Arithmetic = Apart;
    const ROWS: usize = HEIGHT;
    const SHORT: usize = HEIGHT;
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn sums(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { accumulate([[0.0; COLUMNS]; HEIGHT], steps, x, w, sums) };
    }

    #[inline(always)]
    unsafe fn few<const FEW: usize>(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { accumulate([[0.0; COLUMNS]; FEW], steps, x, w, sums) }
    }

    #[inline(always)]
    unsafe fn add(
        _: usize,
        steps: usize,
        x: *const u32,
        w: *const u32,
        scale: &[f32; COLUMNS],
        sums: *mut [f32; COLUMNS],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut acc = sums.cast::<[[f32; COLUMNS]; HEIGHT]>().read();
            acc.iter_mut().for_each(|row| row.iter_mut().zip(scale).for_each(|(sum, scale)| *sum *= scale));
            accumulate(acc, steps, x, w, sums);
        }
    }

    unsafe fn work(job: &impl Job) {
        // SAFETY: the caller's.
        unsafe { job.run::<Self, COLUMNS>() }
    }
}

/// # Safety
/// That of [`Tile::sums`].
#[inline(always)]
unsafe fn accumulate<const ROWS: usize>(
    mut acc: [[f32; COLUMNS]; ROWS],
    steps: usize,
    x: *const u32,
    w: *const u32,
    sums: *mut [f32; COLUMNS],
) {
    // SAFETY: the caller vouches for the lengths.
    let (x, w) = unsafe {
        (
            std::slice::from_raw_parts(x.cast::<[f32; ROWS]>(), steps),
            std::slice::from_raw_parts(w.cast::<[f32; COLUMNS]>(), steps),
        )
    };
    for (x, w) in x.iter().zip(w) {
        for (acc, x) in acc.iter_mut().zip(x) {
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc += x * w;
            }
        }
    }
    // SAFETY: as above.
    unsafe { sums.cast::<[[f32; COLUMNS]; ROWS]>().write(acc) };
}
