//! The block formats by name.

use std::marker::PhantomData;

use super::form::Form;
use crate::lanes::{self, Lanes, Work};

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
        of!(self, F => lanes::run(Encode { weights, blocks, form: PhantomData::<F> }));
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

struct Encode<'a, F> {
    weights: &'a [f32],
    blocks: &'a mut [u8],
    form: PhantomData<F>,
}

impl<F: Form> Work for Encode<'_, F> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let blocks = self.blocks.chunks_exact_mut(F::BYTES);
        for (weights, block) in self.weights.chunks_exact(F::LENGTH).zip(blocks) {
            F::encode(weights, block);
        }
    }
}
