//! Millions of images to vectors and feature maps: `zoo extract`.
//!
//! The way of an image is the order of the modules: [`store`] reaches folders and object stores, [`plan`] cuts what was
//! named into shards, [`fetch`] brings a shard's pictures near while the one before is computed, [`look`] decodes once
//! and computes with every encoder, [`table`] keeps the rows of one shard, and [`run()`] drives them. [`claim`] lets
//! machines that know nothing of each other share the work.
//!
//! **The one decision.** Work is shards, and a shard is done if and only if its receipt says so ([`receipt`]): a small
//! JSON beside its output, written after it, with what went in and how it was made. Nothing else is remembered, nobody
//! coordinates. So a worker may die at any moment, or two may make the same shard: what appears under the final name is
//! complete and the same bytes whoever wrote it. A picture that cannot be used is a row with an error, never a gap.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use zoo_extract::{Existing, Format, Keep, Reach, Request, Silent, run};
//! use zoo_host::{EncoderRequest, Options, Zoo};
//!
//! let zoo = Zoo::open(Options::default())?;
//! let request = Request::new(vec!["photos/".into(), "s3://bucket/shards/0001.tar".into()], "features/");
//! let never = AtomicBool::new(false);
//! let encoders = vec![zoo_host::EyesRequest::Encoder(EncoderRequest::new("trilobite-clip"))];
//! let done = run(&zoo, encoders, &request, &Silent, &never)?;
//! println!("{} rows, {} of them errors", done.rows, done.failures);
//! # Ok::<(), zoo_extract::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod args;
pub mod bill;
pub mod claim;
mod command;
mod error;
pub mod fetch;
pub mod look;
pub mod plan;
pub mod receipt;
pub mod request;
mod run;
mod setting;
pub mod store;
pub mod table;
mod turns;

pub use error::{Error, Result};
pub use look::Keep;
pub use plan::{Reach, Shard};
pub use request::{Done, Existing, Request, Share, Silent, Watch};
pub use run::run;
pub use table::{Element, Format};
