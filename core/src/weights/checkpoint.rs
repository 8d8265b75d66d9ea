//! Weight files of every container that people publish, behind one set of names.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Tensor};
use zoo_kernels::Stored;

use super::blocks::Blocks;
use super::gguf::{self, Gguf, Metadata};
use super::locate;
use super::mapped::Mapped;
use super::pickle::TorchZip;
use super::rows::{Place, Rows};
use super::safetensors::Safetensors;
use crate::{Error, Result};

/// Opened weight files: names, shapes, and tensors on demand. Cheap to clone.
///
/// Files are mapped, not read: a tensor costs memory from the moment it is asked for, and a 3 GB file whose
/// vision tower is a tenth of it costs a tenth.
#[derive(Clone)]
pub struct Checkpoint(Arc<Inner>);

struct Inner {
    paths: Vec<PathBuf>,
    files: Vec<Container>,
    /// Which file holds a tensor.
    index: BTreeMap<String, usize>,
}

enum Container {
    Safetensors(Safetensors),
    TorchZip(TorchZip),
    Gguf(Gguf),
}

impl Container {
    fn open(path: &Path) -> Result<Self> {
        let file = Mapped::open(path)?;
        if file.bytes().starts_with(b"PK\x03\x04") {
            TorchZip::parse(file).map(Self::TorchZip)
        } else if file.bytes().starts_with(gguf::MAGIC) {
            Gguf::parse(file).map(Self::Gguf)
        } else {
            Safetensors::parse(file).map(Self::Safetensors)
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Safetensors(file) => file.path(),
            Self::TorchZip(file) => file.path(),
            Self::Gguf(file) => file.path(),
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Safetensors(file) => Box::new(file.keys()),
            Self::TorchZip(file) => Box::new(file.keys()),
            Self::Gguf(file) => Box::new(file.keys()),
        }
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        match self {
            Self::Safetensors(file) => file.shape(key),
            Self::TorchZip(file) => file.shape(key),
            Self::Gguf(file) => file.shape(key),
        }
    }

    fn load(&self, key: &str) -> Result<Tensor> {
        match self {
            Self::Safetensors(file) => file.load(key),
            Self::TorchZip(file) => file.load(key),
            Self::Gguf(file) => file.load(key),
        }
    }

    /// Where a tensor's numbers stand, when they do so without gaps in a format that can be read in place.
    fn place(&self, key: &str) -> Option<(Stored, Range<usize>)> {
        let (dtype, bytes) = match self {
            Self::Safetensors(file) => file.place(key),
            Self::TorchZip(file) => file.place(key),
            Self::Gguf(file) => file.place(key),
        }?;
        let format = match dtype {
            DType::F32 => Stored::F32,
            DType::BF16 => Stored::Bf16,
            DType::F16 => Stored::F16,
            _ => return None,
        };
        Some((format, bytes))
    }

    fn mapped(&self) -> &Mapped {
        match self {
            Self::Safetensors(file) => file.mapped(),
            Self::TorchZip(file) => file.mapped(),
            Self::Gguf(file) => file.mapped(),
        }
    }
}

impl Checkpoint {
    /// Opens files, or a folder that holds them: `.safetensors`, sharded checkpoints by their `*.index.json`,
    /// `.bin` / `.pth` / `.pt` / `.tar` (zip pickles, read without executing anything), `.gguf`. The container is
    /// told from the content, not from the name.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is not there, not readable, cut short, or no checkpoint; for two files
    /// that hold a tensor of the same name.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        let mut index = BTreeMap::new();
        for path in locate::files(paths)? {
            let file = Container::open(&path)?;
            for key in file.keys() {
                if let Some(other) = index.insert(key.to_owned(), files.len()) {
                    let first: &Container = files.get(other).unwrap_or(&file);
                    let message = format!("tensor `{key}` also stands in {}", first.path().display());
                    return Err(Error::File { path, message });
                }
            }
            files.push(file);
        }
        Ok(Self(Arc::new(Inner { paths: paths.to_vec(), files, index })))
    }

    fn file(&self, key: &str) -> Option<&Container> {
        self.0.index.get(key).and_then(|&i| self.0.files.get(i))
    }

    /// All tensor names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.index.keys().map(String::as_str)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.0.index.len()
    }

    /// Whether there is no tensor at all.
    pub fn is_empty(&self) -> bool {
        self.0.index.is_empty()
    }

    /// Whether a tensor of this name is there.
    pub fn contains(&self, key: &str) -> bool {
        self.0.index.contains_key(key)
    }

    /// Shape of a tensor, without reading it.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.file(key).and_then(|file| file.shape(key))
    }

    /// Reads a tensor onto the CPU in its stored dtype.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such tensor or its dtype or storage cannot be read.
    pub fn load(&self, key: &str) -> Result<Tensor> {
        match self.file(key) {
            Some(file) => file.load(key),
            None => Err(self.fault(format!("there is no tensor `{key}`"))),
        }
    }

    /// The rows of a tensor, to be read where they stand; `None` when it is not there, has no axis, or is stored in a
    /// form that is not read in place.
    pub fn rows(&self, key: &str) -> Option<Rows> {
        let (&height, row) = self.shape(key)?.split_first()?;
        let mut rows = Rows::new(height, row.iter().product());
        rows.push(self.clone(), self.place(key)?);
        Some(rows)
    }

    /// Where the numbers of a tensor stand, when they can be read there. They are within the file.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        let file = *self.0.index.get(key)?;
        let (format, bytes) = self.0.files.get(file)?.place(key)?;
        Some(Place { file, format, bytes })
    }

    /// A matrix of such rows in the blocks in which it is stored; `None` when it is not stored in blocks.
    pub(super) fn blocks(&self, key: &str) -> Option<Blocks> {
        let file = *self.0.index.get(key)?;
        let Container::Gguf(gguf) = self.0.files.get(file)? else { return None };
        let (format, bytes) = gguf.blocks(key)?;
        let width = *gguf.shape(key)?.last()?;
        Some(Blocks { files: self.clone(), file, bytes, format, width })
    }

    /// The metadata of the first file that has some, as GGUF files do.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.0.files.iter().find_map(|file| match file {
            Container::Gguf(file) => Some(file.metadata()),
            Container::Safetensors(_) | Container::TorchZip(_) => None,
        })
    }

    /// Bytes of a file.
    pub(super) fn bytes(&self, file: usize) -> &[u8] {
        self.0.files.get(file).map_or(&[], |file| file.mapped().bytes())
    }

    /// Lets go of what was mapped of a file.
    pub(super) fn release(&self, file: usize, bytes: Range<usize>) {
        if let Some(file) = self.0.files.get(file) {
            file.mapped().release(bytes);
        }
    }

    /// The files, for messages.
    pub fn name(&self) -> String {
        self.0.paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// A few tensor names, for messages.
    pub fn sample(&self) -> String {
        self.keys().take(3).map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
    }

    /// An error about these files.
    pub fn fault(&self, message: String) -> Error {
        Error::File { path: self.0.paths.first().cloned().unwrap_or_default(), message }
    }
}
