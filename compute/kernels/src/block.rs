//! What one task of a product computes.

use std::cell::Cell;
use std::ops::Range;

use crate::element::Element;
use crate::epilogue::Epilogue;
use crate::packed::Packed;
use crate::panels::{self, Line, room};
use crate::results::{Finished, Results};
use crate::tile::{Flat, Folded, Job, Panel, ROWS, Tile};

/// Most tiles that widen folded weights themselves, each again: they wait for the weights rather than for sums.
const FEW: usize = 12;
/// Most cells of a panel that is widened for more: what a second-level cache holds.
const WIDE: usize = 128 << 10;

/// What is multiplied by the weights, and what follows.
pub(crate) struct Product<'a, T> {
    /// The [`cells`](crate::packing::cells) of `rows`.
    pub x: &'a [u32],
    pub rows: Range<usize>,
    /// Checked for these rows.
    pub epilogue: Epilogue<'a, T>,
    /// Other weights of the same size and kernel, and their bias, checked too: the result is multiplied by their
    /// product with the same rows.
    pub up: Option<(&'a Packed, Option<&'a [T]>)>,
    /// With a place for every number.
    pub results: Results<T>,
}

/// What one task computes: some tiles of rows, by one panel of outputs.
pub(crate) struct Block<'a, T> {
    pub packed: &'a Packed,
    pub steps: usize,
    /// Rows of a tile, but for the last.
    pub height: usize,
    pub tiles: Range<usize>,
    pub panel: usize,
    pub product: &'a Product<'a, T>,
}

impl<T: Element> Job for Block<'_, T> {
    /// Writes its outputs.
    ///
    /// # Safety
    /// That of [`Job::run`]; `x` holds the tiles, the weights the panel, for this kernel; `results` have places for
    /// the rows, and nobody else uses those of this block.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        #[repr(align(64))]
        struct Sums<const COLUMNS: usize>([[f32; COLUMNS]; ROWS]);
        // The thread's memory of the last task.
        thread_local!(static SCRATCH: Cell<[Vec<Line>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) });
        let mut scratch = SCRATCH.take();
        let [first_scratch, second_scratch] = &mut scratch;
        let Product { x, rows, epilogue, up, results } = self.product;
        let outputs = self.packed.outputs();
        let first = self.panel * COLUMNS;
        let columns = COLUMNS.min(outputs - first);
        let epilogue = epilogue.columns::<COLUMNS>(outputs, first);
        let mut up = up.map(|(packed, bias)| {
            let epilogue = Epilogue { bias, ..Epilogue::default() };
            (self.weights(packed, second_scratch), epilogue.columns::<COLUMNS>(outputs, first))
        });
        let mut weights = self.weights(self.packed, first_scratch);
        let (mut sums, mut factors) = (Sums([[0.0; COLUMNS]; ROWS]), Sums([[0.0; COLUMNS]; ROWS]));
        for tile in self.tiles.clone() {
            // The first tile brought them into the cache.
            if tile == self.tiles.start + 1 {
                // SAFETY: the caller's.
                unsafe {
                    self.widen::<K, COLUMNS>(&mut weights);
                    if let Some((weights, _)) = &mut up {
                        self.widen::<K, COLUMNS>(weights);
                    }
                }
            }
            let x = &x[tile * self.steps * self.height..];
            let height = self.height.min(x.len().checked_div(self.steps).unwrap_or(self.height));
            let x = &x[..self.steps * height];
            let row = rows.start + tile * self.height;
            let live = height.min(rows.end - row);
            // They arrive while the sums are made.
            epilogue.prefetch(row..row + live);
            if let Results::Rows(out) = results {
                (row..row + live).for_each(|row| out.prefetch(row * outputs + first, columns));
            }
            // SAFETY: the caller's; the slices hold as many steps.
            unsafe { self.sums::<K, COLUMNS>(x, &weights, height, &mut sums.0) };
            let sums = &mut sums.0[..height];
            // SAFETY: the caller's.
            unsafe { epilogue.finish::<K::Arithmetic>(row, &mut sums[..live]) };
            if let Some((weights, epilogue)) = &up {
                // SAFETY: as above.
                unsafe { self.sums::<K, COLUMNS>(x, weights, height, &mut factors.0) };
                // SAFETY: the caller's.
                unsafe { epilogue.finish::<K::Arithmetic>(row, &mut factors.0[..live]) };
                for (sums, factors) in sums.iter_mut().zip(&factors.0).take(live) {
                    sums.iter_mut().zip(factors).for_each(|(sum, factor)| *sum *= *factor);
                }
            }
            // SAFETY: the caller's; the places are this block's alone.
            unsafe {
                match results {
                    Results::Rows(out) => {
                        for (row, sums) in (row..).zip(&sums[..live]) {
                            let (at, mut numbers) = (row * outputs + first, [T::round(0.0); COLUMNS]);
                            K::round(sums, &mut numbers);
                            if columns == COLUMNS {
                                out.set(at, numbers);
                            } else {
                                let numbers = &numbers[..columns];
                                (at..).zip(numbers).for_each(|(at, &number)| out.set(at, [number]));
                            }
                        }
                    }
                    Results::Panels(panels) => {
                        panels.write::<K, T, COLUMNS>(Finished { tile, sums: &*sums, live, first });
                    }
                }
            }
        }
        SCRATCH.set(scratch);
    }
}

