//! Matrices that stand in their file in quantised blocks.

use std::ops::Range;

use super::Checkpoint;
use crate::Quantisation;

/// The blocks of a matrix, read where they stand. What was mapped of the file is let go again when this is dropped.
pub struct Blocks {
    pub(super) files: Checkpoint,
    pub(super) file: usize,
    pub(super) bytes: Range<usize>,
    pub(super) format: Quantisation,
    pub(super) width: usize,
}

impl Blocks {
    /// The format.
    pub fn format(&self) -> Quantisation {
        self.format
    }

    /// The bytes of row `row`; empty beyond the last one.
    pub fn row(&self, row: usize) -> &[u8] {
        let length = self.format.format().row_bytes(self.width);
        let start = self.bytes.start + row * length;
        self.files.bytes(self.file).get(start..(start + length).min(self.bytes.end)).unwrap_or_default()
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.files.release(self.file, self.bytes.clone());
    }
}
