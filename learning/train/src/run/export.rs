//! What was learnt as a model folder, in the layout of the released ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

use safetensors::tensor::View;
use zoo_core::weights::Checkpoint;
use zoo_host::{Piece, Pieces};
use zoo_language::tokens::NewlineAfterImage;

use super::begin::{Origin, keys};
use super::checkpoint::synced;
use super::lora;
use super::optimiser::Optimiser;
use super::stored::Stored;
use super::torch;
use super::towers::Towers;
use crate::recipe::{ConnectorFile, Recipe};
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
/// The same, as the reference writes it.
const TORCH_CONNECTOR: &str = "mm_projector.bin";
/// The folder of low-rank differences, for tools that apply them by themselves.
const ADAPTER: &str = "adapter";

/// How the files of encoders begin.
const ENCODER: &str = "encoder-";
/// What a model folder says of itself.
const ZOO: &str = "zoo.toml";

/// Whether a run makes something of this name of what is in a model folder.
pub(super) fn made(name: &str) -> bool {
    COPIED.contains(&name)
        || [ZOO, MODEL, CONNECTOR, TORCH_CONNECTOR, ADAPTER].contains(&name)
        || name.starts_with(ENCODER)
}

/// A model and where its parts began.
pub(super) struct TrainedModel<'a> {
    pub recipe: &'a Recipe,
    pub pieces: &'a Pieces,
    pub towers: &'a Towers,
    pub connector: Option<&'a Origin>,
    pub llm: &'a Origin,
}

impl TrainedModel<'_> {
    /// Whether the language model stayed as it was, so that its file need not be written again.
    fn llm_stays(&self, optimiser: &Optimiser) -> Option<&Path> {
        let learnt = |key: &str| optimiser.slots().contains_key(key) || lora::parts(optimiser, key).is_some();
        match self.llm {
            Origin::Files(files) if !keys(&self.pieces.llm).any(learnt) => {
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
                replace(&out.join(encoder_file(k, "json")), &json)?;
            }
        }
        let mut learnt_encoders = Vec::new();
        for found in self.towers.tensors() {
            let (k, tensors) = found?;
            let stored = |(name, (key, value))| {
                let learnt = optimiser.slots().get(&key);
                (name, learnt.map_or(Stored::Held(value), Stored::learnt))
            };
            write(&out.join(encoder_file(k, "safetensors")), tensors.into_iter().map(stored).collect())?;
            learnt_encoders.push(k);
        }
        lora::export(&out.join(ADAPTER), self.recipe, &self.pieces.llm, optimiser)?;

        let stays = self.llm_stays(optimiser);
        replace(&out.join(ZOO), self.zoo_toml(out, stays, &learnt_encoders)?.as_bytes())?;
        let tensors = self.tensors(stays.is_none(), optimiser)?;
        let written = match (stays, self.recipe.plan.checkpoints.connector) {
            (None, _) => MODEL,
            (Some(_), ConnectorFile::Safetensors) => CONNECTOR,
            (Some(_), ConnectorFile::Bin) => TORCH_CONNECTOR,
        };
        if written == TORCH_CONNECTOR {
            torch::write(&out.join(written), &tensors)?;
        } else {
            write(&out.join(written), tensors)?;
        }
        for other in [MODEL, CONNECTOR, TORCH_CONNECTOR].into_iter().filter(|other| *other != written) {
            let other = out.join(other);
            if other.is_file() {
                fs::remove_file(&other).map_err(Error::io(&other, "cannot remove"))?;
            }
        }
        Ok(())
    }

    /// The connector, and the language model where it is `wanted`.
    fn tensors<'a>(&'a self, wanted: bool, optimiser: &'a Optimiser) -> Result<BTreeMap<String, Stored<'a>>> {
        let mut tensors = BTreeMap::new();
        let parts = self.pieces.connector.iter().zip(self.connector);
        let llm = wanted.then_some((&self.pieces.llm, self.llm));
        for (piece, origin) in parts.chain(llm) {
            let files = match origin {
                Origin::Seed(_) => None,
                Origin::Files(files) => Some(Checkpoint::open(files)?),
            };
            for index in 0..piece.tensors.len() {
                let key = piece.tensors[index].key.clone();
                let stored = self.stored(piece, index, (origin, files.as_ref()), optimiser)?;
                tensors.insert(key, stored);
            }
        }
        Ok(tensors)
    }

    fn stored<'a>(
        &'a self,
        piece: &'a Piece,
        index: usize,
        (origin, files): (&Origin, Option<&Checkpoint>),
        optimiser: &'a Optimiser,
    ) -> Result<Stored<'a>> {
        let info = &piece.tensors[index];
        if let Some(slot) = optimiser.slots().get(&info.key) {
            return Ok(Stored::learnt(slot));
        }
        let begun = match (origin, files) {
            (Origin::Seed(seed), _) => Stored::Made { piece, index, seed: *seed },
            (Origin::Files(_), Some(files)) => {
                let short = info.key.strip_prefix("model.").filter(|_| !files.contains(&info.key));
                let name = short.unwrap_or(&info.key).to_owned();
                let dtype = files.load(&name)?.dtype();
                Stored::Kept { files: files.clone(), name, shape: info.shape.clone(), dtype }
            }
            (Origin::Files(_), None) => {
                return Err(Error::Internal("files that were not opened".into()));
            }
        };
        Ok(match (lora::parts(optimiser, &info.key), &self.recipe.plan.lora) {
            (Some(parts), Some(lora)) => Stored::Merged { base: Box::new(begun), parts, scale: lora.scale() },
            _ => begun,
        })
    }

    /// What `config.json` cannot say: the template, and where parts are that were not trained.
    fn zoo_toml(&self, out: &Path, llm: Option<&Path>, learnt: &[usize]) -> Result<String> {
        let release = &self.pieces.release;
        let mut text = String::from("# Written by `zoo train`.\n");
        let _ = writeln!(text, "template = {}", quoted(self.pieces.template.name));
        if release.newline == NewlineAfterImage::Drop {
            text.push_str("newline_after_image = \"drop\"\n");
        }
        if let Some(llm) = llm {
            let _ = write!(text, "\n# It was not trained.\n[llm]\nweights = {}\n", beside(out, llm)?);
        }
        let own = |e: &zoo_release::EncoderChoice| e.weights.is_some() || e.arch_override.is_some();
        if !learnt.is_empty() || release.encoders.iter().any(own) {
            for (k, encoder) in release.encoders.iter().enumerate() {
                let _ = write!(text, "\n[[encoder]]\nid = {}\n", quoted(&encoder.id));
                if learnt.contains(&k) {
                    let _ = writeln!(text, "weights = {}", quoted(&encoder_file(k, "safetensors")));
                } else if let Some(weights) = &encoder.weights {
                    let _ = writeln!(text, "weights = {}", beside(out, weights)?);
                }
                if encoder.arch_override.is_some() {
                    let _ = writeln!(text, "arch_override = {}", quoted(&encoder_file(k, "json")));
                }
            }
        }
        Ok(text)
    }
}

