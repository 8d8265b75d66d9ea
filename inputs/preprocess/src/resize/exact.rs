//! Pillow's 8-bit resampling: horizontal pass, rounding to bytes, vertical pass.
//!
//! The sums are integer, so the order of summation is free: horizontally the instructions of [`avx2`] add up four
//! pixels at a time, vertically the bytes of a row are the lanes. A border is never stored; it is one more sample of
//! each sum.

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::taps::{Kernel, PRECISION, Tap, Taps};
use crate::geometry::{Framed, RGB};

/// Rows of a task of the horizontal pass.
const ROWS: usize = 16;
/// Bytes of a row that are accumulated at once: whole pixels.
const SPAN: usize = 192;
/// One half, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION - 1);

/// Resamples `source` with its border to `width × height`, 3 bytes a pixel. All sizes are positive.
///
/// A pass that changes nothing is skipped, as in Pillow.
pub(super) fn resample(source: &Framed, width: usize, height: usize, filter: Kernel) -> Vec<u8> {
    let pixels = source.image.as_raw();
    let narrowed;
    let rows = if source.horizontal.is_plain(width) {
        pixels
    } else {
        let taps = Taps::new(&source.horizontal, width, filter);
        narrowed = horizontal(pixels, source.horizontal.samples * RGB, &taps, source.color);
        &narrowed
    };
    if source.vertical.is_plain(height) {
        return rows.clone();
    }
    vertical(rows, width * RGB, &Taps::new(&source.vertical, height, filter), source.color)
}

/// What a sum begins with: one half, and the border.
#[inline(always)]
fn begin(tap: &Tap<'_>, color: [u8; RGB]) -> [i32; RGB] {
    color.map(|c| HALF + tap.border * i32::from(c))
}

/// Only the image's rows: those of the border above and below have one colour, and the vertical pass knows it.
fn horizontal(pixels: &[u8], row_in: usize, taps: &Taps, color: [u8; RGB]) -> Vec<u8> {
    let row_out = taps.len() * RGB;
    let mut out = vec![0; pixels.len() / row_in * row_out];
    let tasks = out.par_chunks_mut(row_out * ROWS).zip(pixels.par_chunks(row_in * ROWS));

    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2")
        && let Some(packed) = avx2::Packed::new(taps, row_in, |tap| begin(tap, color))
    {
        #[allow(unsafe_code, reason = "calling code compiled for a CPU feature")]
        tasks.for_each(|(out, rows)| {
            // SAFETY: the feature was detected above; the function has no other precondition.
            unsafe { avx2::horizontal(rows, &packed, out) }
        });
        return out;
    }
    tasks.for_each(|(out, rows)| {
        for (out, row) in out.chunks_exact_mut(row_out).zip(rows.chunks_exact(row_in)) {
            horizontal_row(row, taps, color, out);
        }
    });
    out
}

fn horizontal_row(row: &[u8], taps: &Taps, color: [u8; RGB], out: &mut [u8]) {
    for (x, out) in out.chunks_exact_mut(RGB).enumerate() {
        let tap = taps.at(x);
        let mut sums = begin(&tap, color);
        for (&weight, pixel) in tap.weights.iter().zip(row[tap.first * RGB..].chunks_exact(RGB)) {
            for (sum, &sample) in sums.iter_mut().zip(pixel) {
                *sum += weight * i32::from(sample);
            }
        }
        for (byte, sum) in out.iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
    }
}

fn vertical(source: &[u8], row: usize, taps: &Taps, color: [u8; RGB]) -> Vec<u8> {
    let mut out = vec![0; taps.len() * row];
    out.par_chunks_mut(row).enumerate().for_each(|(y, out)| {
        let tap = taps.at(y);
        dispatch_vertical(&source[tap.first * row..], row, tap.weights, begin(&tap, color), out);
    });
    out
}

#[inline(always)]
fn vertical_row(source: &[u8], row: usize, weights: &[i32], begin: [i32; RGB], out: &mut [u8]) {
    for (i, out) in out.chunks_mut(SPAN).enumerate() {
        let mut sums: [i32; SPAN] = std::array::from_fn(|i| begin[i % RGB]);
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

/// The same loop compiled for AVX2, which the baseline x86-64 target may not use: about four times faster, same
/// integers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn vertical_row_avx2(source: &[u8], row: usize, weights: &[i32], begin: [i32; RGB], out: &mut [u8]) {
    vertical_row(source, row, weights, begin, out);
}

#[allow(unsafe_code, reason = "calling code compiled for a CPU feature")]
fn dispatch_vertical(source: &[u8], row: usize, weights: &[i32], begin: [i32; RGB], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was detected on the line above; the function has no other precondition.
        return unsafe { vertical_row_avx2(source, row, weights, begin, out) };
    }
    vertical_row(source, row, weights, begin, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    /// Without them, the fast pass is the plain one, and the test below shows nothing. That is said past what the test
    /// runner captures, and may be forbidden as for the kernels of products.
    #[cfg(target_arch = "x86_64")]
    fn needs_avx2() {
        use std::io::Write;
        if std::arch::is_x86_feature_detected!("avx2") {
            return;
        }
        let _ = writeln!(std::io::stderr(), "not tested here: resizing with AVX2, for want of it");
        let demanded = std::env::var("ZOO_REQUIRE_LEVELS").unwrap_or_default();
        let demanded = demanded.split(',').map(str::trim).any(|level| !["", "portable"].contains(&level));
        assert!(!demanded, "ZOO_REQUIRE_LEVELS demands AVX2, which this machine lacks");
    }

    /// On whatever instructions there are, for rows shorter and longer than what they read at once, and for borders of
    /// any width.
    #[test]
    fn the_fast_horizontal_pass_is_the_plain_one() {
        #[cfg(target_arch = "x86_64")]
        needs_avx2();
        const COLOR: [u8; RGB] = [122, 0, 255];
        for (width, height) in [(1, 1), (2, 9), (7, 8), (8, 7), (9, 40), (50, 5), (131, 37), (37, 131)] {
            let mut state = 1u32;
            let image = RgbImage::from_fn(width, height, |_, _| {
                image::Rgb([(); RGB].map(|()| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Mostly black and white, so that the cubic kernel overshoots.
                    [0, 255, (state >> 16) as u8][(state >> 24) as usize % 3]
                }))
            });
            for frame in [Framed::bare(&image), Framed::square(&image, COLOR)] {
                for (size, filter) in [1, 2, 14, 56, 301]
                    .into_iter()
                    .flat_map(|s| [(s, Kernel::Bicubic), (s, Kernel::Bilinear), (s, Kernel::Lanczos)])
                {
                    let taps = Taps::new(&frame.horizontal, size, filter);
                    let row = width as usize * RGB;
                    let fast = horizontal(&image, row, &taps, COLOR);
                    let mut plain = vec![0; fast.len()];
                    for (out, row) in plain.chunks_exact_mut(size * RGB).zip(image.chunks_exact(row)) {
                        horizontal_row(row, &taps, COLOR, out);
                    }
                    assert_eq!(fast, plain, "{width}×{height} to {size}, {filter:?}");
                }
            }
        }
    }
}
