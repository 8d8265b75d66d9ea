//! The tile with one vector of columns, for what would not fill half of two.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::{Avx512, Cells, SHORT, accumulate, add, weave, weigh};
use crate::tile::{Panel, ROWS, Tile, WOVEN};

/// As [`Avx512`], with half of its columns.
pub(crate) struct Narrow<C>(PhantomData<C>);

impl<C: Cells> Tile<WOVEN> for Narrow<C> {
    type Arithmetic = <Avx512<C> as Tile<{ super::COLUMNS }>>::Arithmetic;
    type Narrow = Self;
    const ROWS: usize = ROWS;
    const SHORT: usize = SHORT;
    const PAIRS: bool = C::PAIRS;

    #[inline(always)]
    unsafe fn sums<P: Panel>(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; WOVEN]) {
        // SAFETY: the caller's.
        unsafe { accumulate::<C, P, ROWS, 1>([[_mm512_setzero_ps()]; ROWS], steps, x, w, sums.cast()) }
    }

    #[inline(always)]
    unsafe fn widen(_: usize, _: *const u32, _: *mut u32) {
        unreachable!("panels of weights are as wide as the tile")
    }

    #[inline(always)]
    unsafe fn few<P: Panel, const FEW: usize>(
        steps: usize,
        x: *const u32,
        w: *const u32,
        sums: *mut [f32; WOVEN],
    ) {
        // SAFETY: the caller's.
        unsafe { accumulate::<C, P, FEW, 1>([[_mm512_setzero_ps()]; FEW], steps, x, w, sums.cast()) }
    }

    #[inline(always)]
    unsafe fn add(
        rows: usize,
        steps: usize,
        x: *const u32,
        w: *const u32,
        scale: &[f32; WOVEN],
        sums: *mut [f32; WOVEN],
    ) {
        // SAFETY: the caller's.
        unsafe { add::<C, 1>(rows, steps, x, w, scale.as_ptr(), sums.cast()) }
    }

    #[inline(always)]
    unsafe fn weigh(scores: &mut [f32; WOVEN], max: &[f32; WOVEN], unit: f32, sum: &mut [f32; WOVEN]) {
        // SAFETY: the caller's.
        unsafe { weigh(scores, max, unit, sum) }
    }

    #[inline(always)]
    unsafe fn pair(low: &[f32; WOVEN], high: &[f32; WOVEN], cells: &mut [u32; WOVEN]) {
        // SAFETY: the caller's.
        unsafe { C::pair(low, high, cells) }
    }

    #[inline(always)]
    unsafe fn weave(rows: &[*const u32; WOVEN], count: usize, to: *mut u32, width: usize, room: usize) {
        // SAFETY: the caller's.
        unsafe { weave(rows, count, to, width, room) }
    }
}
