//! Huffman tables: from a file's description to look-ups.

use super::bits::Bits;
use super::fault::Fault;

/// Bits that are looked up at once.
const LOOK: u32 = 10;

/// A table as it stands in the file: how many codes of each length 1 to 16, and their symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) counts: [u8; 16],
    pub(super) symbols: Vec<u8>,
}

/// What a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Differences of DC coefficients: symbols are numbers of bits.
    Dc,
    /// AC coefficients: symbols are a run of zeros and a number of bits.
    Ac,
    /// AC coefficients of a refining scan: as [`Kind::Ac`], and only symbols are looked up.
    Refining,
}

/// A table to decode with.
pub(super) struct Table {
    /// What the next [`LOOK`] bits begin with: see [`Entry`].
    look: [Entry; 1 << LOOK],
    /// The largest code of each length, and where its symbols begin less its smallest code. -1 for no code.
    longest: [i32; 17],
    offset: [i32; 17],
    symbols: [u8; 256],
}

/// A code, and where it fits the number behind it as well: bits 0–5 how many bits to drop, bit 6 whether the number is
/// included, bits 8–15 the symbol (then only its run), bits 16–31 the number. 0: the code is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Entry(u32);

impl Entry {
    const WHOLE: u32 = 1 << 6;

    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        self.0 & 63
    }

    #[inline(always)]
    pub(super) fn is_whole(self) -> bool {
        self.0 & Self::WHOLE != 0
    }

    #[inline(always)]
    pub(super) fn symbol(self) -> u32 {
        self.0 >> 8 & 255
    }

    #[inline(always)]
    pub(super) fn value(self) -> i16 {
        (self.0 >> 16) as i16
    }
}

impl Table {
    /// The table that `spec` describes.
    pub(super) fn new(spec: &Spec, kind: Kind) -> Result<Self, Fault> {
        let wrong = || Fault::broken("a Huffman table is none");
        let mut table =
            Self { look: [Entry(0); 1 << LOOK], longest: [-1; 17], offset: [0; 17], symbols: [0; 256] };
        table.symbols.get_mut(..spec.symbols.len()).ok_or_else(wrong)?.copy_from_slice(&spec.symbols);
        if kind == Kind::Dc && spec.symbols.iter().any(|&bits| bits > 15) {
            return Err(wrong());
        }
        let (mut code, mut next) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(&spec.counts) {
            let count = usize::from(count);
            if count > 0 {
                table.offset[length as usize] = next as i32 - code as i32;
                for &symbol in spec.symbols.get(next..next + count).ok_or_else(wrong)? {
                    if length <= LOOK {
                        table.fill(code, length, symbol, kind);
                    }
                    code += 1;
                }
                next += count;
                // The code of ones only is reserved, and codes may not run over.
                if code >= 1 << length {
                    return Err(wrong());
                }
                table.longest[length as usize] = code as i32 - 1;
            }
            code <<= 1;
        }
        Ok(table)
    }

    /// Enters a code at all positions that begin with it.
    fn fill(&mut self, code: u32, length: u32, symbol: u8, kind: Kind) {
        let size = u32::from(match kind {
            Kind::Dc => symbol,
            Kind::Ac => symbol & 15,
            Kind::Refining => 0,
        });
        let rest = LOOK - length;
        for tail in 0..1u32 << rest {
            let entry = if size > 0 && size <= rest {
                let number = extend(tail >> (rest - size), size);
                let run = if kind == Kind::Dc { 0 } else { u32::from(symbol >> 4) };
                (number as u16 as u32) << 16 | run << 8 | Entry::WHOLE | (length + size)
            } else {
                u32::from(symbol) << 8 | length
            };
            if let Some(slot) = self.look.get_mut((code << rest | tail) as usize) {
                *slot = Entry(entry);
            }
        }
    }

    /// What the next bits begin with; at least 17 must be there.
    #[inline(always)]
    pub(super) fn look(&self, bits: &Bits<'_>) -> Entry {
        self.look[bits.peek(LOOK) as usize]
    }

    /// The next symbol, read and dropped. Bits that no code begins with count as symbol 0 of 17 bits and are noted.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>, entry: Entry) -> u32 {
        if entry.0 != 0 {
            bits.drop(entry.length());
            return entry.symbol();
        }
        self.long(bits)
    }

    #[cold]
    fn long(&self, bits: &mut Bits<'_>) -> u32 {
        for length in LOOK + 1..=16 {
            let code = bits.peek(length) as i32;
            if code <= self.longest[length as usize] {
                bits.drop(length);
                let at = code + self.offset[length as usize];
                return self.symbols[(at & 255) as usize].into();
            }
        }
        bits.drop(17);
        bits.wrong = true;
        0
    }
}

/// The number that `size` bits stand for: the lower half of them is negative.
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
}

/// The tables of the standard's annex K, which files of single video frames leave out: luminance and chrominance.
pub(super) fn standard(kind: Kind) -> [Spec; 2] {
    let dc = |counts| Spec { counts, symbols: (0..12).collect() };
    let ac = |counts, symbols: &[u8]| Spec { counts, symbols: symbols.to_vec() };
    match kind {
        Kind::Dc => [
            dc([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
            dc([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]),
        ],
        Kind::Ac | Kind::Refining => [
            ac([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &LUMINANCE),
            ac([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &CHROMINANCE),
        ],
    }
}

/// Table K.5.
#[rustfmt::skip]
const LUMINANCE: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// Table K.6.
#[rustfmt::skip]
const CHROMINANCE: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
