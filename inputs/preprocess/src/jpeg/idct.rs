//! From coefficients to samples: libjpeg's accurate integer transform ("islow"), and its reduced ones.
//!
//! The method is that of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) with constants of 13 bits. It is separable: once
//! down the columns, once along the rows, where the second pass works on the transposed block, so that both are eight equal
//! computations side by side. Arithmetic is 16 bits wide in and out and 32 bits within, and saturates as libjpeg-turbo's
//! does on processors with vector instructions; coefficients that no encoder writes overflow alike.

use super::sequential::Block;

/// Bits of the constants.
const BITS: u32 = 13;
/// Extra bits between the passes.
const EXTRA: u32 = 2;

/// A block in rows.
type Rows = [[i16; 8]; 8];

/// Samples of a block, in rows; a reduced block uses the first of each.
pub(super) type Samples = [[u8; 8]; 8];

/// Samples of a block of which only the DC coefficient is not 0.
#[inline(always)]
pub(super) fn flat(dc: i16, step: i16) -> u8 {
    let value = i32::from(dc.wrapping_mul(step).wrapping_shl(EXTRA)) << BITS;
    sample(descale(value, BITS + EXTRA + 3))
}

/// The whole block, 8×8 samples.
#[inline(always)]
pub(super) fn full(block: &Block, table: &Block) -> Samples {
    let mut rows: Rows = [[0; 8]; 8];
    for i in 0..8 {
        for j in 0..8 {
            rows[i][j] = block[8 * i + j].wrapping_mul(table[8 * i + j]);
        }
    }
    // Down the columns, unless they hold nothing below the first row.
    let columns = if block[8..].iter().fold(0, |all, &c| all | c) == 0 {
        let mut first = rows[0];
        first.iter_mut().for_each(|dc| *dc = dc.wrapping_shl(EXTRA));
        [first; 8]
    } else {
        pass::<{ BITS - EXTRA }>(&rows)
    };
    let result = pass::<{ BITS + EXTRA + 3 }>(&transposed(&columns));
    let mut samples = [[0; 8]; 8];
    for i in 0..8 {
        for j in 0..8 {
            samples[i][j] = (result[i][j].clamp(-128, 127) + 128) as u8;
        }
    }
    transposed_samples(&samples)
}

/// Eight transforms side by side: of the values at `[0][i]` to `[7][i]`, for each `i`.
#[inline(always)]
fn pass<const SHIFT: u32>(x: &Rows) -> Rows {
    let mut out = [[0; 8]; 8];
    for i in 0..8 {
        let wide = |row: usize| i32::from(x[row][i]);
        let times = |value: i32, constant: i32| value.wrapping_mul(constant);

        // Even part.
        let (z2, z3) = (wide(2), wide(6));
        let z1 = times(z2 + z3, 4433);
        let even2 = z1 - times(z3, 15137);
        let even3 = z1 + times(z2, 6270);
        let even0 = i32::from(x[0][i].wrapping_add(x[4][i])) << BITS;
        let even1 = i32::from(x[0][i].wrapping_sub(x[4][i])) << BITS;
        let sums = [
            even0.wrapping_add(even3),
            even1.wrapping_add(even2),
            even1.wrapping_sub(even2),
            even0.wrapping_sub(even3),
        ];

        // Odd part.
        let z3 = i32::from(x[7][i].wrapping_add(x[3][i]));
        let z4 = i32::from(x[5][i].wrapping_add(x[1][i]));
        let z5 = times(z3 + z4, 9633);
        let z1 = times(wide(7) + wide(1), -7373);
        let z2 = times(wide(5) + wide(3), -20995);
        let z3 = times(z3, -16069).wrapping_add(z5);
        let z4 = times(z4, -3196).wrapping_add(z5);
        let odd = [
            times(wide(1), 12299).wrapping_add(z1).wrapping_add(z4),
            times(wide(3), 25172).wrapping_add(z2).wrapping_add(z3),
            times(wide(5), 16819).wrapping_add(z2).wrapping_add(z4),
            times(wide(7), 2446).wrapping_add(z1).wrapping_add(z3),
        ];

        for n in 0..4 {
            out[n][i] = saturated(descale(sums[n].wrapping_add(odd[n]), SHIFT));
            out[7 - n][i] = saturated(descale(sums[n].wrapping_sub(odd[n]), SHIFT));
        }
    }
    out
}

