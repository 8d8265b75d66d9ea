//! Plain loops, which the compiler vectorises for its target.

use std::marker::PhantomData;

use super::{Flat, Job, Panel, Tile};
use crate::arithmetic::{Arithmetic, Native};
use crate::finish::Finish;

pub(super) const COLUMNS: usize = 16;
/// The second height of tiles that are higher.
const SHORT: usize = 4;

/// Products of `f32`, in tiles of so many rows.
pub(crate) struct Loops<A, const HEIGHT: usize>(PhantomData<A>);

/// Six rows by four vectors of 128 bits are 24 of 32 registers on AArch64; two are 8 of 16 where nothing is known.
#[cfg(target_arch = "aarch64")]
pub(crate) type Portable = Loops<Native, 6>;
#[cfg(not(target_arch = "aarch64"))]
pub(crate) type Portable = Loops<Native, 2>;

impl<A: Finish, const HEIGHT: usize> Tile<COLUMNS> for Loops<A, HEIGHT> {
    type Arithmetic = A;
    type Narrow = Self;
    const ROWS: usize = HEIGHT;
    const SHORT: usize = if HEIGHT > SHORT { SHORT } else { HEIGHT };
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn sums<P: Panel>(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { accumulate::<A, P, HEIGHT>([[0.0; COLUMNS]; HEIGHT], steps, x, w, sums) };
    }

    #[inline(always)]
    unsafe fn widen(steps: usize, w: *const u32, wide: *mut u32) {
        // SAFETY: the caller's.
        let (from, to) = unsafe {
            (
                std::slice::from_raw_parts(w.cast::<[u32; COLUMNS / 2]>(), steps),
                std::slice::from_raw_parts_mut(wide.cast::<[[u32; COLUMNS / 2]; 2]>(), steps),
            )
        };
        for (from, [low, high]) in from.iter().zip(to) {
            for ((low, high), cell) in low.iter_mut().zip(high).zip(from) {
                (*low, *high) = (cell << 16, cell & 0xffff_0000);
            }
        }
    }

    #[inline(always)]
    unsafe fn few<P: Panel, const FEW: usize>(
        steps: usize,
        x: *const u32,
        w: *const u32,
        sums: *mut [f32; COLUMNS],
    ) {
        // SAFETY: the caller's.
        unsafe { accumulate::<A, P, FEW>([[0.0; COLUMNS]; FEW], steps, x, w, sums) }
    }

    #[inline(always)]
    unsafe fn add(
        rows: usize,
        steps: usize,
        x: *const u32,
        w: *const u32,
        scale: &[f32; COLUMNS],
        sums: *mut [f32; COLUMNS],
    ) {
        // SAFETY: the caller's.
        unsafe {
            if rows == HEIGHT {
                accumulate::<A, Flat, HEIGHT>(scaled(scale, sums), steps, x, w, sums);
            } else {
                accumulate::<A, Flat, SHORT>(scaled(scale, sums), steps, x, w, sums);
            }
        }
    }
}

/// [`Job::run`], compiled for every machine.
///
/// # Safety
/// That of [`Job::run`].
pub(crate) unsafe fn work(job: &impl Job) {
    // SAFETY: the caller's.
    unsafe { job.run::<Portable, COLUMNS>() }
}

/// # Safety
/// `sums` points to as many rows.
#[inline(always)]
unsafe fn scaled<const ROWS: usize>(
    scale: &[f32; COLUMNS],
    sums: *const [f32; COLUMNS],
) -> [[f32; COLUMNS]; ROWS] {
    // SAFETY: the caller's.
    let mut acc = unsafe { sums.cast::<[[f32; COLUMNS]; ROWS]>().read() };
    acc.iter_mut().for_each(|row| row.iter_mut().zip(scale).for_each(|(sum, scale)| *sum *= scale));
    acc
}

/// # Safety
/// That of [`Tile::sums`].
#[inline(always)]
unsafe fn accumulate<A: Arithmetic, P: Panel, const ROWS: usize>(
    mut acc: [[f32; COLUMNS]; ROWS],
    steps: usize,
    x: *const u32,
    w: *const u32,
    sums: *mut [f32; COLUMNS],
) {
    // SAFETY: the caller vouches for the lengths, here and below.
    let x = unsafe { std::slice::from_raw_parts(x.cast::<[f32; ROWS]>(), steps) };
    if P::FOLDED {
        // SAFETY: as above.
        let w = unsafe { std::slice::from_raw_parts(w.cast::<[u32; COLUMNS / 2]>(), steps) };
        for (x, w) in x.iter().zip(w) {
            let low = w.map(|cell| f32::from_bits(cell << 16));
            let high = w.map(|cell| f32::from_bits(cell & 0xffff_0000));
            for (acc, x) in acc.iter_mut().zip(x) {
                let (first, second) = acc.split_at_mut(COLUMNS / 2);
                first.iter_mut().zip(&low).for_each(|(acc, w)| *acc = A::mul_add(*x, *w, *acc));
                second.iter_mut().zip(&high).for_each(|(acc, w)| *acc = A::mul_add(*x, *w, *acc));
            }
        }
    } else {
        // SAFETY: as above.
        let w = unsafe { std::slice::from_raw_parts(w.cast::<[f32; COLUMNS]>(), steps) };
        for (x, w) in x.iter().zip(w) {
            for (acc, x) in acc.iter_mut().zip(x) {
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = A::mul_add(*x, *w, *acc);
                }
            }
        }
    }
    // SAFETY: as above.
    unsafe { sums.cast::<[[f32; COLUMNS]; ROWS]>().write(acc) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Apart, Fused};

    /// The tiles of every target, also of those that this machine is not.
    fn check<A: Finish, const HEIGHT: usize>() {
        type Of<A, const HEIGHT: usize> = Loops<A, HEIGHT>;
        const STEPS: usize = 5;
        let number = |i: usize| (i * 7919 % 101) as f32 / 50.0 - 1.0;
        let cells = |count: usize| (0..count).map(|i| number(i).to_bits()).collect::<Vec<_>>();
        let (w, scale) = (cells(STEPS * COLUMNS), std::array::from_fn(number));
        for rows in [HEIGHT, Of::<A, HEIGHT>::SHORT] {
            let x = cells(STEPS * rows);
            let dot = |r: usize, c: usize| -> f32 {
                (0..STEPS).map(|s| number(s * rows + r) * number(s * COLUMNS + c)).sum()
            };
            let mut sums = vec![[2.0; COLUMNS]; rows];
            // SAFETY: the cells and rows are as many as the tile takes.
            unsafe {
                Of::<A, HEIGHT>::add(rows, STEPS, x.as_ptr(), w.as_ptr(), &scale, sums.as_mut_ptr());
            }
            for (r, row) in sums.iter().enumerate() {
                for (c, sum) in row.iter().enumerate() {
                    let expected = 2.0 * scale[c] + dot(r, c);
                    assert!((sum - expected).abs() < 1e-5, "{rows} rows, {r}, {c}: {sum}, not {expected}");
                }
            }
            if rows == HEIGHT {
                // SAFETY: as above.
                unsafe { Of::<A, HEIGHT>::sums::<Flat>(STEPS, x.as_ptr(), w.as_ptr(), sums.as_mut_ptr()) };
                assert!((sums[rows - 1][3] - dot(rows - 1, 3)).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn heights_of_all_targets() {
        check::<Apart, 2>();
        check::<Fused, 6>();
    }
}
