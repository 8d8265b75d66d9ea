//! A tensor of PyTorch: a view of a storage.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::DType;

/// More axes than PyTorch's tensors can have.
const AXES: usize = 64;

/// A view that repeats numbers may be larger than the file that it stands in, but not larger than this as well.
const REPEATED: usize = 64 << 20;

/// Which numbers of which storage a tensor has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// `None` for an element type that is not read; the tensor may still be one that nobody wants.
    pub dtype: Option<DType>,
    /// The element type as the file names it.
    pub class: String,
    pub shape: Vec<usize>,
    /// In elements, one for each axis.
    pub stride: Vec<usize>,
    /// In elements.
    pub offset: usize,
    /// Key of the storage.
    pub storage: String,
}

impl View {
    /// Whether there can be such a tensor.
    pub fn possible(&self) -> bool {
        self.shape.len() == self.stride.len() && self.shape.len() <= AXES && self.count().is_some()
    }

    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// The bytes of the storage that hold this view, when it is row-major without gaps.
    pub fn dense(&self, size: usize) -> Option<Range<usize>> {
        let count = self.count()?;
        let dense =
            self.shape.iter().zip(&self.stride).rev().try_fold(1usize, |expected, (&dim, &stride)| {
                (dim == 1 || stride == expected).then(|| expected.checked_mul(dim)).flatten()
            });
        let start = self.offset.checked_mul(size)?;
        let end = start.checked_add(count.checked_mul(size)?)?;
        (count == 0 || dense.is_some()).then_some(start..end)
    }

    /// The elements of this view of `storage` in row-major order; `None` when it reaches beyond the storage, or repeats
    /// its numbers without bound (`file` is the size of all of it).
    pub fn gather<'a>(&self, storage: &'a [u8], size: usize, file: usize) -> Option<Cow<'a, [u8]>> {
        if let Some(range) = self.dense(size) {
            return storage.get(range).map(Cow::Borrowed);
        }
        let count = self.count()?;
        let start = self.offset.checked_mul(size)?;
        let span = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(0usize, |last, (&dim, &stride)| last.checked_add((dim - 1).checked_mul(stride)?))?;
        storage.get(start..start.checked_add(span.checked_add(1)?.checked_mul(size)?)?)?;
        let length = count.checked_mul(size).filter(|length| *length <= file.max(REPEATED))?;
        let mut out = Vec::new();
        out.try_reserve_exact(length).ok()?;
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.stride).map(|(i, stride)| i * stride).sum();
            out.extend_from_slice(&storage[start + at * size..start + (at + 1) * size]);
            for (i, &dim) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < dim {
                    break;
                }
                *i = 0;
            }
        }
        Some(Cow::Owned(out))
    }
}