/// A panel as tiles read it.
enum Weights<'a> {
    Flat(&'a [u32]),
    /// With memory to make them flat in.
    Folded(&'a [u32], &'a mut Vec<Line>),
}

impl<T: Element> Block<'_, T> {
    /// The panel of `packed` as it is.
    #[inline(always)]
    fn weights<'s>(&self, packed: &'s Packed, scratch: &'s mut Vec<Line>) -> Weights<'s> {
        let cells = packed.panel(self.panel);
        // Rows are never f32 where weights are bf16: so that is not compiled.
        if T::HALF && packed.form().folded() { Weights::Folded(cells, scratch) } else { Weights::Flat(cells) }
    }

    /// Makes folded weights flat where many tiles read them.
    ///
    /// # Safety
    /// The machine has the instructions of `K`, for which the weights were packed.
    #[inline(always)]
    unsafe fn widen<K: Tile<COLUMNS>, const COLUMNS: usize>(&self, weights: &mut Weights<'_>) {
        let count = self.steps * COLUMNS;
        if !T::HALF || self.tiles.len() <= FEW || count > WIDE {
            return;
        }
        *weights = match std::mem::replace(weights, Weights::Flat(&[])) {
            Weights::Folded(cells, scratch) => {
                let wide = &mut panels::cells_mut(room(scratch, count))[..count];
                // SAFETY: the caller's; the panel holds all steps, and lines begin on cache lines.
                unsafe { K::widen(self.steps, cells.as_ptr(), wide.as_mut_ptr()) };
                Weights::Flat(wide)
            }
            flat @ Weights::Flat(_) => flat,
        };
    }

    /// The sums of one tile.
    ///
    /// # Safety
    /// The machine has the instructions of `K`, for which the weights were packed; `x` holds `steps` of `height` cells.
    #[inline(always)]
    unsafe fn sums<K: Tile<COLUMNS>, const COLUMNS: usize>(
        &self,
        x: &[u32],
        weights: &Weights<'_>,
        height: usize,
        sums: &mut [[f32; COLUMNS]; ROWS],
    ) {
        // SAFETY: the caller's; a panel holds all steps in its form.
        unsafe {
            match weights {
                Weights::Folded(weights, _) if T::HALF => {
                    self.of::<Folded, K, COLUMNS>(x, weights, height, sums);
                }
                Weights::Flat(weights) | Weights::Folded(weights, _) => {
                    self.of::<Flat, K, COLUMNS>(x, weights, height, sums);
                }
            }
        }
    }

    /// As `sums`, by a panel of the form `P`.
    ///
    /// # Safety
    /// As for `sums`; `weights` are a panel of that form.
    #[inline(always)]
    unsafe fn of<P: Panel, K: Tile<COLUMNS>, const COLUMNS: usize>(
        &self,
        x: &[u32],
        weights: &[u32],
        height: usize,
        sums: &mut [[f32; COLUMNS]; ROWS],
    ) {
        let (steps, x, w, to) = (self.steps, x.as_ptr(), weights.as_ptr(), sums.as_mut_ptr());
        // SAFETY: the caller's; panels begin on cache lines, their length being whole lines.
        unsafe {
            match height {
                1 => K::few::<P, 1>(steps, x, w, to),
                2 => K::few::<P, 2>(steps, x, w, to),
                4 => K::few::<P, 4>(steps, x, w, to),
                8 => K::few::<P, 8>(steps, x, w, to),
                _ => K::sums::<P>(steps, x, w, to),
            }
        }
    }
}
