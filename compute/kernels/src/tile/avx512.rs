//! AVX-512: 12 rows by two vectors, 24 of the 32 registers.

mod gates;
mod narrow;
mod weave;

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::{Flat, Job, POWERS, Panel, ROWS, Tile, WOVEN};
use crate::arithmetic::Fused;
use crate::element::Element;
use crate::finish::Finish;
use gates::Halves;
use narrow::Narrow;
use weave::weave;

const COLUMNS: usize = 32;
const SHORT: usize = 8;

/// Steps between the cells of activations that are multiplied and those that are asked for: they are read once, where
/// the weights beside them stay in the second-level cache.
const AHEAD: usize = 64;

/// Products of cells of this kind.
pub(crate) struct Avx512<C>(PhantomData<C>);

/// What a cell of 32 bits holds.
pub(crate) trait Cells {
    /// [`Tile::Arithmetic`].
    type Arithmetic: Finish;
    /// [`Tile::PAIRS`].
    const PAIRS: bool;

    /// `acc + x · w`, cell by cell.
    ///
    /// # Safety
    /// The machine has the instructions, here as below.
    unsafe fn mul_add(x: __m512i, w: __m512i, acc: __m512) -> __m512;

    /// [`Tile::round`].
    ///
    /// # Safety
    /// As above.
    unsafe fn round<T: Element>(row: &[f32; COLUMNS], to: &mut [T; COLUMNS]);

    /// [`Tile::pair`].
    ///
    /// # Safety
    /// As above.
    unsafe fn pair<const COLUMNS: usize>(
        low: &[f32; COLUMNS],
        high: &[f32; COLUMNS],
        cells: &mut [u32; COLUMNS],
    );

    /// [`Job::run`], compiled for the instruction set.
    ///
    /// # Safety
    /// That of [`Job::run`].
    unsafe fn work(job: &impl Job);
}

/// An `f32`.
pub(crate) struct Singles;

impl Cells for Singles {
    type Arithmetic = Fused;
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn mul_add(x: __m512i, w: __m512i, acc: __m512) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), acc) }
    }

    #[inline(always)]
    unsafe fn round<T: Element>(row: &[f32; COLUMNS], to: &mut [T; COLUMNS]) {
        to.iter_mut().zip(row).for_each(|(to, &x)| *to = T::round(x));
    }

    #[inline(always)]
    unsafe fn pair<const COLUMNS: usize>(
        low: &[f32; COLUMNS],
        high: &[f32; COLUMNS],
        cells: &mut [u32; COLUMNS],
    ) {
        cells
            .iter_mut()
            .zip(low.iter().zip(high))
            .for_each(|(cell, (&low, &high))| *cell = f32::pair(low, high));
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx512<Singles>, COLUMNS>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}

/// Two neighbouring `bf16`; sums are f32.
pub(crate) struct Pairs;

impl Cells for Pairs {
    type Arithmetic = Halves;
    const PAIRS: bool = true;

    #[inline(always)]
    unsafe fn mul_add(x: __m512i, w: __m512i, acc: __m512) -> __m512 {
        // SAFETY: the caller's; any 512 bits are a vector of bf16.
        unsafe {
            let [x, w] = [x, w].map(|v| std::mem::transmute::<__m512i, __m512bh>(v));
            _mm512_dpbf16_ps(acc, x, w)
        }
    }

    #[inline(always)]
    unsafe fn round<T: Element>(row: &[f32; COLUMNS], to: &mut [T; COLUMNS]) {
        if !T::HALF {
            to.iter_mut().zip(row).for_each(|(to, &x)| *to = T::round(x));
            return;
        }
        // SAFETY: the caller's; a row is two vectors long, and one vector when it is rounded.
        unsafe {
            let [low, high] = load(row.as_ptr());
            let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(to.as_mut_ptr().cast(), halves);
        }
    }

