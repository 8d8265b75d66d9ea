//! The product of two branches of which one is activated (arXiv 2002.05202).

use rayon::prelude::*;

use crate::activation::Activation;
use crate::element::Element;
use crate::lanes::{self, Lanes, Work};
use crate::out::{Slot, filled};

/// `activation(gate) · up`, number by number, rounded once.
#[derive(Debug, Clone, Copy)]
pub struct Gated<'a, T> {
    /// Of the gate.
    pub activation: Activation,
    /// Rows of `width` numbers, from the first on.
    pub gate: &'a [T],
    /// As `gate`.
    pub up: &'a [T],
    /// Numbers of a row.
    pub width: usize,
    /// From one row to the next, in both: `width` where they stand apart, twice that where a row of one follows on a
    /// row of the other.
    pub step: usize,
}

impl<T: Element> Gated<'_, T> {
    /// Writes `[rows, width]` to `out`, on the threads of rayon, and returns it.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<'o>(&self, out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        let Self { gate, up, width, step, .. } = *self;
        if out.is_empty() {
            return &mut [];
        }
        let rows = out.len().checked_div(width).unwrap_or(0);
        assert_eq!(out.len(), rows * width, "out: not [rows, {width}]");
        let needed = (rows - 1) * step + width;
        assert!(gate.len() >= needed && up.len() >= needed, "gate and up: {rows} rows need {needed} numbers");
        out.par_chunks_mut(width).enumerate().for_each(|(row, out)| {
            let part = row * step..row * step + width;
            let (gate, up) = (&gate[part.clone()], &up[part]);
            lanes::run(Row { activation: self.activation, gate, up, out });
        });
        // SAFETY: these are all rows, and a row of each branch is as long.
        unsafe { filled(out) }
    }
}

struct Row<'a, T, P> {
    activation: Activation,
    gate: &'a [T],
    up: &'a [T],
    out: &'a mut [P],
}

impl<T: Element, P: Slot<T>> Work for Row<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        // One loop each, or the choice would stand inside the loop.
        match self.activation {
            Activation::GeluErf => self.each(|x| Activation::GeluErf.at::<L::Arithmetic>(x)),
            Activation::GeluTanh => self.each(|x| Activation::GeluTanh.at::<L::Arithmetic>(x)),
            Activation::QuickGelu => self.each(|x| Activation::QuickGelu.at::<L::Arithmetic>(x)),
            Activation::Silu => self.each(|x| Activation::Silu.at::<L::Arithmetic>(x)),
        }
    }
}

impl<T: Element, P: Slot<T>> Row<'_, T, P> {
    #[inline(always)]
    fn each(self, of: impl Fn(f32) -> f32) {
        for ((out, gate), up) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            out.put(T::round(of(gate.widen()) * up.widen()));
        }
    }
}
