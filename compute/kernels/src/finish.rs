//! How the sums of a tile are finished, number by number, where an instruction set has its own way.

use crate::activation::Activation;
use crate::arithmetic::{Apart, Arithmetic, Fused};
use crate::element::Element;

/// What follows a product, in the precision that its results are rounded to.
pub(crate) trait Finish: Arithmetic {
    /// Replaces every value; their number is a multiple of 16 where that is the width of a vector.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[inline(always)]
    unsafe fn activate(activation: Activation, values: &mut [f32]) {
        activation.apply::<Self>(values);
    }

    /// Replaces `sums` by `shortcut + scale · sums`, as far as the shortcut goes.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[inline(always)]
    unsafe fn add_scaled<T: Element>(shortcut: &[T], scale: &[f32], sums: &mut [f32]) {
        for ((sum, scale), x) in sums.iter_mut().zip(scale).zip(shortcut) {
            *sum = Self::mul_add(*scale, *sum, x.widen());
        }
    }
}

impl Finish for Fused {}

impl Finish for Apart {}
