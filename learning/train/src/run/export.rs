//! What was learnt as a model folder, in the layout of the released ones.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use safetensors::tensor::{Dtype, View};
use zoo_core::weights::Checkpoint;
use zoo_host::{Piece, Pieces, initial};
use zoo_language::tokens::NewlineAfterImage;

use super::begin::{Origin, keys};
use super::checkpoint::{Numbers, synced};
use super::optimiser::{Optimiser, Slot};
use crate::{Error, Result};

/// Files that a model folder has beside its weights.
const COPIED: [&str; 8] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
];
/// The whole model.
const MODEL: &str = "model.safetensors";
/// The connector alone, where the language model stayed as it was.
const CONNECTOR: &str = "mm_projector.safetensors";

/// A model and where its parts began.
pub(super) struct TrainedModel<'a> {
    pub pieces: &'a Pieces,
    pub connector: Option<&'a Origin>,
    pub llm: &'a Origin,
}

impl TrainedModel<'_> {
    /// Whether the language model stayed as it was, so that its file need not be written again.
    fn llm_stays(&self, optimiser: &Optimiser) -> Option<&Path> {
        match self.llm {
            Origin::Files(files)
                if !keys(&self.pieces.llm).any(|key| optimiser.slots().contains_key(key)) =>
            {
                files.first().map(PathBuf::as_path)
            }
            _ => None,
        }
    }

    /// Makes `out` a model folder with what was learnt so far. Each file is there as a whole or not at all, and the
    /// weights come last.
    pub fn export(&self, out: &Path, optimiser: &Optimiser) -> Result<()> {
        let release = &self.pieces.release;
        for name in COPIED {
            let from = release.folder.join(name);
            if from.is_file() {
                let bytes = fs::read(&from).map_err(Error::io(&from, "cannot read"))?;
                replace(&out.join(name), &bytes)?;
            }
        }
        for (k, encoder) in release.encoders.iter().enumerate() {
            if let Some(arch) = &encoder.arch_override {
                let json = serde_json::to_vec_pretty(arch).map_err(|e| Error::Internal(e.to_string()))?;
                replace(&out.join(encoder_file(k)), &json)?;
            }
        }
        let stays = self.llm_stays(optimiser);
        let mut tensors = BTreeMap::new();
        let parts = self.pieces.connector.iter().zip(self.connector);
        let llm = stays.is_none().then_some((&self.pieces.llm, self.llm));
        for (piece, origin) in parts.chain(llm) {
            let files = match origin {
                Origin::Seed(_) => None,
                Origin::Files(files) => Some(Checkpoint::open(files)?),
            };
            for index in 0..piece.tensors.len() {
                let key = piece.tensors[index].key.clone();
                let learnt = optimiser.slots().get(&key);
                tensors.insert(key, Stored::new(piece, index, origin, files.as_ref(), learnt)?);
            }
        }
        let (written, other) = if stays.is_some() { (CONNECTOR, MODEL) } else { (MODEL, CONNECTOR) };
        replace(&out.join("zoo.toml"), self.zoo_toml(stays)?.as_bytes())?;
        let path = out.join(written);
        let temporary = tempfile::NamedTempFile::new_in(out).map_err(Error::io(out, "cannot write"))?;
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize_to_file(tensors, Some(metadata), temporary.path())
            .map_err(|e| Error::checkpoint(&path, e.to_string()))?;
        synced(temporary.path())?;
        temporary.persist(&path).map_err(|e| Error::io(&path, "cannot write")(e.error))?;
        let other = out.join(other);
        if other.is_file() {
            fs::remove_file(&other).map_err(Error::io(&other, "cannot remove"))?;
        }
        Ok(())
    }

    /// What `config.json` cannot say: the template, and where parts are that were not trained.
    fn zoo_toml(&self, llm: Option<&Path>) -> Result<String> {
        let release = &self.pieces.release;
        let mut out = String::from("# Written by `zoo train`.\n");
        let _ = writeln!(out, "template = {}", quoted(self.pieces.template.name));
        if release.newline == NewlineAfterImage::Drop {
            out.push_str("newline_after_image = \"drop\"\n");
        }
        if let Some(llm) = llm {
            let _ = write!(out, "\n# It was not trained.\n[llm]\nweights = {}\n", path(llm)?);
        }
        if release.encoders.iter().any(|e| e.weights.is_some() || e.arch_override.is_some()) {
            for (k, encoder) in release.encoders.iter().enumerate() {
                let _ = write!(out, "\n[[encoder]]\nid = {}\n", quoted(&encoder.id));
                if let Some(weights) = &encoder.weights {
                    let _ = writeln!(out, "weights = {}", path(weights)?);
                }
                if encoder.arch_override.is_some() {
                    let _ = writeln!(out, "arch_override = {}", quoted(&encoder_file(k)));
                }
            }
        }
        Ok(out)
    }
}

