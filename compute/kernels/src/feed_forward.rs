//! Two products with an activation between them, without the wide values between them in memory.

use std::cell::Cell;

use crate::activation::Activation;
use crate::block::Product;
use crate::element::Element;
use crate::epilogue::{Epilogue, Residual};
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::norm::Norm;
use crate::out::{Out, Slot, filled};
use crate::packed::Packed;
use crate::packing;
use crate::pages::zeros;
use crate::panels::{self, Line, room};
use crate::results::{Panels, Results};

/// Bytes of hidden values that are held at a time: what the second-level caches of a few cores hold.
const HIDDEN: usize = 2 << 20;
/// Fewest rows that are computed at a time: every turn reads all weights again.
const ROWS: usize = 640;

/// `second(activation(first(x) + bias))` or, gated, `second(activation(first(x) + bias) · up(x))`: the feed-forward
/// half of transformer and ConvNeXt blocks.
#[derive(Debug, Clone, Copy)]
pub struct FeedForward<'a, T> {
    /// `[hidden, inputs]`.
    pub first: &'a Packed,
    /// `[hidden]`.
    pub bias: Option<&'a [T]>,
    /// Between the products; as exact as [`Epilogue::activation`].
    pub activation: Activation,
    /// Of a gated network (arXiv 2002.05202): what the activated numbers are multiplied by, from weights
    /// `[hidden, inputs]` and a bias `[hidden]`.
    pub up: Option<(&'a Packed, Option<&'a [T]>)>,
    /// Of the hidden numbers of each row, before the second product.
    pub norm: Option<Norm<'a, T>>,
    /// `[outputs, hidden]`.
    pub second: &'a Packed,
}

/// Bytes of a row of hidden values, as the second product reads it.
fn row_bytes(kernel: Kernel, hidden: usize) -> usize {
    panels::steps(hidden, kernel.shape().pairs) * size_of::<u32>()
}

/// Rows that are computed at a time, of rows whose wide values take so many bytes.
fn turn_rows(rows: usize, bytes: usize) -> usize {
    let turns = rows.div_ceil((HIDDEN / bytes.max(1)).max(ROWS)).max(1);
    rows.div_ceil(turns).max(1)
}

impl<T: Element> FeedForward<'_, T> {
    /// Bytes of wide values that are held at a time, for this many rows of `hidden` numbers, on this machine.
    pub fn held(rows: usize, hidden: usize) -> usize {
        let bytes = row_bytes(Kernel::choose::<T>(Isa::detect()), hidden);
        turn_rows(rows, bytes) * bytes
    }

    /// As [`FeedForward::held`], with a norm of the hidden numbers.
    pub fn held_normed(rows: usize, hidden: usize) -> usize {
        let bytes = row_bytes(Kernel::choose::<T>(Isa::detect()), hidden);
        turn_rows(rows, bytes) * (bytes + hidden * size_of::<T>())
    }

    /// Writes what it makes of `x`, `[rows, inputs]`, followed by `epilogue`, to `out`, `[rows, outputs]`, and
    /// returns it. Runs on the threads of rayon; a row depends on nothing but that row, bit by bit, and is rounded
    /// between the products.
    ///
    /// # Panics
    /// When a length does not fit, or when weights were packed as bf16 for rows of f32.
    pub fn apply<'o>(&self, x: &[T], epilogue: &Epilogue<'_, T>, out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        self.run(x, None, epilogue, out)
    }

    /// As [`FeedForward::apply`] of the normalised rows of `x`, which are never in memory.
    ///
    /// # Panics
    /// As [`FeedForward::apply`].
    pub fn apply_normed<'o>(
        &self,
        x: &[T],
        norm: &Norm<'_, T>,
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        self.run(x, Some(norm), epilogue, out)
    }

    fn run<'o>(
        &self,
        x: &[T],
        norm: Option<&Norm<'_, T>>,
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        let (inputs, hidden, outputs) = (self.first.inputs(), self.first.outputs(), self.second.outputs());
        assert_eq!(
            self.second.inputs(),
            hidden,
            "the second product takes other numbers than the first gives"
        );
        if inputs == 0 || outputs == 0 {
            return self.second.apply(&[], epilogue, out);
        }
        let rows = x.len() / inputs;
        assert_eq!(x.len(), rows * inputs, "x: not [{rows}, {inputs}]");
        assert_eq!(out.len(), rows * outputs, "out: not [{rows}, {outputs}]");
        epilogue.check(rows, outputs);
        let kernel = self.first.kernel();
        assert_eq!(kernel, self.second.kernel(), "both products are packed for the same instructions");
        [self.first, self.second].into_iter().for_each(Packed::check_rows::<T>);
        let part = turn_rows(rows, row_bytes(kernel, hidden));
        let before = Epilogue { bias: self.bias, activation: Some(self.activation), residual: None };
        before.check(rows, hidden);
        if let Some(norm) = norm {
            norm.check(inputs);
        }
        if let Some(norm) = &self.norm {
            norm.check(hidden);
        }
        if let Some((up, bias)) = self.up {
            assert_eq!((up.outputs(), up.inputs()), (hidden, inputs), "gate and up are of one size");
            assert_eq!(up.kernel(), kernel, "gate and up are packed for the same instructions");
            up.check_rows::<T>();
            Epilogue { bias, ..Epilogue::default() }.check(rows, hidden);
        }
        // The calling thread's memory of the last call. Taken, not borrowed: a thread that waits may begin another.
        thread_local!(static SCRATCH: Cell<[Vec<Line>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) });
        let [mut narrow, mut wide] = SCRATCH.take();
        // Rows that are normalised as a whole cannot be packed tile by tile.
        let mut between: Vec<T> = match self.norm {
            Some(_) => zeros(part.min(rows) * hidden),
            None => Vec::new(),
        };
        for (turn, (x, out)) in x.chunks(part * inputs).zip(out.chunks_mut(part * outputs)).enumerate() {
            let rows = x.len() / inputs;
            let [narrow, wide] = [(&mut narrow, inputs), (&mut wide, hidden)].map(|(memory, inputs)| {
                let count = packing::cells(kernel, rows, inputs);
                &mut panels::cells_mut(room(memory, count))[..count]
            });
            packing::pack(kernel, x, inputs, norm, narrow);
            let results = match &self.norm {
                Some(_) => Results::Rows(Out::new(&mut between[..rows * hidden])),
                None => Results::Panels(Panels::new(wide, kernel, hidden)),
            };
            let first = Product { x: narrow, rows: 0..rows, epilogue: before, up: self.up, results };
            // SAFETY: the cells are as many as the rows need, the second product takes what the first gives, and
            // everything was checked.
            unsafe { self.first.multiply(&first) };
            if let Some(norm) = &self.norm {
                packing::pack(kernel, &between[..rows * hidden], hidden, Some(norm), wide);
            }
            let residual = epilogue.residual.map(|Residual { shortcut, scale }| Residual {
                shortcut: &shortcut[turn * part * outputs..][..out.len()],
                scale,
            });
            let (epilogue, results) = (Epilogue { residual, ..*epilogue }, Results::Rows(Out::new(out)));
            let second = Product { x: wide, rows: 0..rows, epilogue, up: None, results };
            // SAFETY: as above.
            unsafe { self.second.multiply(&second) };
        }
        SCRATCH.set([narrow, wide]);
        // SAFETY: every row was in a turn, of which all columns were written.
        unsafe { filled(out) }
    }
}
