//! `Q8_0`: an f16 scale, then 32 signed codes.

use half::f16;

use super::form::{Form, LINE, half, join, put_half, put_quad, quad};
use super::lanes::{COLUMNS, Lanes};

/// The format.
pub(super) struct Q8_0;

/// What makes the signed codes unsigned in a panel.
const SHIFT: i32 = 128;
const QUADS: usize = 8;

impl Form for Q8_0 {
    const LENGTH: usize = 32;
    const BYTES: usize = 34;
    const LINES: usize = QUADS;
    const TAIL: usize = 2 * COLUMNS;
    const EXTRAS: usize = 1;

    #[inline(always)]
    fn encode(weights: &[f32], block: &mut [u8]) {
        let most = weights.iter().fold(0f32, |most, x| most.max(x.abs()));
        let scale = most / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        put_half(block, 0, f16::from_f32(scale));
        for (code, x) in block[2..].iter_mut().zip(weights) {
            *code = (x * inverse).round() as i8 as u8;
        }
    }

    fn decode(block: &[u8], weights: &mut [f32]) {
        let scale = half(block, 0);
        for (x, &code) in weights.iter_mut().zip(&block[2..]) {
            *x = f32::from(code as i8) * scale;
        }
    }

    fn pack(block: &[u8], row: usize, body: &mut [u8], tail: &mut [u8]) {
        tail[2 * row..][..2].copy_from_slice(&block[..2]);
        for line in 0..QUADS {
            put_quad(body, line, row, join(block, 2 + 4 * line) ^ 0x8080_8080);
        }
    }

    fn unpack(body: &[u8], tail: &[u8], row: usize, block: &mut [u8]) {
        block[..2].copy_from_slice(&tail[2 * row..][..2]);
        for line in 0..QUADS {
            let codes = quad(body, line, row) ^ 0x8080_8080;
            block[2 + 4 * line..][..4].copy_from_slice(&codes.to_le_bytes());
        }
    }

    fn extras(x: &[i8], extras: &mut [i32]) {
        extras[0] = -SHIFT * x.iter().map(|&x| i32::from(x)).sum::<i32>();
    }

    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize>(
        sums: &mut [L::Float; R],
        body: *const u8,
        tail: *const u8,
        x: *const i32,
    ) {
        // SAFETY: the caller vouches for instructions and lengths.
        unsafe {
            let mut dots = [L::splat(0); R];
            for (r, dot) in dots.iter_mut().enumerate() {
                *dot = L::splat(*x.add(QUADS * R + r));
            }
            for q in 0..QUADS {
                let codes = L::line(body.add(q * LINE));
                for (r, dot) in dots.iter_mut().enumerate() {
                    *dot = L::dot_bytes(*dot, codes, L::splat(*x.add(q * R + r)));
                }
            }
            let scale = L::halves(tail);
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let scale = L::scaled(scale, *x.add((QUADS + 1) * R + r));
                *sum = L::plus(*sum, L::times(L::float(dot), scale));
            }
        }
    }
}
