//! `Q4_K`: f16 scales of the scales and of the minima, eight 6-bit scales and minima in 12 bytes, then 256 codes of 4
//! bits; a weight is `scale · code - minimum`.

use half::f16;

use super::form::{Form, LINE, half, join, put_half, put_quad, quad};
use super::lanes::{COLUMNS, Lanes};
use super::search;
use crate::lanes::folded;

/// The format.
pub(super) struct Q4K;

const LENGTH: usize = 256;
const QUADS: usize = LENGTH / 4;
/// Codes with a scale and a minimum of their own.
const GROUP: usize = 32;
const GROUPS: usize = LENGTH / GROUP;
/// Lines of a group in a panel, two quads each.
const GROUP_LINES: usize = GROUP / 8;
/// The lines of the packed scales, 4 of their 12 bytes for each row.
const SCALES: usize = GROUPS * GROUP_LINES;
/// The line of the two f16: those of all rows, then the others of all rows.
const HALVES: usize = SCALES + 3;

// Places in a block.
const PACKED: usize = 4;
const CODES: usize = 16;

/// The scale and the minimum of group `g`.
fn group(block: &[u8], g: usize) -> (u8, u8) {
    let packed = &block[PACKED..CODES];
    if g < 4 {
        return (packed[g] & 63, packed[g + 4] & 63);
    }
    let both = packed[g + 4];
    (both & 15 | packed[g - 4] >> 6 << 4, both >> 4 | packed[g] >> 6 << 4)
}

/// Writes them into a block that is zero there.
fn put_group(block: &mut [u8], g: usize, scale: u8, minimum: u8) {
    let packed = &mut block[PACKED..CODES];
    if g < 4 {
        packed[g] |= scale;
        packed[g + 4] |= minimum;
    } else {
        packed[g + 4] = scale & 15 | (minimum & 15) << 4;
        packed[g - 4] |= scale >> 4 << 6;
        packed[g] |= minimum >> 4 << 6;
    }
}

/// The byte of code `i`, and the shift.
#[inline(always)]
fn place(i: usize) -> (usize, u32) {
    (CODES + i / 64 * 32 + i % 32, if i % 64 < 32 { 0 } else { 4 })
}

fn codes(block: &[u8]) -> [u8; LENGTH] {
    std::array::from_fn(|i| {
        let (at, by) = place(i);
        block[at] >> by & 15
    })
}

impl Form for Q4K {
    const LENGTH: usize = LENGTH;
    const BYTES: usize = 144;
    const LINES: usize = HALVES + 1;
    const TAIL: usize = 0;
    const EXTRAS: usize = GROUPS / 2;

    #[inline(always)]
    fn encode(weights: &[f32], block: &mut [u8]) {
        let (groups, _) = weights.as_chunks::<GROUP>();
        let mut found = [(0f32, 0f32); GROUPS];
        for (found, x) in found.iter_mut().zip(groups) {
            let mean = (folded(x.map(|x| x * x)) / GROUP as f32).sqrt();
            *found = search::with_minimum(x, &x.map(|x| mean + x.abs()), 15.0);
        }
        let most = |part: fn(&(f32, f32)) -> f32| found.iter().map(part).fold(0f32, f32::max);
        let (scale, minimum) = (most(|f| f.0), most(|f| f.1));
        let inverse = |most: f32| if most > 0.0 { 63.0 / most } else { 0.0 };
        block.fill(0);
        put_half(block, 0, f16::from_f32(scale / 63.0));
        put_half(block, 2, f16::from_f32(minimum / 63.0));
        let six_bits = |x: f32| search::nearest(x).clamp(0.0, 63.0) as u8;
        for (g, (s, m)) in found.into_iter().enumerate() {
            put_group(block, g, six_bits(inverse(scale) * s), six_bits(inverse(minimum) * m));
        }
        let (scale, minimum) = (half(block, 0), half(block, 2));
        for (g, x) in groups.iter().enumerate() {
            let (s, m) = group(block, g);
            let (step, minimum) = (scale * f32::from(s), minimum * f32::from(m));
            for (i, x) in x.iter().enumerate() {
                let code = if step == 0.0 { 0.0 } else { search::nearest((x + minimum) / step) };
                let (at, by) = place(g * GROUP + i);
                block[at] |= (code.clamp(0.0, 15.0) as u8) << by;
            }
        }
    }

    fn decode(block: &[u8], weights: &mut [f32]) {
        let (codes, scale, minimum) = (codes(block), half(block, 0), half(block, 2));
        for (g, x) in weights.chunks_exact_mut(GROUP).enumerate() {
            let (s, m) = group(block, g);
            let (step, minimum) = (scale * f32::from(s), minimum * f32::from(m));
            for (x, &code) in x.iter_mut().zip(&codes[g * GROUP..]) {
                *x = step * f32::from(code) - minimum;
            }
        }
    }