/// 4×4 samples: a block at half its size.
#[inline(always)]
pub(super) fn half(block: &Block, table: &Block) -> Samples {
    let value = |row: usize, column: usize| {
        let at = 8 * row + column;
        i32::from(block[at].wrapping_mul(table[at]))
    };
    let mut columns = [[0i32; 8]; 4];
    for column in [0, 1, 2, 3, 5, 6, 7] {
        let [x0, x1, x2, x3] = [value(0, column), value(1, column), value(2, column), value(3, column)];
        let x = [x0, x1, x2, x3, value(5, column), value(6, column), value(7, column)];
        for (row, result) in half_pass(x).into_iter().enumerate() {
            columns[row][column] = saturated(descale(result, BITS - EXTRA + 1)).into();
        }
    }
    let mut samples = [[0; 8]; 8];
    for (row, x) in columns.into_iter().enumerate() {
        let x = [x[0], x[1], x[2], x[3], x[5], x[6], x[7]];
        for (column, result) in half_pass(x).into_iter().enumerate() {
            samples[row][column] = sample(descale(result, BITS + EXTRA + 4));
        }
    }
    samples
}

/// Four values of eight coefficients, of which the fifth counts for nothing.
#[inline(always)]
fn half_pass([x0, x1, x2, x3, x5, x6, x7]: [i32; 7]) -> [i32; 4] {
    let even = x0 << (BITS + 1);
    let slope = weighted([x2, x6], [15137, -6270]);
    let inner = weighted([x7, x5, x3, x1], [-1730, 11893, -17799, 8697]);
    let outer = weighted([x7, x5, x3, x1], [-4176, -4926, 7373, 20995]);
    let (far, near) = (even.wrapping_add(slope), even.wrapping_sub(slope));
    [far.wrapping_add(outer), near.wrapping_add(inner), near.wrapping_sub(inner), far.wrapping_sub(outer)]
}

/// 2×2 samples: a block at a quarter of its size.
#[inline(always)]
pub(super) fn quarter(block: &Block, table: &Block) -> Samples {
    let value = |row: usize, column: usize| {
        let at = 8 * row + column;
        i32::from(block[at].wrapping_mul(table[at]))
    };
    let mut columns = [[0i32; 8]; 2];
    for column in [0, 1, 3, 5, 7] {
        let [x0, x1, x3] = [value(0, column), value(1, column), value(3, column)];
        let results = quarter_pass([x0, x1, x3, value(5, column), value(7, column)]);
        for (row, result) in results.into_iter().enumerate() {
            columns[row][column] = saturated(descale(result, BITS - EXTRA + 2)).into();
        }
    }
    let mut samples = [[0; 8]; 8];
    for (row, x) in columns.into_iter().enumerate() {
        for (column, result) in quarter_pass([x[0], x[1], x[3], x[5], x[7]]).into_iter().enumerate() {
            samples[row][column] = sample(descale(result, BITS + EXTRA + 5));
        }
    }
    samples
}

/// Two values of eight coefficients: of the even ones only the first counts.
#[inline(always)]
fn quarter_pass([x0, x1, x3, x5, x7]: [i32; 5]) -> [i32; 2] {
    let even = x0 << (BITS + 2);
    let odd = weighted([x7, x5, x3, x1], [-5906, 6967, -10426, 29692]);
    [even.wrapping_add(odd), even.wrapping_sub(odd)]
}

#[inline(always)]
fn weighted<const N: usize>(x: [i32; N], weights: [i32; N]) -> i32 {
    x.iter().zip(weights).fold(0i32, |sum, (x, w)| sum.wrapping_add(x.wrapping_mul(w)))
}

/// Divides by a power of two, halves up.
#[inline(always)]
fn descale(value: i32, by: u32) -> i32 {
    value.wrapping_add(1 << (by - 1)) >> by
}

#[inline(always)]
fn saturated(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[inline(always)]
fn sample(value: i32) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

#[inline(always)]
fn transposed(rows: &Rows) -> Rows {
    let mut out = [[0; 8]; 8];
    for i in 0..8 {
        for j in 0..8 {
            out[j][i] = rows[i][j];
        }
    }
    out
}

#[inline(always)]
fn transposed_samples(rows: &Samples) -> Samples {
    let mut out = [[0; 8]; 8];
    for i in 0..8 {
        for j in 0..8 {
            out[j][i] = rows[i][j];
        }
    }
    out
}
