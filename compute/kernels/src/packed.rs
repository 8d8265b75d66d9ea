//! Weights in the form that tiles read.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pages;
use crate::panels::{self, LINE, Line};
use crate::weights::PanelForm;

/// The weights of a linear map, `[outputs, inputs]`, in the form that this machine's tiles read: 4 bytes for each
/// of them, 2 for `bf16`, which is widened in the tile where there are no instructions for it.
#[derive(Debug)]
pub struct Packed {
    kernel: Kernel,
    form: PanelForm,
    outputs: usize,
    inputs: usize,
    lines: Vec<Line>,
}

impl Packed {
    /// Packs `weight`, `[outputs, inputs]` in row-major order.
    ///
    /// # Panics
    /// When its length is another.
    pub fn new<T: Element>(weight: &[T], outputs: usize, inputs: usize) -> Self {
        Self::at_most(Isa::Avx512Bf16, weight, outputs, inputs)
    }

    /// As [`Packed::new`], for no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Packed::new`].
    pub fn at_most<T: Element>(isa: Isa, weight: &[T], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "weights: not [{outputs}, {inputs}]");
        Self::gather(Kernel::choose::<T>(isa), outputs, inputs, |first, rows| {
            rows.copy_from_slice(&weight[first * inputs..][..rows.len()]);
        })
    }

    /// As [`Packed::new`], of weights that are read while they are packed: `read` writes whole rows, the first of
    /// which is named, to its slice, on several threads at once. So nothing is ever held but a few rows and the
    /// panels.
    pub fn read<T: Element>(outputs: usize, inputs: usize, read: impl Fn(usize, &mut [T]) + Sync) -> Self {
        Self::gather(Kernel::choose::<T>(Isa::Avx512Bf16), outputs, inputs, read)
    }

    fn gather<T: Element>(
        kernel: Kernel,
        outputs: usize,
        inputs: usize,
        read: impl Fn(usize, &mut [T]) + Sync,
    ) -> Self {
        Self::fill::<T, _>(kernel, outputs, inputs, |form, part, panel, rows: &mut Vec<T>| {
            rows.resize(part.len() * inputs, T::round(0.0));
            read(part.start, rows);
            form.pack(panel, rows);
        })
    }

    /// The transpose of `matrix`, `[inputs, outputs]` in row-major order.
    ///
    /// # Panics
    /// When its length is another.
    pub fn transposed<T: Element>(matrix: &[T], outputs: usize, inputs: usize) -> Self {
        Self::transposed_at_most(Isa::Avx512Bf16, matrix, outputs, inputs)
    }

    /// As [`Packed::transposed`], for no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Packed::transposed`].
    pub fn transposed_at_most<T: Element>(isa: Isa, matrix: &[T], outputs: usize, inputs: usize) -> Self {
        assert_eq!(matrix.len(), outputs * inputs, "matrix: not [{inputs}, {outputs}]");
        Self::fill::<T, _>(Kernel::choose::<T>(isa), outputs, inputs, |form, part, panel, _: &mut ()| {
            form.pack_columns(panel, matrix, outputs, part);
        })
    }

    /// These weights, which were packed as `T`, transposed: from panels to panels, without a matrix in between.
    ///
    /// # Panics
    /// When they were packed as other numbers.
    #[must_use]
    pub fn transpose<T: Element>(&self) -> Self {
        assert_eq!(T::HALF, self.form.half(), "weights: packed as other numbers");
        let columns = self.kernel.shape().columns;
        Self::gather::<T>(self.kernel, self.inputs, self.outputs, |first, rows| {
            for (p, row) in rows.chunks_exact_mut(self.outputs.max(1)).enumerate() {
                for (index, part) in row.chunks_mut(columns).enumerate() {
                    self.form.input(self.panel(index), first + p, part);
                }
            }
        })
    }

    /// Fills each panel, which is zeros, for the outputs that it is told, on several threads at once.
    fn fill<T: Element, R: Default>(
        kernel: Kernel,
        outputs: usize,
        inputs: usize,
        fill: impl Fn(PanelForm, Range<usize>, &mut [u32], &mut R) + Sync,
    ) -> Self {
        let (columns, form) = (kernel.shape().columns, PanelForm::new::<T>(kernel, inputs));
        let panel = form.cells();
        let count = form.panels(outputs) * panel / LINE;
        let mut lines: Vec<Line> = Vec::with_capacity(count);
        let memory = &mut lines.spare_capacity_mut()[..count];
        pages::prefer_large(memory);
        let panels = memory.par_chunks_mut((panel / LINE).max(1)).enumerate();
        panels.for_each_init(R::default, |room, (index, panel)| {
            let first = index * columns;
            // Here and not all at once before: each thread touches its memory for the first time, while it needs it.
            panel.fill(MaybeUninit::new(Line([0; LINE])));
            // SAFETY: just filled.
            let panel = unsafe { panel.assume_init_mut() };
            fill(form, first..outputs.min(first + columns), panels::cells_mut(panel), room);
        });
        // SAFETY: the chunks cover `count` lines, each of which was filled.
        unsafe { lines.set_len(count) };
        Self { kernel, form, outputs, inputs, lines }
    }

    /// The weights again, `[outputs, inputs]`; exact when `T` is what was packed.
    pub fn unpack<T: Element>(&self) -> Vec<T> {
        let columns = self.kernel.shape().columns;
        let mut weight = vec![T::round(0.0); self.outputs * self.inputs];
        let cells = panels::cells(&self.lines).par_chunks(self.form.cells().max(1));
        weight.par_chunks_mut((columns * self.inputs).max(1)).zip(cells).for_each(|(rows, panel)| {
            let rows = rows.chunks_exact_mut(self.inputs.max(1)).enumerate();
            rows.for_each(|(r, row)| self.form.row(panel, r, row));
        });
        weight
    }

    /// Row `index` of the weights again, on the calling thread; exact as [`Packed::unpack`] is.
    ///
    /// # Panics
    /// When there is no such row, or its length is another.
    pub fn row<T: Element>(&self, index: usize, out: &mut [T]) {
        assert!(index < self.outputs, "row {index} of {}", self.outputs);
        assert_eq!(out.len(), self.inputs, "out: not [{}]", self.inputs);
        let columns = self.kernel.shape().columns;
        self.form.row(self.panel(index / columns), index % columns, out);
    }

    /// The form of the panels.
    pub(crate) fn form(&self) -> PanelForm {
        self.form
    }

    /// The cells of a panel.
    pub(crate) fn panel(&self, index: usize) -> &[u32] {
        let cells = self.form.cells();
        &panels::cells(&self.lines)[index * cells..][..cells]
    }

    /// Bytes that weights `T` of this size take on this machine.
    pub fn bytes<T: Element>(outputs: usize, inputs: usize) -> usize {
        let form = PanelForm::new::<T>(Kernel::choose::<T>(Isa::detect()), inputs);
        form.panels(outputs) * form.cells() * size_of::<u32>()
    }

    /// Bytes that these weights take.
    pub fn held(&self) -> usize {
        size_of_val(&*self.lines)
    }

    /// Panics when rows of `T` cannot be multiplied by weights that were packed as bf16.
    pub(crate) fn check_rows<T: Element>(&self) {
        assert!(T::HALF || !self.form.half(), "weights are packed as bf16, rows are f32");
    }

    /// Length of a row of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of a row of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Which tile reads the panels.
    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }
}