    fn pack(block: &[u8], row: usize, body: &mut [u8], _: &mut [u8]) {
        let codes = codes(block);
        for line in 0..SCALES {
            put_quad(body, line, row, join(&codes, 8 * line) | join(&codes, 8 * line + 4) << 4);
        }
        for word in 0..3 {
            put_quad(body, SCALES + word, row, join(block, PACKED + 4 * word));
        }
        let halves = &mut body[HALVES * LINE..];
        halves[2 * row..][..2].copy_from_slice(&block[..2]);
        halves[2 * (COLUMNS + row)..][..2].copy_from_slice(&block[2..4]);
    }

    fn unpack(body: &[u8], _: &[u8], row: usize, block: &mut [u8]) {
        let halves = &body[HALVES * LINE..];
        block[..2].copy_from_slice(&halves[2 * row..][..2]);
        block[2..4].copy_from_slice(&halves[2 * (COLUMNS + row)..][..2]);
        for word in 0..3 {
            let packed = quad(body, SCALES + word, row);
            block[PACKED + 4 * word..][..4].copy_from_slice(&packed.to_le_bytes());
        }
        block[CODES..].fill(0);
        for line in 0..SCALES {
            let pair = quad(body, line, row);
            for (part, codes) in [pair & 0x0f0f_0f0f, pair >> 4 & 0x0f0f_0f0f].into_iter().enumerate() {
                for (i, code) in codes.to_le_bytes().into_iter().enumerate() {
                    let (at, by) = place(8 * line + 4 * part + i);
                    block[at] |= code << by;
                }
            }
        }
    }

    /// The sums of the groups as pairs of 16 bits: of 0 and 2, 1 and 3, 4 and 6, 5 and 7, in the order in which the
    /// kernel meets their minima.
    fn extras(x: &[i8], extras: &mut [i32]) {
        let sum = |g: usize| x[g * GROUP..][..GROUP].iter().map(|&x| i32::from(x)).sum::<i32>();
        for (pair, first) in extras.iter_mut().zip([0, 1, 4, 5]) {
            *pair = sum(first) & 0xffff | sum(first + 2) << 16;
        }
    }

    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize>(
        sums: &mut [L::Float; R],
        body: *const u8,
        _: *const u8,
        x: *const i32,
    ) {
        // SAFETY: the caller vouches for instructions and lengths.
        unsafe {
            let (nibble, pair) = (L::splat(0x0f0f_0f0f), L::splat(0x3030_3030));
            let (six, byte, even) = (L::splat(0x3f3f_3f3f), L::splat(0xff), L::splat(0x00ff_00ff));
            let packed = body.add(SCALES * LINE);
            let packed = [L::line(packed), L::line(packed.add(LINE)), L::line(packed.add(2 * LINE))];
            // Four scales, and four minima, as the bytes of a lane.
            let fours = [
                (L::and(packed[0], six), L::and(packed[1], six)),
                (
                    L::or(L::and(packed[2], nibble), L::and(L::right(packed[0], 2), pair)),
                    L::or(L::and(L::right(packed[2], 4), nibble), L::and(L::right(packed[1], 2), pair)),
                ),
            ];
            let mut dots = [L::splat(0); R];
            for g in 0..GROUPS {
                let scale = L::and(L::right(fours[g / 4].0, 8 * (g as u32 % 4)), byte);
                let mut group = [L::splat(0); R];
                for line in 0..GROUP_LINES {
                    let line = g * GROUP_LINES + line;
                    let codes = L::line(body.add(line * LINE));
                    let (first, second) = (L::and(codes, nibble), L::and(L::right(codes, 4), nibble));
                    for (r, dot) in group.iter_mut().enumerate() {
                        *dot = L::dot_bytes(*dot, first, L::splat(*x.add(2 * line * R + r)));
                        *dot = L::dot_bytes(*dot, second, L::splat(*x.add((2 * line + 1) * R + r)));
                    }
                }
                for (dots, group) in dots.iter_mut().zip(group) {
                    *dots = L::add(*dots, L::mul(group, scale));
                }
            }
            let (scale, minimum) =
                (L::halves(body.add(HALVES * LINE)), L::halves(body.add(HALVES * LINE + 2 * COLUMNS)));
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let mut minima = L::splat(0);
                for (i, (_, four)) in fours.iter().enumerate() {
                    for (odd, four) in
                        [L::and(*four, even), L::and(L::right(*four, 8), even)].into_iter().enumerate()
                    {
                        let sums = L::splat(*x.add((QUADS + 2 * i + odd) * R + r));
                        minima = L::dot_words(minima, four, sums);
                    }
                }
                let by = *x.add((QUADS + GROUPS / 2) * R + r);
                let above = L::times(L::float(dot), L::scaled(scale, by));
                let below = L::times(L::float(minima), L::scaled(minimum, by));
                *sum = L::plus(*sum, L::minus(above, below));
            }
        }
    }
}
