//! What a block format is.

use super::lanes::Lanes;
use crate::isa::Isa;

/// Outputs of a panel of weights.
pub(super) const COLUMNS: usize = 16;
/// Bytes of a line: four inputs of each output of a panel.
pub(super) const LINE: usize = 64;

/// A block format. The names, the sizes and the meaning of the bytes are those of GGML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32 weights: 8 bits each, one scale.
    Q8_0,
    /// 256 weights: 6 bits each, an 8-bit scale for every 16 of them.
    Q6K,
    /// 256 weights: 4 bits each, a 6-bit scale and a 6-bit minimum for every 32 of them.
    Q4K,
}

/// What can be done for a format: the methods of [`Form`] by the value of a [`Format`].
macro_rules! of {
    ($format:expr, $form:ident => $body:expr) => {
        match $format {
            $crate::quant::Format::Q8_0 => {
                type $form = $crate::quant::q8_0::Q8_0;
                $body
            }
            $crate::quant::Format::Q6K => {
                type $form = $crate::quant::q6_k::Q6K;
                $body
            }
            $crate::quant::Format::Q4K => {
                type $form = $crate::quant::q4_k::Q4K;
                $body
            }
        }
    };
}
pub(super) use of;

impl Format {
    /// All of them, the most exact first.
    pub const ALL: [Self; 3] = [Self::Q8_0, Self::Q6K, Self::Q4K];

    /// Weights of a block. A row is a whole number of blocks.
    pub const fn block_length(self) -> usize {
        of!(self, F => F::LENGTH)
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        of!(self, F => F::BYTES)
    }

    /// Bytes of a row of `inputs` weights.
    pub const fn row_bytes(self, inputs: usize) -> usize {
        inputs / self.block_length() * self.block_bytes()
    }

    /// Quantises `weights`, whole blocks, into `blocks`. The scales are those of the least weighted squared error
    /// among the candidates of GGML's reference.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn encode(self, weights: &[f32], blocks: &mut [u8]) {
        assert_eq!(blocks.len(), self.row_bytes(weights.len()), "blocks for {} weights", weights.len());
        assert!(weights.len().is_multiple_of(self.block_length()), "{} weights", weights.len());
        of!(self, F => match Isa::detect() {
            // SAFETY: the instructions were found.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => unsafe { encode_avx512::<F>(weights, blocks) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { encode_avx2::<F>(weights, blocks) },
            _ => encode::<F>(weights, blocks),
        });
    }

    /// The weights that `blocks` stand for.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn decode(self, blocks: &[u8], weights: &mut [f32]) {
        assert_eq!(blocks.len(), self.row_bytes(weights.len()), "blocks for {} weights", weights.len());
        of!(self, F => each::<F>(blocks.chunks_exact(F::BYTES).zip(weights.chunks_exact_mut(F::LENGTH))));

        fn each<'a, F: Form>(blocks: impl Iterator<Item = (&'a [u8], &'a mut [f32])>) {
            blocks.for_each(|(block, weights)| F::decode(block, weights));
        }
    }
}

#[target_feature(enable = "avx512f")]
#[cfg(target_arch = "x86_64")]
fn encode_avx512<F: Form>(weights: &[f32], blocks: &mut [u8]) {
    encode::<F>(weights, blocks);
}

#[target_feature(enable = "avx2")]
#[cfg(target_arch = "x86_64")]
fn encode_avx2<F: Form>(weights: &[f32], blocks: &mut [u8]) {
    encode::<F>(weights, blocks);
}

#[inline(always)]
fn encode<F: Form>(weights: &[f32], blocks: &mut [u8]) {
    for (weights, block) in weights.chunks_exact(F::LENGTH).zip(blocks.chunks_exact_mut(F::BYTES)) {
        F::encode(weights, block);
    }
}

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
