//! How numbers are multiplied and added, where that is not a tile's own business.

use crate::activation::Activation;
use crate::element::Element;

/// Whether a product is rounded before it is added: as the machine does both fastest.
pub(crate) trait Arithmetic: Copy {
    /// `a · b + c`.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

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

/// Rounded once, for machines that have an instruction for it: elsewhere it would be a call.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

/// Rounded twice.
#[derive(Clone, Copy)]
pub(crate) struct Apart;

/// What the compiler's target guarantees.
#[cfg(target_arch = "aarch64")]
pub(crate) type Native = Fused;
#[cfg(not(target_arch = "aarch64"))]
pub(crate) type Native = Apart;

impl Arithmetic for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for Apart {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}
