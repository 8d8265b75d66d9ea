//! From files to features in files: what `zoo encode` does, for whoever needs it.
//!
//! The way of an image is the order of the modules: [`find`] makes a list of what was named, [`read`] decodes ahead and
//! puts batches together, [`look`] computes, [`mod@write`] keeps what came out, and [`run`] drives the four. Nothing
//! flows back: each stage knows those before it by their results alone.
//!
//! **The one decision.** Two kinds of going wrong are kept apart by type. An [`Error`] is about one input: it becomes a
//! [`Failure`], and the others go on. A [`WriteError`] that is not about one output ends the run: what cannot be kept
//! need not be computed, and what was kept stays whole, so that the next run goes on from there ([`write::Existing`]).
//!
//! Who calls decides what is computed ([`look::Look`]), where it goes ([`write::Sink`]), what is shown meanwhile and when
//! to stop ([`Control`]).
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use zoo_host::{EncoderRequest, EyesRequest, Options, Zoo};
//! use zoo_pipeline::look::Encoders;
//! use zoo_pipeline::write::{Existing, FolderSink, Setting};
//! use zoo_pipeline::{Control, Reading, Silent, find, run};
//!
//! let zoo = Zoo::open(Options::default())?;
//! let encoders = Encoders::open(&zoo, &EyesRequest::Encoder(EncoderRequest::new("trilobite-clip")))?;
//! let found = find::find(&["photos"]);
//! let reading = Reading::new(4, 2, encoders.decode_options(&Default::default()));
//! let setting = Setting::new(encoders.identity().clone(), Default::default());
//! let mut sink = FolderSink::open("features".as_ref(), &found.inputs, setting, Existing::Keep)?;
//! let never = AtomicBool::new(false);
//! let control = Control { watch: &Silent, cancel: &never };
//! let outcome = run(&found.inputs, &reading, &encoders, &mut sink, &control);
//! println!("{} images, {} failures", sink.files().len(), outcome.failures.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod error;
pub mod find;
pub mod index;
pub mod look;
pub mod read;
mod run;
pub mod write;

pub use error::{Error, Failure};
pub use read::Reading;
pub use run::{Control, End, Outcome, Silent, Watch, run, run_from};
pub use write::WriteError;

/// What is recorded beside tensors.
pub type Metadata = serde_json::Map<String, serde_json::Value>;
