//! Weight files of every container that people publish, behind one set of names.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Tensor};
use zoo_kernels::Stored;

use super::blocks::Blocks;
use super::gguf::{self, Gguf, Metadata};
use super::locate::{self, Found};
use super::mapped::Mapped;
use super::pickle::{self, Torch};
use super::rows::{Rows, StoredRange};
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
    /// Where each of them is.
    located: Vec<PathBuf>,
    /// Where a tensor is.
    index: BTreeMap<String, Held>,
}

/// Where a tensor is.
struct Held {
    file: usize,
    /// Its name in the file, where that is another one.
    stored: Option<String>,
}

/// Parts of names that wrappers of PyTorch put between those of a model (compiled modules, sharded ones, modules that
/// compute their activations twice), which mean nothing to whoever reads the weights.
const WRAPPERS: [&str; 3] = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

/// A tensor's name without the parts that mean nothing; `None` if it has none of them.
fn unwrapped(key: &str) -> Option<String> {
    let wrapped = |key: &str| WRAPPERS.iter().any(|part| key.contains(part));
    wrapped(key).then(|| WRAPPERS.iter().fold(key.to_owned(), |key, part| key.replace(part, "")))
}

enum Container {
    Safetensors(Safetensors),
    Torch(Torch),
    Gguf(Gguf),
    /// A network with its weights: no tensors of ours, but a file that a family reads itself.
    Graph(Mapped),
}

/// How the name of a file ends that holds a whole network.
const GRAPH: &str = "onnx";

impl Container {
    fn open(path: &Path) -> Result<Self> {
        let file = Mapped::open(path)?;
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(GRAPH)) {
            return Ok(Self::Graph(file));
        }
        if file.bytes().starts_with(pickle::ZIP) || pickle::is_pickle(file.bytes()) {
            Torch::parse(file).map(Self::Torch)
        } else if file.bytes().starts_with(gguf::MAGIC) {
            Gguf::parse(file).map(Self::Gguf)
        } else {
            Safetensors::parse(file).map(Self::Safetensors)
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Safetensors(file) => Box::new(file.keys()),
            Self::Torch(file) => Box::new(file.keys()),
            Self::Gguf(file) => Box::new(file.keys()),
            Self::Graph(_) => Box::new(std::iter::empty()),
        }
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        match self {
            Self::Safetensors(file) => file.shape(key),
            Self::Torch(file) => file.shape(key),
            Self::Gguf(file) => file.shape(key),
            Self::Graph(_) => None,
        }
    }

    fn load(&self, key: &str) -> Result<Tensor> {
        match self {
            Self::Safetensors(file) => file.load(key),
            Self::Torch(file) => file.load(key),
            Self::Gguf(file) => file.load(key),
            Self::Graph(_) => Err(Error::Internal(format!("tensor `{key}` of a file that holds a network"))),
        }
    }

    /// Where a tensor's numbers stand, when they do so without gaps in a format that can be read in place.
    fn place(&self, key: &str) -> Option<(Stored, Range<usize>)> {
        let (dtype, bytes) = match self {
            Self::Safetensors(file) => file.place(key),
            Self::Torch(file) => file.place(key),
            Self::Gguf(file) => file.place(key),
            Self::Graph(_) => None,
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
            Self::Torch(file) => file.mapped(),
            Self::Gguf(file) => file.mapped(),
            Self::Graph(file) => file,
        }
    }
}

impl Checkpoint {
    /// Opens files, or a folder that holds them: `.safetensors`, sharded checkpoints by their `*.index.json` or by
    /// the numbers in their names, `.bin` / `.pth` / `.pt` / `.tar` (pickles of PyTorch, read without executing
    /// anything), `.gguf`. The container is told from the content, not from the name; only `.onnx` is a network with its
    /// weights, of which no tensors are known ([`Checkpoint::graphs`]).
    ///
    /// Names are those of the file without what wrappers of PyTorch add between them (`_orig_mod.`). Where several
    /// shards hold a tensor of one name, their index says which one counts. Where the files stand in several folders, each
    /// folder is a network of its own and part of its tensors' names (`unet/conv_in.weight`); a folder with a
    /// `model_index.json` stands for the networks in its folders, as diffusers saves them.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is not there, not readable, cut short, or no checkpoint; for two files
    /// that hold a tensor of the same name.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let located = locate::files(paths)?;
        let files = located.iter().map(|found| Container::open(&found.path)).collect::<Result<Vec<_>>>()?;
        let mut index: BTreeMap<String, Held> = BTreeMap::new();
        for (file, (container, found)) in files.iter().zip(&located).enumerate() {
            for key in container.keys() {
                let mut name = unwrapped(key).unwrap_or_else(|| key.to_owned());
                if let Some(network) = &found.network {
                    name = format!("{network}/{name}");
                }
                let stored = (name != key).then(|| key.to_owned());
                let other = index.get(&name).map(|held| &located[held.file]);
                let listed = |found: &Found| {
                    found.listed.as_ref().is_some_and(|(index, file)| index.file_of(key) == Some(file))
                };
                match other {
                    Some(other) if listed(other) && !listed(found) => continue,
                    Some(other) if listed(found) && !listed(other) => {}
                    Some(other) => {
                        let message = format!("tensor `{name}` also stands in {}", other.path.display());
                        return Err(Error::File { path: found.path.clone(), message });
                    }
                    None => {}
                }
                index.insert(name, Held { file, stored });
            }
        }
        let located = located.into_iter().map(|found| found.path).collect();
        Ok(Self(Arc::new(Inner { paths: paths.to_vec(), files, located, index })))
    }

    /// The file of a tensor, its number, and its name there.
    fn held<'a>(&'a self, key: &'a str) -> Option<(&'a Container, usize, &'a str)> {
        let held = self.0.index.get(key)?;
        let file = self.0.files.get(held.file)?;
        Some((file, held.file, held.stored.as_deref().unwrap_or(key)))
    }

    /// The files that hold whole networks (`.onnx`), which nothing here reads.
    pub fn graphs(&self) -> Vec<&Path> {
        let files = self.0.files.iter().zip(&self.0.located);
        files
            .filter_map(|(file, path)| matches!(file, Container::Graph(_)).then_some(path.as_path()))
            .collect()
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
        let held = self.0.index.get(key)?;
        self.0.files.get(held.file)?.shape(held.stored.as_deref().unwrap_or(key))
    }

    /// Reads a tensor onto the CPU in its stored dtype.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such tensor or its dtype or storage cannot be read.
    pub fn load(&self, key: &str) -> Result<Tensor> {
        match self.held(key) {
            Some((file, _, stored)) => file.load(stored),
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
    pub(super) fn place(&self, key: &str) -> Option<StoredRange> {
        let (container, file, stored) = self.held(key)?;
        let (format, bytes) = container.place(stored)?;
        Some(StoredRange { file, format, bytes })
    }

    /// A matrix of such rows in the blocks in which it is stored; `None` when it is not stored in blocks.
    pub(super) fn blocks(&self, key: &str) -> Option<Blocks> {
        let (container, file, stored) = self.held(key)?;
        let Container::Gguf(gguf) = container else { return None };
        let (format, bytes) = gguf.blocks(stored)?;
        let width = *gguf.shape(stored)?.last()?;
        Some(Blocks { files: self.clone(), file, bytes, format, width })
    }

    /// The metadata of the first file that has some, as GGUF files do.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.0.files.iter().find_map(|file| match file {
            Container::Gguf(file) => Some(file.metadata()),
            Container::Safetensors(_) | Container::Torch(_) | Container::Graph(_) => None,
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
