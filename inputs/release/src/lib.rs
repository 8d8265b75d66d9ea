//! Released checkpoint folders: from the files that people publish to the parts of a model.
//!
//! **The one decision.** A folder is read into data and nothing is opened: which encoders, connector and decoder with
//! which numbers and files, which conversation template. So every mistake in a folder is found before gigabytes are
//! read, what a folder means can be tested without weights, and a host that opens parts needs no knowledge of
//! configurations.
//!
//! A folder holds what the Hub has of a model: `config.json`, a tokenizer, weights; and, where these cannot say
//! everything, a `zoo.toml`. `docs/models.md` describes it for users.
//!
//! ```no_run
//! use zoo_registry::Registry;
//! use zoo_release::Release;
//!
//! let release = Release::read("cambrian-8b".as_ref(), None, &Registry::shipped()?)?;
//! assert_eq!(release.encoders[0].id, "siglip-so400m-14-384");
//! assert_eq!(release.template(None)?.name, "llama_3");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod connector;
mod decoder;
mod encoders;
mod error;
mod files;
mod nested;
mod overrides;
mod release;
mod template;

pub use connector::ConnectorChoice;
pub use decoder::DecoderChoice;
pub use encoders::EncoderChoice;
pub use error::{Error, Result};
pub use release::Release;