fn encoder_file(k: usize) -> String {
    format!("encoder-{k}.json")
}

/// A text as JSON and TOML write it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An absolute path, so that the folder may be moved.
fn path(path: &Path) -> Result<String> {
    let real = path.canonicalize().map_err(Error::io(path, "cannot find"))?;
    Ok(quoted(&real.to_string_lossy()))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("")))?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path).map_err(|e| e.error)
    };
    write().map(|_| ()).map_err(Error::io(path, "cannot write"))
}

/// A tensor of the model, read or made when it is written.
enum Stored<'a> {
    Learnt(Numbers<'a>),
    Made { piece: &'a Piece, index: usize, seed: u64 },
    Kept { files: Checkpoint, name: String, shape: Vec<usize>, dtype: DType },
}

impl<'a> Stored<'a> {
    fn new(
        piece: &'a Piece,
        index: usize,
        origin: &Origin,
        files: Option<&Checkpoint>,
        learnt: Option<&'a Slot>,
    ) -> Result<Self> {
        let info = &piece.tensors[index];
        Ok(match (learnt, origin, files) {
            (Some(slot), _, _) => Self::Learnt(Numbers(&slot.shape, &slot.value)),
            (None, Origin::Seed(seed), _) => Self::Made { piece, index, seed: *seed },
            (None, Origin::Files(_), Some(files)) => {
                let short = info.key.strip_prefix("model.").filter(|_| !files.contains(&info.key));
                let name = short.unwrap_or(&info.key).to_owned();
                let dtype = files.load(&name)?.dtype();
                Self::Kept { files: files.clone(), name, shape: info.shape.clone(), dtype }
            }
            (None, Origin::Files(_), None) => {
                return Err(Error::Internal("files that were not opened".into()));
            }
        })
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            Self::Kept { dtype: DType::BF16, .. } => Dtype::BF16,
            Self::Kept { dtype: DType::F16, .. } => Dtype::F16,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Learnt(numbers) => numbers.shape(),
            Self::Made { piece, index, .. } => &piece.tensors[*index].shape,
            Self::Kept { shape, .. } => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Learnt(numbers) => numbers.data(),
            Self::Made { piece, index, seed } => {
                initial(*seed, &piece.tensors[*index]).iter().flat_map(|x| x.to_le_bytes()).collect()
            }
            // It was read once already; a file that went away since gives too few bytes, which the writer refuses.
            Self::Kept { files, name, dtype, .. } => files
                .load(name)
                .map_or_else(|_| Cow::Borrowed([].as_slice()), |t| Cow::Owned(bytes(&t, *dtype))),
        }
    }

    fn data_len(&self) -> usize {
        let count: usize = self.shape().iter().product();
        count * if self.dtype() == Dtype::F32 { 4 } else { 2 }
    }
}

/// The numbers of a tensor as files hold them.
fn bytes(tensor: &Tensor, dtype: DType) -> Vec<u8> {
    let read = || -> candle_core::Result<Vec<u8>> {
        let flat = tensor.flatten_all()?;
        Ok(match dtype {
            DType::BF16 => {
                flat.to_vec1::<half::bf16>()?.into_iter().flat_map(half::bf16::to_le_bytes).collect()
            }
            DType::F16 => flat.to_vec1::<half::f16>()?.into_iter().flat_map(half::f16::to_le_bytes).collect(),
            _ => {
                flat.to_dtype(DType::F32)?.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect()
            }
        })
    };
    read().unwrap_or_default()
}
