//! Checkpoints: from the files that people publish to the tensors that a model wants.
//!
//! A model asks a [`Params`] for tensors by *canonical* name; a [`Layout`] says where each stands in the layout
//! at hand (Hugging Face, open_clip, timm, original). Nothing fails at the first surprise: whatever is missing,
//! misshapen or left over is collected and reported once, by [`Params::finish`]. The same code path also runs
//! without any file ([`Weights::record`]): it then lists the tensors that a checkpoint must hold, which is how
//! parameters are counted, manifests checked and random weights made.

mod adapter;
mod blocks;
mod checkpoint;
mod detect;
pub mod gguf;
mod init;
mod layout;
mod loaded;
mod locate;
mod low_rank;
mod mapped;
mod params;
mod pickle;
pub mod random;
mod report;
mod rows;
mod safetensors;
mod shards;
mod state;
mod store;

pub use adapter::adapter;
pub use blocks::Blocks;
pub use checkpoint::Checkpoint;
pub use init::{Init, TensorInfo};
pub use layout::{Layout, Piece, TensorSource};
pub use loaded::Loaded;
pub use low_rank::{Difference, LowRank};
pub use params::Params;
pub use report::WeightsReport;
pub use rows::Rows;
pub use shards::Index;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use crate::{Quantisation, Result};

/// Where the tensors of one object come from.
pub struct Weights {
    kind: Kind,
    dtype: DType,
    layout: Option<String>,
    training: Training,
    low_rank: Option<Rc<LowRank>>,
    quantise: Option<Quantisation>,
    vectors: bool,
}

/// Which tensors are handed out as variables.
#[derive(Debug, Clone)]
enum Training {
    Nothing,
    Everything,
    /// Those of these published keys.
    Keys(Rc<BTreeSet<String>>),
}

impl Training {
    fn wants(&self, key: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Keys(keys) => keys.contains(key),
        }
    }
}

enum Kind {
    Files(Checkpoint),
    /// With the prefix, where it is known.
    Tensors(Rc<BTreeMap<String, Tensor>>, Option<Arc<str>>),
    Record(Rc<RefCell<Vec<TensorInfo>>>),
    Random(u64),
}

impl Weights {
    /// Opens weight files or a folder of them; tensors are handed out as `dtype`.
    ///
    /// # Errors
    /// [`crate::Error::File`] for a file that is not there, not readable, or no checkpoint.
    pub fn open(paths: &[PathBuf], dtype: DType) -> Result<Self> {
        Ok(Self {
            kind: Kind::Files(Checkpoint::open(paths)?),
            dtype,
            layout: None,
            training: Training::Nothing,
            low_rank: None,
            quantise: None,
            vectors: false,
        })
    }

    /// Tensors in memory, by published key. They are handed out as they are, so that gradients reach them. The
    /// layout is the first that a model knows, or the one that [`Weights::with_layout`] names.
    pub fn tensors(tensors: BTreeMap<String, Tensor>, dtype: DType) -> Self {
        Self {
            kind: Kind::Tensors(Rc::new(tensors), None),
            dtype,
            layout: None,
            training: Training::Nothing,
            low_rank: None,
            quantise: None,
            vectors: false,
        }
    }

    /// The variables of a model that was read before, or what replaces them, in the same layout.
    pub fn reload(loaded: &Loaded, tensors: BTreeMap<String, Tensor>, dtype: DType) -> Self {
        let layout = Some(loaded.layout.to_owned());
        Self {
            kind: Kind::Tensors(Rc::new(tensors), Some(loaded.prefix.clone())),
            dtype,
            layout,
            training: Training::Nothing,
            low_rank: None,
            quantise: None,
            vectors: false,
        }
    }

    /// No files: every tensor is a zero that takes no memory, and what was asked for is written down.
    pub fn record(dtype: DType) -> Self {
        Self {
            kind: Kind::Record(Rc::default()),
            dtype,
            layout: None,
            training: Training::Nothing,
            low_rank: None,
            quantise: None,
            vectors: false,
        }
    }

    /// No files: every tensor is made from this seed when it is asked for, as its [`Init`] says.
    pub fn random(seed: u64, dtype: DType) -> Self {
        Self {
            kind: Kind::Random(seed),
            dtype,
            layout: None,
            training: Training::Nothing,
            low_rank: None,
            quantise: None,
            vectors: false,
        }
    }

    /// Insists on the layout of this name instead of detecting it.
    #[must_use]
    pub fn with_layout(mut self, layout: Option<String>) -> Self {
        self.layout = layout;
        self
    }

    /// Hands out variables, so that gradients can be taken with respect to the weights.
    #[must_use]
    pub fn trainable(mut self, yes: bool) -> Self {
        self.training = if yes { Training::Everything } else { Training::Nothing };
        self
    }

    /// Hands out the tensors of these published keys as variables, and all others as they are.
    #[must_use]
    pub fn train(mut self, keys: BTreeSet<String>) -> Self {
        self.training = Training::Keys(Rc::new(keys));
        self
    }

    /// Has a low-rank difference learnt beside some matrices, where a model can compute with it: those of a decoder's
    /// layers.
    #[must_use]
    pub fn low_rank(mut self, differences: Option<LowRank>) -> Self {
        self.low_rank = differences.map(Rc::new);
        self
    }

    /// Asks for matrices in blocks of this format, where a model can compute with them.
    #[must_use]
    pub fn quantise(mut self, format: Option<Quantisation>) -> Self {
        self.quantise = format;
        self
    }

    /// Asks an encoder for what makes one vector of an image, too: a projection, a pooling head. Maps do not need it, and
    /// a checkpoint may lack it.
    #[must_use]
    pub fn vectors(mut self, yes: bool) -> Self {
        self.vectors = yes;
        self
    }

    /// When recording: the tensors that were asked for so far, as a checkpoint in the chosen layout would hold
    /// them. Empty otherwise.
    pub fn manifest(&self) -> Vec<TensorInfo> {
        match &self.kind {
            Kind::Record(list) => list.borrow().clone(),
            Kind::Files(_) | Kind::Tensors(..) | Kind::Random(_) => Vec::new(),
        }
    }

    /// The files that hold whole networks, for families that read such files themselves; empty when recording and for
    /// weights from a seed.
    pub fn graphs(&self) -> Vec<PathBuf> {
        match &self.kind {
            Kind::Files(files) => files.graphs().into_iter().map(Path::to_owned).collect(),
            Kind::Tensors(..) | Kind::Record(_) | Kind::Random(_) => Vec::new(),
        }
    }

    /// Whether there are no files, and what is asked for is written down.
    pub fn is_recording(&self) -> bool {
        matches!(self.kind, Kind::Record(_))
    }

    /// The dtype in which tensors are handed out.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Starts reading with the first of `layouts` that the files match.
    ///
    /// # Errors
    /// [`crate::Error::File`] when none matches, with the keys that were looked for.
    pub fn params(&self, layouts: &[Layout], device: &Device) -> Result<Params> {
        Params::new(self, layouts, device)
    }
}
