//! Weight files and data sets from the Hugging Face Hub. The only crate of the workspace that opens sockets.
//!
//! **The one decision.** The cache is the one that the Python tools keep (`models--org--name` with `blobs`, `refs`
//! and `snapshots`), found through the same environment variables and guarded by the same lock files, so nothing is
//! downloaded twice on a machine that has both. The paths come from the `hf-hub` crate; its downloader is not used,
//! because it begins an interrupted file anew and knows no offline switch. Ours resumes, verifies and, when it is
//! told to stay offline, never creates a client.
//!
//! ```no_run
//! use zoo_hub::{Hub, Quiet};
//!
//! let hub = Hub::from_env()?;
//! let (repo, file, revision) = ("timm/vit_tiny_patch16_224.augreg_in21k", "model.safetensors", "main");
//! let path = match hub.locate(repo, file, revision) {
//!     Some(path) => path, // in the cache already
//!     None => hub.fetch(repo, file, revision, None, &Quiet)?,
//! };
//! println!("{}", path.display());
//! # Ok::<(), zoo_hub::Error>(())
//! ```
//!
//! # Environment
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `HF_HOME` | folder of cache and token | `$XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface` |
//! | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE` | the cache itself | `$HF_HOME/hub` |
//! | `HF_ENDPOINT` | a mirror | `https://huggingface.co` |
//! | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` | access token | the file `HF_TOKEN_PATH`, else `$HF_HOME/token` |
//! | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | send no token | off |
//! | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | open no socket | off |
//! | `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` | certificate authorities to trust, PEM | Mozilla's, built in |
//! | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | proxy | none |
//!
//! In variables that name files and folders `~` and `$NAME` are replaced ([`expand`]).

#![forbid(unsafe_code)]

mod cache;
mod checkpoint;
mod download;
mod error;
mod expand;
mod hash;
mod hub;
mod list;
mod names;
mod post;
mod progress;
mod remote;
mod retry;
mod settings;

pub use checkpoint::Listing;
pub use error::{Error, Result};
pub use expand::expand;
pub use hash::sha256_file;
pub use hub::Hub;
pub use list::Listed;
pub use post::{Answer, Poster};
pub use progress::{Progress, Quiet};
pub use settings::Settings;
