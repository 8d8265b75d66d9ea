//! Where a tile's results go: to the rows of a matrix, or to the panels that the next product reads.

use crate::element::Element;
use crate::kernel::Kernel;
use crate::out::Out;
use crate::panels;
use crate::tile::{ROWS, Tile, WOVEN};

/// The results of a product.
pub(crate) enum Results<T> {
    /// `[rows, outputs]`, from the first row on.
    Rows(Out<T>),
    Panels(Panels),
}

/// Results as activations that were packed for another product.
pub(crate) struct Panels {
    cells: Out<u32>,
    steps: usize,
    height: usize,
}

/// A tile of finished sums.
pub(crate) struct Finished<'a, const COLUMNS: usize> {
    /// Which of its panel.
    pub tile: usize,
    /// As many as rows were packed.
    pub sums: &'a [[f32; COLUMNS]],
    /// How many of these exist.
    pub live: usize,
    /// The output in the first column.
    pub first: usize,
}

impl Panels {
    /// Into `cells`, as many as [`cells`](crate::packing::cells) says for `inputs` of the next product.
    pub(crate) fn new(cells: &mut [u32], kernel: Kernel, inputs: usize) -> Self {
        let shape = kernel.shape();
        Self { cells: Out::new(cells), steps: panels::steps(inputs, shape.pairs), height: shape.height }
    }

    /// Rounds the numbers and writes them to their places.
    ///
    /// # Safety
    /// The machine has the instructions of `K`, whose panels these are; the tile and the columns are among them, and
    /// nobody else uses their places.
    #[inline(always)]
    pub(crate) unsafe fn write<K: Tile<COLUMNS>, T: Element, const COLUMNS: usize>(
        &self,
        Finished { tile, sums, live, first }: Finished<'_, COLUMNS>,
    ) {
        #[repr(align(64))]
        struct Cells<const COLUMNS: usize>([[u32; COLUMNS]; ROWS]);
        let mut cells = Cells([[0; COLUMNS]; ROWS]);
        for (sums, cells) in sums.iter().zip(&mut cells.0).take(live) {
            if K::PAIRS {
                // SAFETY: the caller's; whoever makes these panels sees to it that elements of pairs are bf16, half as
                // large as cells, of which any bits are one.
                unsafe { K::round(sums, &mut *cells.as_mut_ptr().cast::<[T; COLUMNS]>()) };
            } else {
                cells.iter_mut().zip(sums).for_each(|(cell, &x)| *cell = T::round(x).widen().to_bits());
            }
        }
        let [first, columns] = [first, COLUMNS].map(|count| if K::PAIRS { count / 2 } else { count });
        let (width, steps) = (sums.len(), columns.min(self.steps - first));
        // SAFETY: the caller's.
        let to = unsafe { self.cells.slice(tile * self.height * self.steps + first * width, steps * width) };
        for step in (0..steps).step_by(WOVEN) {
            let to = &mut to[step * width..];
            if step + WOVEN <= steps {
                let rows = std::array::from_fn(|r| cells.0[r.min(ROWS - 1)][step..].as_ptr());
                // SAFETY: the caller's; `step` and those after it lie within the rows and the panel.
                unsafe { K::weave(&rows, live, to.as_mut_ptr(), width, to.len()) };
            } else {
                for (step, to) in (step..).zip(to.chunks_exact_mut(width)) {
                    to.iter_mut().zip(&cells.0).for_each(|(to, cells)| *to = cells[step]);
                }
            }
        }
    }
}
