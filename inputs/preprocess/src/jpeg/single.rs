//! Sequential images of one scan: from bits to pixels in one go.

use super::bits::Bits;
use super::frame::Frame;
use super::huffman::Table;
use super::markers::Scan;
use super::output::Output;
use super::scan::Visitor;
use super::sequential::block;

/// A component in the scan.
struct ScanComponent<'a> {
    component: usize,
    /// Blocks of it in an MCU, across and down.
    blocks: (usize, usize),
    tables: (&'a Table, &'a Table),
    predicted: i32,
}

/// Turns MCUs into pixels as they come.
pub(super) struct Single<'a> {
    parts: Vec<ScanComponent<'a>>,
    output: &'a mut Output,
    /// Rows of MCUs that make a band: more than one where a single component is sampled more than once.
    rows: usize,
    last: usize,
}

impl<'a> Single<'a> {
    pub(super) fn new(
        frame: &Frame,
        scan: &Scan,
        tables: &'a [(Table, Table)],
        mcus: (usize, usize),
        output: &'a mut Output,
    ) -> Self {
        let alone = scan.components.len() == 1;
        let parts = scan.components.iter().zip(tables).map(|(&(component, ..), (dc, ac))| ScanComponent {
            component,
            blocks: if alone { (1, 1) } else { frame.components[component].sampling },
            tables: (dc, ac),
            predicted: 0,
        });
        let rows = if alone { frame.components[scan.components[0].0].sampling.1 } else { 1 };
        Self { parts: parts.collect(), output, rows, last: mcus.1 - 1 }
    }
}

impl Visitor for Single<'_> {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, column: usize, row: usize) {
        for part in &mut self.parts {
            let (h, v) = part.blocks;
            for y in 0..v {
                for x in 0..h {
                    let mut values = [0; 64];
                    let has_ac = block(bits, part.tables, &mut part.predicted, &mut values);
                    self.output.put(part.component, (column * h + x, row * v + y), &values, has_ac);
                }
            }
        }
    }

    #[inline(always)]
    fn lose(&mut self, column: usize, row: usize) {
        for part in &self.parts {
            let (h, v) = part.blocks;
            for y in 0..v {
                for x in 0..h {
                    self.output.put(part.component, (column * h + x, row * v + y), &[0; 64], false);
                }
            }
        }
    }

    #[inline(always)]
    fn end_row(&mut self, row: usize) {
        if (row + 1).is_multiple_of(self.rows) || row == self.last {
            self.output.finish(row / self.rows);
        }
    }

    fn restart(&mut self) {
        self.parts.iter_mut().for_each(|part| part.predicted = 0);
    }
}
