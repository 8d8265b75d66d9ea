//! Blocks of progressive scans: the first bits of a coefficient, or one more bit.

use super::bits::Bits;
use super::huffman::{Table, extend};
use super::order::NATURAL;
use super::sequential::{Block, difference};

/// The first bits of a DC coefficient, `low` of which come later.
#[inline(always)]
pub(super) fn dc_first(bits: &mut Bits<'_>, table: &Table, predicted: &mut i32, block: &mut Block, low: u8) {
    *predicted = predicted.wrapping_add(difference(bits, table));
    block[0] = (*predicted << low) as i16;
}

/// One more bit of a DC coefficient.
#[inline(always)]
pub(super) fn dc_refine(bits: &mut Bits<'_>, block: &mut Block, low: u8) {
    if bits.bit() {
        block[0] |= 1 << low;
    }
}

/// Which AC coefficients a scan holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) last: usize,
    /// Bits that come later.
    pub(super) low: u8,
}

/// The first bits of the AC coefficients of a band. `run` counts blocks that hold nothing more.
#[inline(always)]
pub(super) fn ac_first(bits: &mut Bits<'_>, table: &Table, run: &mut u32, block: &mut Block, band: Band) {
    if *run > 0 {
        *run -= 1;
        return;
    }
    let mut k = band.first;
    while k <= band.last {
        bits.refill();
        let entry = table.look(bits);
        if entry.is_whole() {
            bits.drop(entry.length());
            k += entry.symbol() as usize;
            block[usize::from(NATURAL[k & 127])] = entry.value() << band.low;
            k += 1;
            continue;
        }
        let symbol = table.symbol(bits, entry);
        let (zeros, size) = (symbol >> 4, symbol & 15);
        if size > 0 {
            k += zeros as usize;
            block[usize::from(NATURAL[k & 127])] = (extend(bits.take(size), size) << band.low) as i16;
            k += 1;
        } else if zeros == 15 {
            k += 16;
        } else {
            *run = end_of_band(bits, zeros) - 1;
            break;
        }
    }
}

/// How many blocks hold nothing more, this one included.
#[inline(always)]
fn end_of_band(bits: &mut Bits<'_>, size: u32) -> u32 {
    (1 << size) + if size > 0 { bits.take(size) } else { 0 }
}

/// One more bit of the AC coefficients of a band.
#[inline(always)]
pub(super) fn ac_refine(bits: &mut Bits<'_>, table: &Table, run: &mut u32, block: &mut Block, band: Band) {
    let mut k = band.first;
    if *run == 0 {
        while k <= band.last {
            bits.refill();
            let entry = table.look(bits);
            let symbol = table.symbol(bits, entry);
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            if size > 0 {
                // A coefficient that becomes one of the least bit.
                bits.wrong |= size != 1;
                new = if bits.take(1) != 0 { 1 } else { -1 };
            } else if zeros != 15 {
                *run = end_of_band(bits, zeros);
                break;
            }
            // Zeros are passed over, others get their bit.
            while k <= band.last {
                let coefficient = &mut block[usize::from(NATURAL[k & 127])];
                if *coefficient != 0 {
                    refine(bits, coefficient, band.low);
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if new != 0 {
                block[usize::from(NATURAL[k & 127])] = new << band.low;
            }
            k += 1;
        }
    }
    if *run > 0 {
        while k <= band.last {
            let coefficient = &mut block[usize::from(NATURAL[k & 127])];
            if *coefficient != 0 {
                refine(bits, coefficient, band.low);
            }
            k += 1;
        }
        *run -= 1;
    }
}

/// Makes a coefficient larger by the next bit, away from zero.
#[inline(always)]
fn refine(bits: &mut Bits<'_>, coefficient: &mut i16, low: u8) {
    let bit = 1i16 << low;
    if bits.bit() && *coefficient & bit == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { bit } else { -bit });
    }
}
