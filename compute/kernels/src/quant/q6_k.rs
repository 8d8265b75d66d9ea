//! `Q6_K`: 256 codes of 6 bits that stand for -32..32, their low 4 bits first and then their high 2, an 8-bit scale
//! for every 16 of them, and an f16 scale of the scales.

use half::f16;

use super::form::{Form, LINE, half, join, put_half, put_quad, quad};
use super::lanes::{COLUMNS, Lanes};
use super::search;

/// The format.
pub(super) struct Q6K;

const LENGTH: usize = 256;
const QUADS: usize = LENGTH / 4;
/// Codes with a scale of their own.
const GROUP: usize = 16;
const GROUPS: usize = LENGTH / GROUP;
/// Lines of a group in a panel: low bits of its quads 0 and 1, of 2 and 3, high bits of all four.
const GROUP_LINES: usize = 3;
/// Where the scales stand in a body, 16 bytes a group.
const SCALES: usize = GROUPS * GROUP_LINES * LINE;
/// What makes the codes unsigned.
const SHIFT: i32 = 32;

// Places in a block.
const HIGH: usize = 128;
const GROUP_SCALES: usize = 192;
const SCALE: usize = 208;

/// Calls `each` with the place of every code: its index, the byte and the shift of its low bits, those of its high
/// bits.
#[inline(always)]
fn places(mut each: impl FnMut(usize, (usize, u32), (usize, u32))) {
    for half in 0..2 {
        for part in 0..4 {
            for i in 0..32 {
                let low = (64 * half + 32 * (part % 2) + i, 4 * (part as u32 / 2));
                each(128 * half + 32 * part + i, low, (HIGH + 32 * half + i, 2 * part as u32));
            }
        }
    }
}

fn codes(block: &[u8]) -> [u8; LENGTH] {
    let mut codes = [0; LENGTH];
    places(|i, (low, by), (high, high_by)| {
        codes[i] = block[low] >> by & 0xf | (block[high] >> high_by & 3) << 4;
    });
    codes
}

fn put_codes(block: &mut [u8], codes: &[u8; LENGTH]) {
    block[..GROUP_SCALES].fill(0);
    places(|i, (low, by), (high, high_by)| {
        block[low] |= (codes[i] & 0xf) << by;
        block[high] |= codes[i] >> 4 << high_by;
    });
}

impl Form for Q6K {
    const LENGTH: usize = LENGTH;
    const BYTES: usize = 210;
    const LINES: usize = GROUPS * GROUP_LINES + GROUPS * COLUMNS / LINE;
    const TAIL: usize = 2 * COLUMNS;
    const EXTRAS: usize = GROUPS;

    #[inline(always)]
    fn encode(weights: &[f32], block: &mut [u8]) {
        let (groups, _) = weights.as_chunks::<GROUP>();
        let mut scales = [0f32; GROUPS];
        scales.iter_mut().zip(groups).for_each(|(scale, x)| *scale = search::symmetric(x, 32.0));
        let extreme = scales.iter().fold(0f32, |most, &s| if s.abs() > most.abs() { s } else { most });
        block.fill(0);
        if extreme.abs() < 1e-15 {
            return;
        }
        let inverse = -128.0 / extreme;
        put_half(block, SCALE, f16::from_f32(1.0 / inverse));
        let scale = half(block, SCALE);
        let mut codes = [0; LENGTH];
        for (g, x) in groups.iter().enumerate() {
            let group = search::nearest(inverse * scales[g]).min(127.0);
            block[GROUP_SCALES + g] = group as i8 as u8;
            let step = scale * group;
            for (code, x) in codes[g * GROUP..].iter_mut().zip(x) {
                let signed = if step == 0.0 { 0.0 } else { search::nearest(x / step).clamp(-32.0, 31.0) };
                *code = (signed + 32.0) as u8;
            }
        }
        put_codes(block, &codes);
    }

