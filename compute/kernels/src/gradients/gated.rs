//! The backward pass of gated products.

use rayon::prelude::*;

use crate::activation::Activation;
use crate::element::Element;
use crate::gated::Gated;
use crate::lanes::{self, LANES, Lanes, Work};

impl<T: Element> Gated<'_, T> {
    /// Writes the gradients of gate and up for that of the result, `[rows, width]`, to `out`, in the rows that they have
    /// themselves: `[rows, 2 width]`, a row of the gate before one of up. In f32, rounded once. Runs on the threads of
    /// rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn gradient_joint(&self, gradient: &[T], out: &mut [T]) {
        assert_eq!(out.len(), 2 * gradient.len(), "out: not twice the gradient");
        self.check(gradient);
        if gradient.is_empty() {
            return;
        }
        out.par_chunks_mut(2 * self.width).enumerate().for_each(|(row, out)| {
            let (gate, up) = out.split_at_mut(self.width);
            self.row_gradient(gradient, row, gate, up);
        });
    }

    /// As [`Gated::gradient_joint`], to `gate` and `up`, `[rows, width]` each.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn gradient(&self, gradient: &[T], gate: &mut [T], up: &mut [T]) {
        assert!(gate.len() == gradient.len() && up.len() == gradient.len(), "gate, up and gradient");
        self.check(gradient);
        if gradient.is_empty() {
            return;
        }
        let rows = gate.par_chunks_mut(self.width).zip(up.par_chunks_mut(self.width)).enumerate();
        rows.for_each(|(row, (gate, up))| self.row_gradient(gradient, row, gate, up));
    }

    fn check(&self, gradient: &[T]) {
        let Self { gate, up, width, step, .. } = *self;
        let rows = gradient.len().checked_div(width).unwrap_or(0);
        assert_eq!(gradient.len(), rows * width, "gradient: not [rows, {width}]");
        let needed = if rows == 0 { 0 } else { (rows - 1) * step + width };
        assert!(gate.len() >= needed && up.len() >= needed, "gate and up: {rows} rows need {needed} numbers");
    }

    fn row_gradient(&self, gradient: &[T], row: usize, to_gate: &mut [T], to_up: &mut [T]) {
        let part = row * self.step..row * self.step + self.width;
        lanes::run(Row {
            activation: self.activation,
            gate: &self.gate[part.clone()],
            up: &self.up[part],
            gradient: &gradient[row * self.width..][..self.width],
            to_gate,
            to_up,
        });
    }
}

struct Row<'a, T> {
    activation: Activation,
    gate: &'a [T],
    up: &'a [T],
    gradient: &'a [T],
    to_gate: &'a mut [T],
    to_up: &'a mut [T],
}

impl<T: Element> Work for Row<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        const TURN: usize = 4 * LANES;
        let inputs = self.gate.chunks(TURN).zip(self.up.chunks(TURN)).zip(self.gradient.chunks(TURN));
        let outputs = self.to_gate.chunks_mut(TURN).zip(self.to_up.chunks_mut(TURN));
        for (((gate, up), gradient), (to_gate, to_up)) in inputs.zip(outputs) {
            let (mut values, mut slopes) = ([0.0; TURN], [0.0; TURN]);
            values.iter_mut().zip(gate).for_each(|(value, x)| *value = x.widen());
            slopes.copy_from_slice(&values);
            self.activation.apply::<L::Arithmetic>(&mut values);
            self.activation.slopes::<L::Arithmetic>(&mut slopes);
            for (i, gradient) in gradient.iter().enumerate() {
                let gradient = gradient.widen();
                to_gate[i] = T::round(gradient * up[i].widen() * slopes[i]);
                to_up[i] = T::round(gradient * values[i]);
            }
        }
    }
}