    #[inline(always)]
    unsafe fn pair<const COLUMNS: usize>(
        low: &[f32; COLUMNS],
        high: &[f32; COLUMNS],
        cells: &mut [u32; COLUMNS],
    ) {
        // SAFETY: the caller's; a row is whole vectors.
        unsafe {
            // The low halves of all cells before the high ones, then one beside the other.
            let order = _mm512_set_epi16(
                31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
                3, 18, 2, 17, 1, 16, 0,
            );
            for start in (0..COLUMNS).step_by(16) {
                let ([low], [high]) = (load(low.as_ptr().add(start)), load(high.as_ptr().add(start)));
                let halves = _mm512_cvtne2ps_pbh(high, low);
                let halves = std::mem::transmute::<__m512bh, __m512i>(halves);
                let mixed = _mm512_permutexvar_epi16(order, halves);
                _mm512_storeu_si512(cells.as_mut_ptr().add(start).cast(), mixed);
            }
        }
    }

    unsafe fn work(job: &impl Job) {
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vnni,avx512bf16")]
        unsafe fn work(job: &impl Job) {
            // SAFETY: the caller's.
            unsafe { job.run::<Avx512<Pairs>, COLUMNS>() }
        }
        // SAFETY: the caller's.
        unsafe { work(job) }
    }
}

impl<C: Cells> Tile<COLUMNS> for Avx512<C> {
    type Arithmetic = C::Arithmetic;
    type Narrow = Narrow<C>;
    const ROWS: usize = ROWS;
    const SHORT: usize = SHORT;
    const PAIRS: bool = C::PAIRS;

    #[inline(always)]
    unsafe fn sums<P: Panel>(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { accumulate::<C, P, ROWS, 2>([[_mm512_setzero_ps(); 2]; ROWS], steps, x, w, sums.cast()) }
    }

    #[inline(always)]
    unsafe fn widen(steps: usize, w: *const u32, wide: *mut u32) {
        // SAFETY: the caller's; a step is one vector of cells, and two when it is wide.
        unsafe {
            for step in 0..steps {
                let weights = folded::<2>(w.cast::<__m512i>().add(step));
                for (i, weights) in weights.into_iter().enumerate() {
                    _mm512_store_si512(wide.cast::<__m512i>().add(2 * step + i), weights);
                }
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
        unsafe { accumulate::<C, P, FEW, 2>([[_mm512_setzero_ps(); 2]; FEW], steps, x, w, sums.cast()) }
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
            add::<C, 2>(rows, steps, x, w, scale.as_ptr(), sums.cast());
        }
    }

    #[inline(always)]
    unsafe fn weigh(scores: &mut [f32; COLUMNS], max: &[f32; COLUMNS], unit: f32, sum: &mut [f32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { weigh(scores, max, unit, sum) }
    }

    #[inline(always)]
    unsafe fn round<T: Element>(row: &[f32; COLUMNS], to: &mut [T; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { C::round(row, to) }
    }

    #[inline(always)]
    unsafe fn pair(low: &[f32; COLUMNS], high: &[f32; COLUMNS], cells: &mut [u32; COLUMNS]) {
        // SAFETY: the caller's.
        unsafe { C::pair(low, high, cells) }
    }

    #[inline(always)]
    unsafe fn weave(rows: &[*const u32; WOVEN], count: usize, to: *mut u32, width: usize, room: usize) {
        // SAFETY: the caller's.
        unsafe { weave(rows, count, to, width, room) }
    }
}

/// [`Tile::add`] of rows of so many vectors.
///
/// # Safety
/// That of [`Tile::add`].
#[inline(always)]
unsafe fn add<C: Cells, const VECTORS: usize>(
    rows: usize,
    steps: usize,
    x: *const u32,
    w: *const u32,
    scale: *const f32,
    sums: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        if rows == ROWS {
            accumulate::<C, Flat, ROWS, VECTORS>(scaled(scale, sums), steps, x, w, sums);
        } else {
            accumulate::<C, Flat, SHORT, VECTORS>(scaled(scale, sums), steps, x, w, sums);
        }
    }
}

/// # Safety
/// That of [`Tile::add`], for sums that begin as `acc`.
#[inline(always)]
unsafe fn accumulate<C: Cells, P: Panel, const ROWS: usize, const VECTORS: usize>(
    mut acc: [[__m512; VECTORS]; ROWS],
    steps: usize,
    x: *const u32,
    w: *const u32,
    sums: *mut f32,
) {
    // SAFETY: the caller vouches for instructions and lengths.
    unsafe {
        for step in 0..steps {
            let x = x.add(step * ROWS).cast::<i32>();
            _mm_prefetch::<_MM_HINT_T0>(x.wrapping_add(AHEAD * ROWS).cast());
            let weights = if P::FOLDED {
                folded::<VECTORS>(w.cast::<__m512i>().add(step * (VECTORS / 2)))
            } else {
                let mut flat = [_mm512_setzero_si512(); VECTORS];
                for (i, vector) in flat.iter_mut().enumerate() {
                    *vector = _mm512_load_si512(w.cast::<__m512i>().add(step * VECTORS + i));
                }
                flat
            };
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(*x.add(r));
                for (acc, w) in acc.iter_mut().zip(weights) {
                    *acc = C::mul_add(x, w, *acc);
                }
            }
        }
        for (i, vector) in acc.as_flattened().iter().enumerate() {
            _mm512_storeu_ps(sums.add(16 * i), *vector);
        }
    }
}

/// The weights of a step whose cells hold two of them: those in the low halves, then those in the high ones.
///
/// # Safety
/// The machine has AVX-512; `cells` points to half as many vectors, on a cache line.
#[inline(always)]
unsafe fn folded<const VECTORS: usize>(cells: *const __m512i) -> [__m512i; VECTORS] {
    debug_assert!(VECTORS.is_multiple_of(2));
    // SAFETY: the caller's.
    unsafe {
        let mut weights = [_mm512_setzero_si512(); VECTORS];
        for i in 0..VECTORS / 2 {
            let cells = _mm512_load_si512(cells.add(i));
            weights[i] = _mm512_slli_epi32::<16>(cells);
            weights[VECTORS / 2 + i] = _mm512_and_si512(cells, _mm512_set1_epi32(0xffff_0000_u32 as i32));
        }
        weights
    }
}

/// # Safety
/// The machine has AVX-512; `row` points to so many vectors.
#[inline(always)]
unsafe fn load<const VECTORS: usize>(row: *const f32) -> [__m512; VECTORS] {
    // SAFETY: the caller's.
    unsafe {
        let mut vectors = [_mm512_setzero_ps(); VECTORS];
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = _mm512_loadu_ps(row.add(16 * i));
        }
        vectors
    }
}

