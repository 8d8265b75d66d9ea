//! Cells of rows side by side, by transposing 16 rows of 16 cells.

use std::arch::x86_64::*;

use crate::tile::WOVEN;

/// [`Tile::weave`](crate::tile::Tile::weave).
///
/// # Safety
/// That of [`Tile::weave`](crate::tile::Tile::weave); the machine has AVX-512 F.
#[inline(always)]
pub(super) unsafe fn weave(
    rows: &[*const u32; WOVEN],
    count: usize,
    to: *mut u32,
    width: usize,
    room: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let zero = _mm512_setzero_si512();
        // Loops, not closures: those would not be compiled for the instructions.
        let mut v = [zero; WOVEN];
        for (v, row) in v.iter_mut().zip(rows).take(count) {
            *v = _mm512_loadu_si512(row.cast());
        }
        // Pairs of rows, then fours, within each quarter of the vectors; then the quarters.
        let (mut two, mut four) = ([zero; WOVEN], [zero; WOVEN]);
        for i in (0..WOVEN).step_by(2) {
            two[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
            two[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
        }
        for i in (0..WOVEN).step_by(4) {
            for half in 0..2 {
                let (a, b) = (two[i + half], two[i + half + 2]);
                four[i + 2 * half] = _mm512_unpacklo_epi64(a, b);
                four[i + 2 * half + 1] = _mm512_unpackhi_epi64(a, b);
            }
        }
        let mut steps = [zero; WOVEN];
        for column in 0..4 {
            let [a, b, c, d] = [four[column], four[4 + column], four[8 + column], four[12 + column]];
            let (ab_even, cd_even) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d));
            let (ab_odd, cd_odd) = (_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d));
            steps[column] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
            steps[4 + column] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
            steps[8 + column] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
            steps[12 + column] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
        }
        for (step, cells) in steps.into_iter().enumerate() {
            let start = step * width;
            if start + WOVEN <= room {
                _mm512_storeu_si512(to.add(start).cast(), cells);
            } else {
                _mm512_mask_storeu_epi32(
                    to.add(start).cast(),
                    ((1u32 << width.min(WOVEN)) - 1) as u16,
                    cells,
                );
            }
        }
    }
}
