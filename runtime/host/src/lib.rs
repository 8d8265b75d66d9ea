//! The engine for applications: finds and loads plugins, opens encoders and ensembles from the registry, prepares
//! images, runs everything, and joins what comes out.
//!
//! **The one decision.** Whatever must be the same for every encoder happens here and not in plugins: pixels,
//! token resampling, weight files, downloads, the registry. A plugin sees normalised tensors and weight files, so
//! two encoders can differ only in what they are.
//!
//! ```no_run
//! use zoo_host::{EncoderRequest, Options, Zoo};
//!
//! let zoo = Zoo::open(Options::default())?;
//! let encoder = zoo.encoder(&EncoderRequest::new("trilobite-clip"))?;
//! let photo = zoo_preprocess::open("photo.jpg", &Default::default())?;
//! let seen = encoder.encode(&encoder.prepare(&[photo])?)?;
//! println!("{:?} tokens on {}", seen.tokens.dims(), seen.grid);
//! # Ok::<(), zoo_host::HostError>(())
//! ```

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod device;
mod encoder;
mod error;
mod export;
mod eyes;
mod finite;
mod generate;
mod inspect;
mod judge;
mod model;
mod opening;
mod paths;
pub mod plugins;
mod text;
mod weights;
mod zoo;

pub use device::DeviceChoice;
pub use encoder::{Encoded, EncoderRequest, EncoderSession};
pub use error::HostError;
pub use eyes::{EnsembleRequest, Eyes, EyesRequest, Seen};
pub use inspect::{ConnectorInspection, EncoderInspection, EnsembleInspection};
pub use judge::Judgement;
pub use model::{
    Choice, EncoderMemory, EncoderPiece, Explanation, LayerSite, Look, MemoryPart, MemoryPlan, MemoryPolicy,
    ModelProgress, ModelRequest, ModelSession, Phase, Piece, Pieces, Sight, Trace,
};
pub use paths::Folders;
pub use text::{TextSession, probabilities, to_unit};
pub use weights::WeightsStatus;
pub use zoo::{Options, Zoo};
pub use zoo_models::Shipped;