/// # Safety
/// The machine has AVX-512; `scale` points to a row of so many vectors, `sums` to as many rows.
#[inline(always)]
unsafe fn scaled<const ROWS: usize, const VECTORS: usize>(
    scale: *const f32,
    sums: *const f32,
) -> [[__m512; VECTORS]; ROWS] {
    // SAFETY: the caller's.
    unsafe {
        let scale = load::<VECTORS>(scale);
        let mut acc = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        for (r, acc) in acc.iter_mut().enumerate() {
            *acc = load(sums.add(16 * VECTORS * r));
            for (acc, scale) in acc.iter_mut().zip(scale) {
                *acc = _mm512_mul_ps(*acc, scale);
            }
        }
        acc
    }
}

/// [`Tile::weigh`], where an instruction scales by powers of two.
///
/// # Safety
/// The machine has AVX-512.
#[inline(always)]
unsafe fn weigh<const COLUMNS: usize>(
    scores: &mut [f32; COLUMNS],
    max: &[f32; COLUMNS],
    unit: f32,
    sum: &mut [f32; COLUMNS],
) {
    // SAFETY: the caller's; a row is whole vectors.
    unsafe {
        for start in (0..COLUMNS).step_by(16) {
            let (score, sum) = (scores.as_mut_ptr().add(start), sum.as_mut_ptr().add(start));
            let above = _mm512_sub_ps(_mm512_loadu_ps(score), _mm512_loadu_ps(max.as_ptr().add(start)));
            let x = _mm512_mul_ps(above, _mm512_set1_ps(unit));
            // Not-a-numbers stay: they are the second operand. Below, all is zero after scaling anyway.
            let x = _mm512_max_ps(_mm512_set1_ps(-200.0), x);
            let whole = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
            let r = _mm512_sub_ps(x, whole);
            let mut value = _mm512_set1_ps(POWERS[0]);
            for c in &POWERS[1..] {
                value = _mm512_fmadd_ps(value, r, _mm512_set1_ps(*c));
            }
            let weight = _mm512_scalef_ps(value, whole);
            _mm512_storeu_ps(score, weight);
            _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), weight));
        }
    }
}
