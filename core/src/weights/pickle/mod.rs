//! What `torch.save` writes: `.bin`, `.pth`, `.pt`, `.pth.tar`; zip archives ([`archive`]) and the form before them
//! ([`legacy`]).
//!
//! The pickle in them is read by a stack machine of our own ([`machine`]) that builds plain values and executes nothing;
//! the storages beside it stand uncompressed in the file and are read in place. Which of the values hold the tensors is
//! found in [`contents`], and so are views: parameters that share a storage, start in the middle of it or are
//! transposed ([`view`]).

mod archive;
mod contents;
mod input;
mod legacy;
mod machine;
mod value;
mod view;

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Device, Tensor};

pub(super) use legacy::is_pickle;
use view::View;

use super::mapped::Mapped;
use crate::Result;

/// How zip archives begin.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";

/// Longest pickle that is read; real ones have some hundred kilobytes.
const LONGEST: usize = 256 << 20;

/// What either form of file was found to hold.
struct Parsed {
    views: BTreeMap<String, View>,
    /// Bytes of the file, by key.
    storages: BTreeMap<String, Range<usize>>,
}

/// A mapped file whose pickle was read.
pub(super) struct Torch {
    file: Mapped,
    views: BTreeMap<String, View>,
    storages: BTreeMap<String, Range<usize>>,
}

impl Torch {
    pub(super) fn parse(file: Mapped) -> Result<Self> {
        let parse = if file.bytes().starts_with(ZIP) { archive::parse } else { legacy::parse };
        let Parsed { views, storages } = parse(&file)?;
        Ok(Self { file, views, storages })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.views.keys().map(String::as_str)
    }

    pub(super) fn shape(&self, key: &str) -> Option<&[usize]> {
        self.views.get(key).map(|view| view.shape.as_slice())
    }

    pub(super) fn load(&self, key: &str) -> Result<Tensor> {
        let view =
            self.views.get(key).ok_or_else(|| self.file.fault(format!("there is no tensor `{key}`")))?;
        let dtype = view.dtype.ok_or_else(|| {
            self.file.fault(format!("tensor `{key}` has storage type {}, which is not read", view.class))
        })?;
        let range = self.storages.get(&view.storage);
        let storage = range.and_then(|range| self.file.bytes().get(range.clone()));
        let storage = storage
            .ok_or_else(|| self.file.fault(format!("the data of tensor `{key}` are not in the archive")))?;
        let gathered = view.gather(storage, dtype.size_in_bytes(), self.file.bytes().len());
        let bytes = gathered.ok_or_else(|| {
            self.file.fault(format!("tensor `{key}` reaches beyond its data; download the file again"))
        })?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &view.shape, &Device::Cpu)?;
        self.file.release(range.cloned().unwrap_or_default());
        Ok(tensor)
    }

    /// Where a tensor's numbers stand, if they do so without gaps.
    pub(super) fn place(&self, key: &str) -> Option<(DType, Range<usize>)> {
        let view = self.views.get(key)?;
        let dtype = view.dtype?;
        let storage = self.storages.get(&view.storage)?;
        let bytes = self.file.bytes().get(storage.clone())?;
        let range = view.dense(dtype.size_in_bytes())?;
        bytes.get(range.clone()).map(|_| (dtype, storage.start + range.start..storage.start + range.end))
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.file
    }
}
