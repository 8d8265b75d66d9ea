//! Rows of activations, quantised for the products with one format.

use std::marker::PhantomData;

use super::form::Form;
use crate::element::Element;
use crate::lanes::{self, Lanes, Work};

/// Most rows that share a pass over a panel.
pub(super) const HEIGHT: usize = 8;

/// How many of `left` rows the next tile takes: as many as fit of 8, 4, 2 and 1.
pub(super) fn height(left: usize) -> usize {
    1 << left.min(HEIGHT).ilog2()
}

/// Words of a row.
pub(super) fn words<F: Form>(inputs: usize) -> usize {
    inputs / F::LENGTH * F::WORDS
}

/// Quantises the rows of `x`, at most [`HEIGHT`], tile by tile: in a tile the words of all rows stand side by side.
pub(super) fn quantise<F: Form, T: Element>(x: &[T], inputs: usize, words: &mut [i32]) {
    lanes::run(Tiles { x, inputs, words, form: PhantomData::<F> });
}

struct Tiles<'a, F, T> {
    x: &'a [T],
    inputs: usize,
    words: &'a mut [i32],
    form: PhantomData<F>,
}

impl<F: Form, T: Element> Work for Tiles<'_, F, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { mut x, inputs, mut words, .. } = self;
        let mut left = x.len() / inputs;
        while left > 0 {
            let height = height(left);
            let (tile, x_rest) = x.split_at(height * inputs);
            let (out, words_rest) = words.split_at_mut(height * inputs / F::LENGTH * F::WORDS);
            for (row, x) in tile.chunks_exact(inputs).enumerate() {
                for (x, out) in x.chunks_exact(F::LENGTH).zip(out.chunks_exact_mut(height * F::WORDS)) {
                    block::<F, T>(x, height, &mut out[row..]);
                }
            }
            (x, words, left) = (x_rest, words_rest, left - height);
        }
    }
}

/// The words of one block of one row, every `stride`-th of `out`.
#[inline(always)]
fn block<F: Form, T: Element>(x: &[T], stride: usize, out: &mut [i32]) {
    /// The longest block.
    const MOST: usize = 256;
    /// Adding and taking it away rounds to an integer, ties to even, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    let (mut values, mut quants, mut extras) = ([0f32; MOST], [0i8; MOST], [0i32; MOST / 16]);
    let (values, quants) = (&mut values[..F::LENGTH], &mut quants[..F::LENGTH]);
    values.iter_mut().zip(x).for_each(|(value, x)| *value = x.widen());
    let mut most = [0f32; 16];
    let mut finite = [true; 16];
    for values in values.as_chunks::<16>().0 {
        for ((most, finite), x) in most.iter_mut().zip(&mut finite).zip(values) {
            *most = if x.abs() > *most { x.abs() } else { *most };
            *finite &= x.abs() < f32::INFINITY;
        }
    }
    let most = most.into_iter().fold(0f32, f32::max);
    let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
    for (quant, x) in quants.iter_mut().zip(&*values) {
        *quant = ((x * inverse).clamp(-127.0, 127.0) + ROUND).to_bits() as i8;
    }
    // What is not finite makes the whole block so, instead of some number.
    let scale = if finite.into_iter().all(|yes| yes) { most / 127.0 } else { f32::NAN };
    let extras = &mut extras[..F::EXTRAS];
    F::extras(quants, extras);
    let quads = quants.as_chunks::<4>().0.iter().map(|quad| i32::from_le_bytes(quad.map(|x| x as u8)));
    let words = quads.chain(extras.iter().copied()).chain([scale.to_bits() as i32]);
    out.iter_mut().step_by(stride).zip(words).for_each(|(to, word)| *to = word);
}