fn encoder_file(k: usize, end: &str) -> String {
    format!("{ENCODER}{k}.{end}")
}

/// A text as JSON and TOML write it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The way from the folder `out` to `path`, so that both may be moved together.
fn beside(out: &Path, path: &Path) -> Result<String> {
    let real = |path: &Path| path.canonicalize().map_err(Error::io(path, "cannot find"));
    let (out, path) = (real(out)?, real(path)?);
    let common = out.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return Err(Error::Io {
            path,
            what: "cannot be named from the folder of the run, which is on another drive",
            source: std::io::ErrorKind::CrossesDevices.into(),
        });
    }
    let up = out.components().skip(common).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path.components().skip(common)).collect();
    Ok(quoted(&way.to_string_lossy().replace('\\', "/")))
}

/// Writes a small file, as a whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("")))?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path).map_err(|e| e.error)
    };
    write().map(|_| ()).map_err(Error::io(path, "cannot write"))
}

/// Writes tensors to a safetensors file, as a whole or not at all.
///
/// # Errors
/// [`Error::Io`], [`Error::Checkpoint`].
pub fn write(path: &Path, tensors: BTreeMap<String, impl View>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(Error::io(folder, "cannot write"))?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize_to_file(tensors, Some(metadata), temporary.path())
        .map_err(|e| Error::checkpoint(path, e.to_string()))?;
    synced(temporary.path())?;
    temporary.persist(path).map_err(|e| Error::io(path, "cannot write")(e.error))?;
    Ok(())
}
