//! Tensors read part by part: where they stand in their files, or made from a seed.

use std::ops::Range;

use rayon::prelude::*;
use zoo_kernels::{Element, Stored};

use super::Checkpoint;
use super::random::Seeded;

/// Numbers that one task reads.
const CHUNK: usize = 64 << 10;

/// A tensor in weight files or from a seed, cut along its first axis: read row by row, by several threads, so that
/// nothing of it is held but what the caller keeps. What was mapped of files is let go again when this is dropped.
pub struct Rows {
    parts: Vec<RowBlock>,
    /// Rows of each part; all have the same.
    height: usize,
    /// Numbers of a row.
    width: usize,
}

enum RowBlock {
    /// Numbers that a layout leaves out.
    Zeros,
    Stored {
        files: Checkpoint,
        place: StoredRange,
    },
    Seeded(Seeded),
}

/// Where a tensor's numbers stand, row-major without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredRange {
    /// Which of the checkpoint's files.
    pub file: usize,
    pub format: Stored,
    pub bytes: Range<usize>,
}

impl Rows {
    /// Equal parts, one below the other.
    pub(super) fn new(height: usize, width: usize) -> Self {
        Self { parts: Vec::new(), height, width }
    }

    pub(super) fn push_zeros(&mut self) {
        self.parts.push(RowBlock::Zeros);
    }

    /// The place holds `height · width` numbers.
    pub(super) fn push(&mut self, files: Checkpoint, place: StoredRange) {
        self.parts.push(RowBlock::Stored { files, place });
    }

    /// Numbers that stand nowhere.
    pub(super) fn push_seeded(&mut self, numbers: Seeded) {
        self.parts.push(RowBlock::Seeded(numbers));
    }

    /// How the numbers are stored; `None` for several forms, and for none.
    pub fn stored(&self) -> Option<Stored> {
        let mut forms = self.parts.iter().filter_map(|part| match part {
            RowBlock::Zeros | RowBlock::Seeded(_) => None,
            RowBlock::Stored { place, .. } => Some(place.format),
        });
        let first = forms.next()?;
        forms.all(|form| form == first).then_some(first)
    }

    /// Numbers in all.
    pub(super) fn count(&self) -> usize {
        self.parts.len() * self.height * self.width
    }

    /// All of it.
    pub(super) fn read_parallel<T: Element>(&self, out: &mut [T]) {
        let chunks = out.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(index, out)| self.read_from(index * CHUNK, out));
    }

    /// Writes whole rows, from `first` on, to `out`, on the calling thread. What lies beyond the last row is left
    /// as it is.
    pub fn read<T: Element>(&self, first: usize, out: &mut [T]) {
        self.read_from(first * self.width, out);
    }

    fn read_from<T: Element>(&self, mut start: usize, mut out: &mut [T]) {
        let part = (self.height * self.width).max(1);
        while let Some(current) = self.parts.get(start / part).filter(|_| !out.is_empty()) {
            let at = start % part;
            let (here, rest) = out.split_at_mut((part - at).min(out.len()));
            start += here.len();
            match current {
                RowBlock::Zeros => here.fill(T::round(0.0)),
                RowBlock::Stored { files, place } => {
                    let size = place.format.size();
                    let bytes = files.bytes(place.file);
                    place.format.read(&bytes[place.bytes.start + at * size..][..here.len() * size], here);
                }
                RowBlock::Seeded(numbers) => numbers.read(at, here),
            }
            out = rest;
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        for part in &self.parts {
            if let RowBlock::Stored { files, place } = part {
                files.release(place.file, place.bytes.clone());
            }
        }
    }
}
