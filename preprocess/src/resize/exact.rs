//! Pillow's 8-bit resampling: horizontal pass, rounding to bytes, vertical pass.
//!
//! The sums are integer, so the order of summation is free; it is chosen such that the compiler vectorises the
//! inner loops. Horizontally, [`LANES`] rows are transposed into a tile and carried side by side; vertically, the
//! bytes of a row are the lanes.

use rayon::prelude::*;
use zoo_core::Filter;

use super::taps::{PRECISION, Taps};
use crate::geometry::Framed;

/// Samples of a pixel.
const RGB: usize = 3;
/// Rows per tile.
const LANES: usize = 16;
/// Bytes of a row that are accumulated at once.
const SPAN: usize = 192;
/// One half, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION - 1);

/// Resamples `source` to `width × height`, 3 bytes a pixel. All sizes are positive.
///
/// A pass whose size does not change is skipped, as in Pillow.
pub(super) fn resample(source: &Framed, width: usize, height: usize, filter: Filter) -> Vec<u8> {
    let (outer_width, outer_height) = source.outer();
    let narrowed = if outer_width == width {
        source.paint()
    } else {
        horizontal(source, &Taps::new(outer_width, width, filter))
    };
    if outer_height == height {
        narrowed
    } else {
        vertical(&narrowed, width * RGB, &Taps::new(outer_height, height, filter))
    }
}

/// Rows of the frame above and below the image have one colour, and a constant row stays constant (the weights
/// sum to one within a rounding error that is far below half a step), so only the image's rows are computed.
fn horizontal(source: &Framed, taps: &Taps) -> Vec<u8> {
    let row_out = taps.len() * RGB;
    let (_, outer_height) = source.outer();
    let mut out = source.border_rows(taps.len(), outer_height);
    let row_in = source.image_width() * RGB;
    let inner = &mut out[source.top() * row_out..][..source.image_height() * row_out];

    inner.par_chunks_mut(row_out * LANES).zip(source.bytes().par_chunks(row_in * LANES)).for_each_init(
        || source.border_tile::<LANES>(),
        |tile, (out, rows)| {
            transpose(rows, row_in, &mut tile[source.left() * RGB..]);
            dispatch_horizontal(tile, taps, out);
        },
    );
    out
}

fn vertical(source: &[u8], row: usize, taps: &Taps) -> Vec<u8> {
    let mut out = vec![0; taps.len() * row];
    out.par_chunks_mut(row).enumerate().for_each(|(y, out)| {
        let (first, weights) = taps.at(y);
        dispatch_vertical(&source[first * row..], row, weights, out);
    });
    out
}

/// Puts row `i` of `rows` into lane `i` of `tile`. Lanes without a row keep what they had.
fn transpose(rows: &[u8], row: usize, tile: &mut [[u8; LANES]]) {
    const BLOCK: usize = 64; // columns whose tile stays in the first-level cache
    for start in (0..row).step_by(BLOCK) {
        let end = (start + BLOCK).min(row);
        for (lane, samples) in rows.chunks_exact(row).enumerate() {
            for (cell, &sample) in tile[start..end].iter_mut().zip(&samples[start..end]) {
                cell[lane] = sample;
            }
        }
    }
}

#[inline(always)]
fn horizontal_tile(tile: &[[u8; LANES]], taps: &Taps, out: &mut [u8]) {
    let row_out = taps.len() * RGB;
    for x in 0..taps.len() {
        let (first, weights) = taps.at(x);
        let mut sums = [[HALF; LANES]; RGB];
        let pixels = tile[first * RGB..].chunks_exact(RGB);
        for (&weight, pixel) in weights.iter().zip(pixels) {
            for (sums, cell) in sums.iter_mut().zip(pixel) {
                for (sum, &sample) in sums.iter_mut().zip(cell) {
                    *sum += weight * i32::from(sample);
                }
            }
        }
        for (lane, row) in out.chunks_exact_mut(row_out).enumerate() {
            let pixel = &mut row[x * RGB..][..RGB];
            for (sample, sums) in pixel.iter_mut().zip(&sums) {
                *sample = to_byte(sums[lane]);
            }
        }
    }
}

#[inline(always)]
fn vertical_row(source: &[u8], row: usize, weights: &[i32], out: &mut [u8]) {
    for (i, out) in out.chunks_mut(SPAN).enumerate() {
        let mut sums = [HALF; SPAN];
        for (&weight, samples) in weights.iter().zip(source.chunks_exact(row)) {
            let samples = &samples[i * SPAN..][..out.len()];
            for (sum, &sample) in sums.iter_mut().zip(samples) {
                *sum += weight * i32::from(sample);
            }
        }
        for (byte, &sum) in out.iter_mut().zip(&sums) {
            *byte = to_byte(sum);
        }
    }
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The same two loops compiled for AVX2, which the baseline x86-64 target may not use: about four times faster,
/// same integers.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{LANES, Taps};

    #[target_feature(enable = "avx2")]
    pub(super) fn horizontal_tile(tile: &[[u8; LANES]], taps: &Taps, out: &mut [u8]) {
        super::horizontal_tile(tile, taps, out);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn vertical_row(source: &[u8], row: usize, weights: &[i32], out: &mut [u8]) {
        super::vertical_row(source, row, weights, out);
    }
}

#[allow(unsafe_code, reason = "calling code compiled for a CPU feature")]
fn dispatch_horizontal(tile: &[[u8; LANES]], taps: &Taps, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was detected on the line above; the function has no other precondition.
        return unsafe { avx2::horizontal_tile(tile, taps, out) };
    }
    horizontal_tile(tile, taps, out);
}

#[allow(unsafe_code, reason = "calling code compiled for a CPU feature")]
fn dispatch_vertical(source: &[u8], row: usize, weights: &[i32], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return unsafe { avx2::vertical_row(source, row, weights, out) };
    }
    vertical_row(source, row, weights, out);
}
