//! What frozen encoders saw, kept on a disk: each image is looked at once, however often it is learnt from.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};
use zoo_data::Image;
use zoo_host::Pieces;

use super::towers::Glance;
use crate::{Error, Result};

/// The name of the size among the tensors of a file.
const SIZE: &str = "size";

/// What the encoders saw of an image.
pub(super) struct Looked {
    /// `[1, N_k, C_k]` of encoder `k`.
    pub features: Vec<Tensor>,
    /// Width and height of the image.
    pub size: (u32, u32),
    /// Of encoders that learn.
    pub glances: Vec<Glance>,
}

/// A folder with one file for each image, named by everything that its content follows from.
pub(super) struct Kept {
    folder: PathBuf,
    /// Of the encoders, their weights and layers.
    encoders: Vec<u8>,
}

impl Kept {
    /// Opens the folder for the encoders of `pieces`, whose features are kept in `dtype`.
    pub fn open(folder: &Path, pieces: &Pieces, dtype: DType) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
        let mut encoders = format!("{} {dtype:?}", env!("CARGO_PKG_VERSION"));
        for encoder in &pieces.release.encoders {
            encoders += &format!("\n{encoder:?} {:?}", encoder.weights.as_deref().map(state));
        }
        Ok(Self { folder: folder.to_owned(), encoders: encoders.into_bytes() })
    }

    /// Where the features of an image are, or will be.
    fn place(&self, image: &Image) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(&self.encoders);
        hash.update(match image {
            Image::File(path) => format!("\n{} {:?}", path.display(), state(path)),
            Image::Inside { name, .. } => format!("\n{name}"),
        });
        let name: String = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{name}.safetensors"))
    }

    /// Whether something is kept of an image.
    pub fn has(&self, image: &Image) -> bool {
        self.place(image).is_file()
    }

    /// What was seen of an image; nothing where nobody looked yet. A file that cannot be read is as good as none.
    pub fn get(&self, image: &Image, encoders: usize) -> Option<Looked> {
        let mut stored = candle_core::safetensors::load(self.place(image), &Device::Cpu).ok()?;
        let size = stored.remove(SIZE)?.to_vec1::<u32>().ok()?;
        let features = (0..encoders).map(|k| stored.remove(&k.to_string())).collect::<Option<_>>()?;
        Some(Looked { features, size: (*size.first()?, *size.get(1)?), glances: Vec::new() })
    }

    /// Keeps what was seen.
    pub fn put(&self, image: &Image, looked: &Looked) -> Result<()> {
        let path = self.place(image);
        let size = [looked.size.0, looked.size.1];
        let mut tensors = HashMap::from([(SIZE.to_owned(), Tensor::new(&size, &Device::Cpu)?)]);
        for (k, features) in looked.features.iter().enumerate() {
            tensors.insert(k.to_string(), features.to_device(&Device::Cpu)?);
        }
        let temporary =
            tempfile::NamedTempFile::new_in(&self.folder).map_err(Error::io(&self.folder, "cannot write"))?;
        candle_core::safetensors::save(&tensors, temporary.path())?;
        temporary.persist(&path).map_err(|e| Error::io(&path, "cannot write")(e.error))?;
        Ok(())
    }
}

/// Length and time of a file: another one is another image.
fn state(path: &Path) -> Option<(u64, u128)> {
    let found = fs::metadata(path).ok()?;
    let time = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((found.len(), time.as_nanos()))
}
