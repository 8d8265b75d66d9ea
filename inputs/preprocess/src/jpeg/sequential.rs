//! Blocks of sequential scans: a DC difference, then runs of zeros and numbers.

use super::bits::Bits;
use super::huffman::{Table, extend};
use super::order::NATURAL;

/// Coefficients of a block, row by row, as they stand in the file.
pub(super) type Block = [i16; 64];

/// Reads the DC difference of a block.
#[inline(always)]
pub(super) fn difference(bits: &mut Bits<'_>, table: &Table) -> i32 {
    bits.refill();
    let entry = table.look(bits);
    if entry.is_whole() {
        bits.drop(entry.length());
        return entry.value().into();
    }
    match table.symbol(bits, entry) & 15 {
        0 => 0,
        size => extend(bits.take(size), size),
    }
}

/// Reads a block into `block`, which holds zeros. Returns whether it has AC coefficients.
#[inline(always)]
pub(super) fn block(
    bits: &mut Bits<'_>,
    (dc, ac): (&Table, &Table),
    predicted: &mut i32,
    block: &mut Block,
) -> bool {
    *predicted = predicted.wrapping_add(difference(bits, dc));
    block[0] = *predicted as i16;
    let mut k = 1usize;
    while k < 64 {
        bits.refill();
        let entry = ac.look(bits);
        if entry.is_whole() {
            bits.drop(entry.length());
            k += entry.symbol() as usize;
            block[usize::from(NATURAL[k & 127])] = entry.value();
            k += 1;
            continue;
        }
        let symbol = ac.symbol(bits, entry);
        let (run, size) = ((symbol >> 4) as usize, symbol & 15);
        if size == 0 {
            if run != 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += run;
        block[usize::from(NATURAL[k & 127])] = extend(bits.take(size), size) as i16;
        k += 1;
    }
    k > 1
}
