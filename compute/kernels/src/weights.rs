//! The panels of weights: which cell holds which numbers of a matrix.
//!
//! A panel is the weights of as many outputs as the tile has columns, step by step along the inputs. An `f32` takes a
//! cell. Of `bf16`, two share one: neighbours along the inputs where the tile multiplies [pairs](crate::tile::Tile::PAIRS),
//! else one output and the one half a panel further on, so that a vector of cells becomes two vectors of `f32` by a shift
//! and a mask, in the order in which the tile takes them.

use std::ops::Range;

use crate::element::Element;
use crate::kernel::{Kernel, Shape};
use crate::panels::{self, LINE};

/// Steps that are packed for all rows before the next ones, so that what is written stays in the first-level cache.
const STRIP: usize = 64;

/// What a cell of weights holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// An `f32`.
    Whole,
    /// Two inputs of an output, the first in the low half.
    Pair,
    /// An input of two outputs, the first in the low half.
    Folded,
}

/// The panels of a matrix with so many inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PanelForm {
    cell: Cell,
    inputs: usize,
    /// Outputs of a panel.
    columns: usize,
}

impl PanelForm {
    /// Of weights `T` that are packed for `kernel`.
    pub(crate) fn new<T: Element>(kernel: Kernel, inputs: usize) -> Self {
        let Shape { columns, pairs, .. } = kernel.shape();
        let cell = match (pairs, T::HALF) {
            (true, _) => Cell::Pair,
            (false, true) => Cell::Folded,
            (false, false) => Cell::Whole,
        };
        Self { cell, inputs, columns }
    }

    /// Whether weights are `bf16`.
    pub(crate) fn half(self) -> bool {
        self.cell != Cell::Whole
    }

    /// Whether a cell is an input of two outputs.
    pub(crate) fn folded(self) -> bool {
        self.cell == Cell::Folded
    }

    /// Cells of a panel: whole lines.
    pub(crate) fn cells(self) -> usize {
        let Self { cell, inputs, columns } = self;
        match cell {
            Cell::Whole => inputs * columns,
            Cell::Pair => panels::steps(inputs, true) * columns,
            Cell::Folded => (inputs * (columns / 2)).next_multiple_of(LINE),
        }
    }

    /// Panels of so many outputs.
    pub(crate) fn panels(self, outputs: usize) -> usize {
        outputs.div_ceil(self.columns)
    }

    /// Fills `panel`, [`PanelForm::cells`] zeros, with at most as many rows as it has columns.
    pub(crate) fn pack<T: Element>(self, panel: &mut [u32], rows: &[T]) {
        let Self { cell, inputs, columns } = self;
        let count = rows.len().checked_div(inputs).unwrap_or(0).min(columns);
        let row = |r: usize| &rows[r * inputs..][..inputs];
        match cell {
            Cell::Whole | Cell::Pair => {
                panels::pack_rows(panel, columns, inputs, cell == Cell::Pair, count, row);
            }
            Cell::Folded => {
                let width = columns / 2;
                let zeros = [T::round(0.0); STRIP];
                for (i, strip) in panel[..inputs * width].chunks_mut(STRIP * width).enumerate() {
                    let range = i * STRIP..inputs.min((i + 1) * STRIP);
                    for r in 0..count.min(width) {
                        let low = &row(r)[range.clone()];
                        let high = if r + width < count { &row(r + width)[range.clone()] } else { &zeros };
                        let cells = strip[r..].iter_mut().step_by(width);
                        let numbers = low.iter().zip(high).map(|(&low, &high)| T::pair(low, high));
                        cells.zip(numbers).for_each(|(cell, pair)| *cell = pair);
                    }
                }
            }
        }
    }

    /// As [`PanelForm::pack`], of some columns of a matrix of `stride` columns and as many rows as there are inputs.
    pub(crate) fn pack_columns<T: Element>(
        self,
        panel: &mut [u32],
        matrix: &[T],
        stride: usize,
        outputs: Range<usize>,
    ) {
        let Self { cell, inputs, columns } = self;
        let row = |p: usize| &matrix[p * stride..][outputs.clone()];
        match cell {
            Cell::Whole => {
                for (p, cells) in panel.chunks_exact_mut(columns).enumerate().take(inputs) {
                    cells.iter_mut().zip(row(p)).for_each(|(cell, x)| *cell = x.widen().to_bits());
                }
            }
            Cell::Pair => {
                let zero = T::round(0.0);
                for (step, cells) in panel.chunks_exact_mut(columns).enumerate() {
                    let low = row(2 * step);
                    if 2 * step + 1 < inputs {
                        let numbers = low.iter().zip(row(2 * step + 1));
                        cells.iter_mut().zip(numbers).for_each(|(cell, (&a, &b))| *cell = T::pair(a, b));
                    } else {
                        cells.iter_mut().zip(low).for_each(|(cell, &a)| *cell = T::pair(a, zero));
                    }
                }
            }
            Cell::Folded => {
                let half = columns / 2;
                for (p, cells) in panel.chunks_exact_mut(half).enumerate().take(inputs) {
                    let (low, high) = row(p).split_at(outputs.len().min(half));
                    let high = high.iter().copied().chain(std::iter::repeat(T::round(0.0)));
                    cells
                        .iter_mut()
                        .zip(low.iter().zip(high))
                        .for_each(|(cell, (&a, b))| *cell = T::pair(a, b));
                }
            }
        }
    }

    /// What each of the outputs of `panel` has for the input `p`.
    pub(crate) fn input<T: Element>(self, panel: &[u32], p: usize, out: &mut [T]) {
        let (columns, half) = (self.columns, self.columns / 2);
        let number = |bits| T::round(f32::from_bits(bits));
        match self.cell {
            Cell::Whole => {
                out.iter_mut().zip(&panel[p * columns..]).for_each(|(out, &cell)| *out = number(cell));
            }
            Cell::Pair => {
                let part = if p.is_multiple_of(2) { low } else { high };
                out.iter_mut()
                    .zip(&panel[p / 2 * columns..])
                    .for_each(|(out, &cell)| *out = number(part(cell)));
            }
            Cell::Folded => {
                let cells = &panel[p * half..][..half];
                let numbers = cells.iter().map(|&cell| low(cell)).chain(cells.iter().map(|&cell| high(cell)));
                out.iter_mut().zip(numbers).for_each(|(out, bits)| *out = number(bits));
            }
        }
    }

    /// The `r`-th row of `panel`, of `inputs` numbers.
    pub(crate) fn row<T: Element>(self, panel: &[u32], r: usize, row: &mut [T]) {
        let (columns, half) = (self.columns, self.columns / 2);
        for (p, x) in row.iter_mut().enumerate() {
            *x = T::round(f32::from_bits(match self.cell {
                Cell::Whole => panel[p * columns + r],
                Cell::Pair if p % 2 == 0 => low(panel[p / 2 * columns + r]),
                Cell::Pair => high(panel[p / 2 * columns + r]),
                Cell::Folded if r < half => low(panel[p * half + r]),
                Cell::Folded => high(panel[p * half + r - half]),
            }));
        }
    }
}

/// The number in the low half of a cell, as the bits of an `f32`.
#[inline(always)]
fn low(cell: u32) -> u32 {
    cell << 16
}

/// That in the high half.
#[inline(always)]
fn high(cell: u32) -> u32 {
    cell & 0xffff_0000
}