    fn decode(block: &[u8], weights: &mut [f32]) {
        let (codes, scale) = (codes(block), half(block, SCALE));
        for (i, (x, code)) in weights.iter_mut().zip(codes).enumerate() {
            let group = f32::from(block[GROUP_SCALES + i / GROUP] as i8);
            *x = scale * group * (f32::from(code) - 32.0);
        }
    }

    fn pack(block: &[u8], row: usize, body: &mut [u8], tail: &mut [u8]) {
        let codes = codes(block);
        for g in 0..GROUPS {
            let quads: [u32; 4] = std::array::from_fn(|q| join(&codes, g * GROUP + 4 * q));
            let [low, high] = [quads.map(|q| q & 0x0f0f_0f0f), quads.map(|q| q >> 4 & 0x0303_0303)];
            let line = g * GROUP_LINES;
            put_quad(body, line, row, low[0] | low[1] << 4);
            put_quad(body, line + 1, row, low[2] | low[3] << 4);
            put_quad(body, line + 2, row, high[0] | high[1] << 2 | high[2] << 4 | high[3] << 6);
            body[SCALES + g * COLUMNS + row] = block[GROUP_SCALES + g];
        }
        tail[2 * row..][..2].copy_from_slice(&block[SCALE..]);
    }

    fn unpack(body: &[u8], tail: &[u8], row: usize, block: &mut [u8]) {
        let mut codes = [0; LENGTH];
        for g in 0..GROUPS {
            let lines: [u32; 3] = std::array::from_fn(|i| quad(body, g * GROUP_LINES + i, row));
            for q in 0..4 {
                let low = lines[q / 2] >> (4 * (q % 2)) & 0x0f0f_0f0f;
                let high = lines[2] >> (2 * q) & 0x0303_0303;
                let at = g * GROUP + 4 * q;
                codes[at..at + 4].copy_from_slice(&(low | high << 4).to_le_bytes());
            }
            block[GROUP_SCALES + g] = body[SCALES + g * COLUMNS + row];
        }
        put_codes(block, &codes);
        block[SCALE..].copy_from_slice(&tail[2 * row..][..2]);
    }

    fn extras(x: &[i8], extras: &mut [i32]) {
        for (sum, x) in extras.iter_mut().zip(x.chunks_exact(GROUP)) {
            *sum = -SHIFT * x.iter().map(|&x| i32::from(x)).sum::<i32>();
        }
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
            let (nibble, pair) = (L::splat(0x0f0f_0f0f), L::splat(0x3030_3030));
            let mut dots = [L::splat(0); R];
            for g in 0..GROUPS {
                let lines = body.add(g * GROUP_LINES * LINE);
                let low = [L::line(lines), L::line(lines.add(LINE))];
                let high = L::line(lines.add(2 * LINE));
                let codes = [
                    L::or(L::and(low[0], nibble), L::and(L::left(high, 4), pair)),
                    L::or(L::and(L::right(low[0], 4), nibble), L::and(L::left(high, 2), pair)),
                    L::or(L::and(low[1], nibble), L::and(high, pair)),
                    L::or(L::and(L::right(low[1], 4), nibble), L::and(L::right(high, 2), pair)),
                ];
                let scale = L::signed_bytes(body.add(SCALES + g * COLUMNS));
                for (r, dots) in dots.iter_mut().enumerate() {
                    let mut dot = L::splat(*x.add((QUADS + g) * R + r));
                    for (q, &codes) in codes.iter().enumerate() {
                        dot = L::dot_bytes(dot, codes, L::splat(*x.add((4 * g + q) * R + r)));
                    }
                    *dots = L::add(*dots, L::mul(dot, scale));
                }
            }
            let scale = L::halves(tail);
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let scale = L::scaled(scale, *x.add((QUADS + GROUPS) * R + r));
                *sum = L::plus(*sum, L::times(L::float(dot), scale));
            }
        }
    }
}
