//! With which numbers connector and language model begin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use zoo_core::weights::random::initial;
use zoo_core::weights::{Checkpoint, LowRank, TensorInfo, Weights};
use zoo_host::Piece;

use crate::{Error, Result};

/// Where the numbers of a part come from.
pub(super) enum Origin {
    /// From nothing, by this seed.
    Seed(u64),
    /// From files.
    Files(Vec<PathBuf>),
}

/// The published keys of a part.
pub(super) fn keys(piece: &Piece) -> impl Iterator<Item = &str> {
    piece.tensors.iter().map(|tensor| tensor.key.as_str())
}

/// All tensors of a connector in memory, under their published keys. Connectors that were saved alone may lack the
/// prefix `model.`.
fn connector_tensors(piece: &Piece, files: &[PathBuf]) -> Result<BTreeMap<String, Tensor>> {
    let files = Checkpoint::open(files)?;
    let mut tensors = BTreeMap::new();
    for TensorInfo { key, .. } in &piece.tensors {
        let short = key.strip_prefix("model.").unwrap_or(key);
        // What is missing is listed by whoever reads them.
        if let Some(stored) = [key.as_str(), short].into_iter().find(|stored| files.contains(stored)) {
            tensors.insert(key.clone(), files.load(stored)?);
        }
    }
    if tensors.is_empty() && !piece.tensors.is_empty() {
        return Err(files
            .fault(format!(
                "this is no connector as training writes it: there is no `{}`, but {}",
                piece.tensors[0].key,
                files.sample()
            ))
            .into());
    }
    Ok(tensors)
}

fn seeded(piece: &Piece, seed: u64) -> Result<BTreeMap<String, Tensor>> {
    let tensor = |info: &TensorInfo| {
        let value = Tensor::from_vec(initial(seed, info), info.shape.as_slice(), &Device::Cpu)?;
        Ok((info.key.clone(), value))
    };
    piece.tensors.iter().map(tensor).collect()
}

/// The weights of a connector, with variables for those of its keys that are in `trained`.
pub(super) fn connector(piece: &Piece, origin: &Origin, trained: BTreeSet<String>) -> Result<Weights> {
    let tensors = match origin {
        Origin::Seed(seed) => seeded(piece, *seed)?,
        Origin::Files(files) => connector_tensors(piece, files)?,
    };
    Ok(Weights::tensors(tensors, piece.spec.precision.dtype()).train(trained))
}

/// The weights of a language model, likewise, with the differences that are learnt beside them. What is not trained is
/// read where it stands.
pub(super) fn llm(
    piece: &Piece,
    origin: &Origin,
    trained: BTreeSet<String>,
    differences: Option<LowRank>,
) -> Result<Weights> {
    let dtype = piece.spec.precision.dtype();
    let weights = match origin {
        Origin::Seed(seed) => Weights::tensors(seeded(piece, *seed)?, dtype),
        Origin::Files(files) => {
            let stored = Checkpoint::open(files)?;
            if let Some(key) = keys(piece).find(|key| trained.contains(*key) && !stored.contains(key)) {
                return Err(stored
                    .fault(format!(
                        "there is no tensor `{key}` here; a language model is trained from a checkpoint in the \
                         layout of Cambrian-1 or of its base model"
                    ))
                    .into());
            }
            Weights::open(files, dtype)?
        }
    };
    Ok(weights.train(trained).low_rank(differences))
}

/// The values that the variables of an opened part begin with, in their own precision: of what is computed in fewer
/// bits, the f32 copy begins with all of them.
pub(super) fn values(
    piece: &Piece,
    origin: &Origin,
    trained: &BTreeSet<String>,
) -> Result<BTreeMap<String, Tensor>> {
    let all = match origin {
        Origin::Seed(seed) => seeded(piece, *seed)?,
        Origin::Files(files) => {
            let stored = Checkpoint::open(files)?;
            let load = |key: &String| {
                let short = key.strip_prefix("model.").filter(|short| stored.contains(short));
                let name = if stored.contains(key) { key.as_str() } else { short.unwrap_or(key) };
                Ok::<_, Error>((key.clone(), stored.load(name)?))
            };
            return trained.iter().map(load).collect();
        }
    };
    Ok(all.into_iter().filter(|(key, _)| trained.contains(key)).collect())
}
