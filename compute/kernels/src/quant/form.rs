//! What a block format is, as code.

use super::lanes::{COLUMNS, Lanes};

/// Bytes of a line: four inputs of each output of a panel.
pub(super) const LINE: usize = 64;

/// A block format as code.
///
/// In a panel of [`COLUMNS`] rows the *bodies* of the blocks follow one another, [`Form::LINES`] lines of 64 bytes
/// each, and behind them all their *tails* of [`Form::TAIL`] bytes: what would not fill a line. A line of codes holds
/// for each row 4 neighbouring inputs (a *quad*) as unsigned bytes, or parts of several quads.
///
/// Activations of a block are words of 32 bits: its quads, then [`Form::EXTRAS`] sums that make up for the codes
/// being unsigned, then the scale.
pub(super) trait Form {
    /// Weights of a block.
    const LENGTH: usize;
    /// Bytes of a block in a file.
    const BYTES: usize;
    /// Lines of a block's body.
    const LINES: usize;
    /// Bytes of its tail.
    const TAIL: usize;
    /// Sums of activations.
    const EXTRAS: usize;

    /// Words of activations of a block.
    const WORDS: usize = Self::LENGTH / 4 + Self::EXTRAS + 1;

    /// Quantises [`Form::LENGTH`] weights.
    fn encode(weights: &[f32], block: &mut [u8]);

    /// The weights of a block.
    fn decode(block: &[u8], weights: &mut [f32]);

    /// Puts the block of row `row` of a panel into the panel.
    fn pack(block: &[u8], row: usize, body: &mut [u8], tail: &mut [u8]);

    /// The inverse of [`Form::pack`].
    fn unpack(body: &[u8], tail: &[u8], row: usize, block: &mut [u8]);

    /// The sums over the quantised activations `x` of a block.
    fn extras(x: &[i8], extras: &mut [i32]);

    /// Adds the products of one block of a panel with `R` rows of activations to their sums.
    ///
    /// # Safety
    /// The machine has the instructions of `L`. `body` stands on a line and holds [`Form::LINES`] of them, `tail` holds
    /// [`Form::TAIL`] bytes; `x` holds [`Form::WORDS`] words of each row, those of the rows side by side.
    unsafe fn add<L: Lanes, const R: usize>(
        sums: &mut [L::Float; R],
        body: *const u8,
        tail: *const u8,
        x: *const i32,
    );

    /// The products of `R` rows of activations with the rows of a panel.
    ///
    /// # Safety
    /// The machine has the instructions of `L`. `panel` stands on a line and holds `blocks` bodies and tails; `x`
    /// holds the words of `blocks` blocks, those of the rows side by side.
    #[inline(always)]
    unsafe fn sums<L: Lanes, const R: usize>(
        panel: *const u8,
        blocks: usize,
        x: *const i32,
        sums: &mut [[f32; COLUMNS]; R],
    ) {
        // SAFETY: the caller vouches for instructions and lengths; every step stays within them.
        unsafe {
            let mut total = [L::zero(); R];
            let tails = panel.add(blocks * Self::LINES * LINE);
            for b in 0..blocks {
                let (body, tail) = (panel.add(b * Self::LINES * LINE), tails.add(b * Self::TAIL));
                Self::add::<L, R>(&mut total, body, tail, x.add(b * Self::WORDS * R));
            }
            total.into_iter().zip(sums).for_each(|(total, sums)| L::store(total, sums));
        }
    }
}

/// A number of a block, which lie at any address.
pub(super) fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Writes a number into a block.
pub(super) fn put_half(bytes: &mut [u8], at: usize, value: half::f16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// The quad of `row` in the line `line` of a body.
pub(super) fn quad(body: &[u8], line: usize, row: usize) -> u32 {
    let at = line * LINE + 4 * row;
    u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]])
}

/// Writes it.
pub(super) fn put_quad(body: &mut [u8], line: usize, row: usize, quad: u32) {
    let at = line * LINE + 4 * row;
    body[at..at + 4].copy_from_slice(&quad.to_le_bytes());
}

/// Four neighbouring codes as a quad.
pub(super) fn join(codes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([codes[at], codes[at + 1], codes[at + 2], codes[at + 3]])
}
