//! Weights from a seed: what an untrained object starts with, written as a checkpoint in the public layout so
//! that it is then loaded like any other.
//!
//! Numbers depend on the seed and the tensor's name ([`zoo_core::weights::random`]): the file does not depend on the order of
//! the manifest, on threads or on the machine.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use safetensors::tensor::{Dtype, View};
use sha2::{Digest, Sha256};
use zoo_core::weights::TensorInfo;
use zoo_core::weights::random::initial;

use crate::HostError;

/// The checkpoint of `manifest` from `seed`, in `folder`; made when it is first asked for.
///
/// The file name holds a fingerprint of the manifest, the seed and the [`GENERATOR`]: change the architecture, and another
/// file is made. It is written under a temporary name and renamed, so that nobody ever sees half of it.
///
/// # Errors
/// [`HostError::Io`] when the folder cannot be written.
pub fn generated(folder: &Path, id: &str, seed: u64, manifest: &[TensorInfo]) -> Result<PathBuf, HostError> {
    let path = folder.join(format!("{id}-{}.safetensors", fingerprint(seed, manifest)));
    if path.is_file() {
        return Ok(path);
    }
    let io = |e: std::io::Error| {
        HostError::io(&path, "cannot write generated weights (ZOO_CACHE names another folder for them)", e)
    };
    std::fs::create_dir_all(folder).map_err(io)?;
    let tensors: Vec<(String, Filled)> =
        manifest.par_iter().map(|info| (info.key.clone(), Filled::new(seed, info))).collect();
    let metadata = HashMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("zoo.untrained".to_owned(), format!("generated from seed {seed}")),
    ]);
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|e| HostError::Internal(format!("generated weights of `{id}`: {e}")))?;
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    std::fs::write(temporary.path(), bytes).map_err(io)?;
    temporary.persist(&path).map_err(|e| io(e.error))?;
    Ok(path)
}

/// Which numbers a seed stands for; another number where they are others.
const GENERATOR: u8 = 2;

fn fingerprint(seed: u64, manifest: &[TensorInfo]) -> String {
    let mut hash = Sha256::new();
    hash.update([GENERATOR]);
    hash.update(seed.to_le_bytes());
    for info in manifest {
        hash.update(format!("{}|{:?}|{:?}\n", info.key, info.shape, info.init));
    }
    hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
}

struct Filled {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Filled {
    fn new(seed: u64, info: &TensorInfo) -> Self {
        let values = initial(seed, info);
        Self { shape: info.shape.clone(), bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }
}

impl View for Filled {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use zoo_core::weights::Init;

    use super::*;

    fn manifest() -> Vec<TensorInfo> {
        let info = |key: &str, init| TensorInfo { key: key.into(), shape: vec![40, 50], init };
        vec![
            info("a", Init::Normal { mean: 1.0, std: 0.5 }),
            info("b", Init::Uniform { bound: 0.25 }),
            info("c", Init::Const(3.0)),
        ]
    }

    #[test]
    fn follows_the_recipe_and_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let path = generated(folder.path(), "x", 7, &manifest()).unwrap();
        let tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
        let values = |k: &str| tensors[k].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (a, b) = (values("a"), values("b"));
        let mean = a.iter().sum::<f32>() / a.len() as f32;
        let std = (a.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / a.len() as f32).sqrt();
        assert!((mean - 1.0).abs() < 0.05 && (std - 0.5).abs() < 0.03, "{mean} {std}");
        assert!(b.iter().all(|x| x.abs() <= 0.25) && b.iter().any(|x| x.abs() > 0.2));
        assert!(values("c").iter().all(|&x| x == 3.0));

        let mut reversed = manifest();
        reversed.reverse();
        let other = generated(folder.path(), "x", 7, &reversed).unwrap();
        let again = candle_core::safetensors::load(&other, &candle_core::Device::Cpu).unwrap();
        assert_eq!(again["a"].flatten_all().unwrap().to_vec1::<f32>().unwrap(), a);
        let seeded = generated(folder.path(), "x", 8, &manifest()).unwrap();
        let seeded = candle_core::safetensors::load(&seeded, &candle_core::Device::Cpu).unwrap();
        assert_ne!(seeded["a"].flatten_all().unwrap().to_vec1::<f32>().unwrap(), a);
        let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(leftovers, 3, "three checkpoints and no temporary file");
    }
}
