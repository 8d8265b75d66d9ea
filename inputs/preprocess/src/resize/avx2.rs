//! The horizontal pass with AVX2: four pixels of a row at a time, without taking the colours apart.
//!
//! `pmaddwd` multiplies signed 16-bit numbers, two products to a sum of 32 bits; weights have 23 bits. So a weight is
//! taken as `high · 2¹¹ + low`, each half in 16 bits, and the two sums are joined at the end: the same integer as with
//! whole weights, because sums of 32 bits wrap alike.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_packs_epi32, _mm_packus_epi16,
    _mm_setr_epi8, _mm_setr_epi32, _mm_srai_epi32, _mm256_add_epi32, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_set_m128i,
    _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32,
};

use super::taps::{PRECISION, Tap, Taps};
use crate::geometry::RGB;

/// Pixels of one multiplication.
const GROUP: usize = 4;
/// Bytes of a load, of which the first twelve are a group; of the last group of a window the last twelve, so that
/// nothing beyond the window is read.
const LOAD: usize = 16;
/// Bits of the lower half of a weight.
const LOW: u32 = 11;
/// Rows that share the loading of weights.
const ROWS: usize = 4;

/// Weights in the order of the lanes: red, green and blue of two pixels, then of the next two.
pub(super) struct Packed {
    /// First byte of a row that each output pixel reads.
    first: Vec<usize>,
    /// What each sum begins with.
    begin: Vec<[i32; RGB]>,
    /// High and low halves of each group, [`Self::groups`] for each output pixel.
    weights: Vec<[[i64; 4]; 2]>,
    groups: usize,
    row: usize,
}

impl Packed {
    /// `taps` over rows of `row` bytes; `None` where a row is shorter than what is read for one output pixel.
    pub(super) fn new(taps: &Taps, row: usize, begin: impl Fn(&Tap<'_>) -> [i32; RGB]) -> Option<Self> {
        // A load is longer than one group.
        let groups = taps.longest().div_ceil(GROUP).max(2);
        let last = (row / RGB).checked_sub(groups * GROUP)?;
        let mut packed = Self {
            first: Vec::with_capacity(taps.len()),
            begin: Vec::with_capacity(taps.len()),
            weights: Vec::with_capacity(taps.len() * groups),
            groups,
            row,
        };
        let mut window = vec![0; groups * GROUP];
        for x in 0..taps.len() {
            let tap = taps.at(x);
            // A window that would end beyond the row begins earlier, with weights of zero.
            let first = tap.first.min(last);
            for (slot, &weight) in window.iter_mut().skip(tap.first - first).zip(tap.weights) {
                *slot = weight;
            }
            packed.weights.extend(window.chunks_exact(GROUP).map(lanes));
            window.fill(0);
            packed.first.push(first * RGB);
            packed.begin.push(begin(&tap));
        }
        Some(packed)
    }
}

/// High and low halves of four weights, each pair of pixels for three colours.
fn lanes(weights: &[i32]) -> [[i64; 4]; 2] {
    let half = |part: fn(i32) -> i32| {
        let pair =
            |i: usize| i64::from(part(weights[i]) as u16) | i64::from(part(weights[i + 1]) as u16) << 16;
        let (first, second) = (pair(0), pair(2));
        [first | first << 32, first, second | second << 32, second]
    };
    [half(|weight| (weight - low(weight)) >> LOW), half(low)]
}

/// The lower half of a weight, around zero.
fn low(weight: i32) -> i32 {
    const MIDDLE: i32 = 1 << (LOW - 1);
    ((weight + MIDDLE) & ((1 << LOW) - 1)) - MIDDLE
}

/// Whole rows of pixels to whole rows of output pixels.
#[target_feature(enable = "avx2")]
pub(super) fn horizontal(rows: &[u8], packed: &Packed, out: &mut [u8]) {
    let row_out = packed.first.len() * RGB;
    for (rows, out) in rows.chunks(packed.row * ROWS).zip(out.chunks_mut(row_out * ROWS)) {
        if rows.len() == packed.row * ROWS {
            block::<ROWS>(rows, packed, out);
        } else {
            for (row, out) in rows.chunks_exact(packed.row).zip(out.chunks_exact_mut(row_out)) {
                block::<1>(row, packed, out);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn block<const N: usize>(rows: &[u8], packed: &Packed, out: &mut [u8]) {
    // Two neighbours of a colour as a pair of 16 bits: pixels 0 and 1 into the lower half, 2 and 3 into the upper one.
    let lower = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    let upper = _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    let front = _mm256_set_m128i(upper, lower);
    let lower = _mm_setr_epi8(4, -1, 7, -1, 5, -1, 8, -1, 6, -1, 9, -1, -1, -1, -1, -1);
    let upper = _mm_setr_epi8(10, -1, 13, -1, 11, -1, 14, -1, 12, -1, 15, -1, -1, -1, -1, -1);
    let back = _mm256_set_m128i(upper, lower);

    let bytes = packed.groups * GROUP * RGB;
    let row_out = packed.first.len() * RGB;
    let all = packed.weights.chunks_exact(packed.groups).zip(&packed.first).zip(&packed.begin);
    for (x, ((weights, &first), begin)) in all.enumerate() {
        let windows: [&[u8]; N] = std::array::from_fn(|i| &rows[i * packed.row + first..][..bytes]);
        let (mut high, mut low) = ([_mm256_setzero_si256(); N], [_mm256_setzero_si256(); N]);
        let mut add = |[h, l]: &[[i64; 4]; 2], at: usize, order: __m256i| {
            let (h, l) = (vector(h), vector(l));
            for ((window, high), low) in windows.iter().zip(&mut high).zip(&mut low) {
                let pixels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load(window, at)), order);
                *high = _mm256_add_epi32(*high, _mm256_madd_epi16(pixels, h));
                *low = _mm256_add_epi32(*low, _mm256_madd_epi16(pixels, l));
            }
        };
        if let Some((last, others)) = weights.split_last() {
            for (group, weights) in others.iter().enumerate() {
                add(weights, group * GROUP * RGB, front);
            }
            add(last, bytes - LOAD, back);
        }
        let begin = _mm_setr_epi32(begin[0], begin[1], begin[2], 0);
        for (i, (high, low)) in high.into_iter().zip(low).enumerate() {
            let pixel = finish(high, low, begin);
            out[i * row_out + x * RGB..][..RGB].copy_from_slice(&pixel[..RGB]);
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn vector(lanes: &[i64; 4]) -> __m256i {
    _mm256_setr_epi64x(lanes[0], lanes[1], lanes[2], lanes[3])
}

#[allow(unsafe_code, reason = "a load without alignment")]
#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8], at: usize) -> __m128i {
    let bytes = &bytes[at..at + LOAD];
    // SAFETY: the line above has made sure of sixteen bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Joins both sums and both pairs of pixels, rounds and clips.
#[target_feature(enable = "avx2")]
#[inline]
fn finish(high: __m256i, low: __m256i, begin: __m128i) -> [u8; 4] {
    let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW as i32 }>(high), low);
    let sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let samples = _mm_srai_epi32::<{ PRECISION as i32 }>(_mm_add_epi32(sum, begin));
    let words = _mm_packs_epi32(samples, samples);
    _mm_cvtsi128_si32(_mm_packus_epi16(words, words)).to_le_bytes()
}
