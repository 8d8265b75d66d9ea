//! What is learnt from: conversations about images, as LLaVA writes them, and the tools that make data sets of them.
//!
//! **The one decision.** Records stay in their files. What is kept in memory of each is where it stands and how long it
//! is; so a data set may be larger than memory, and every job over it is one pass in the order of the files ([`Job`]):
//! parsed on all processors, taken in order, so that the same input gives the same bytes on any machine. What has its
//! final name is complete. No query engine is behind this: the jobs are passes with a choice for each record, and what
//! they keep between two passes (hashes, ranks, keys) is a few bytes a record.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use zoo_data::{CheckPlan, DataSource, Dataset, Job, check};
//!
//! let source = DataSource { records: "shapes.jsonl".into(), images: "images".into() };
//! let found = check(&[source.clone()], &CheckPlan::default(), &mut Job::new(&mut (), &AtomicBool::new(false)))?;
//! println!("{} records to learn from", found.sound);
//!
//! let data = Dataset::open(&[source])?;
//! let (record, image) = data.read(0)?;
//! println!("{}: {:?}, {image:?}", data.place(0), record.conversation);
//! # Ok::<(), zoo_data::Error>(())
//! ```
//!
//! `docs/data.md` is for users.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod convert;
mod curate;
mod dataset;
mod dedup;
mod error;
mod inspect;
mod job;
mod leak;
mod mix;
mod output;
mod picture;
pub mod prompt;
mod record;
mod repair;
mod split;

pub use check::{Change, CheckPlan, Checked, changes, check};
pub use convert::{Converted, Pictures as PicturesGo, convert};
pub use curate::{CurateRecipe, Curated, Plan, Quota, Shortfall, Source, count, curate, plan, recipes};
pub use dataset::{DataSource, Dataset};
pub use dedup::{Alike, Deduplicated, dedup};
pub use error::{Error, Result};
pub use inspect::{Frequent, Histogram, Inspected, Tokens, inspect, page};
pub use job::{Job, Watch};
pub use leak::{FARTHEST, Hash, Kind as HashKind, Leak, Leaks, Near, Pictures, Same, dhash, leak, phash};
pub use mix::{Mixed, Part, mix};
pub use output::Target;
pub use picture::Image;
pub use record::{Flaw, FlawKind, Record};
pub use split::{Piece, SplitUp, split};
pub use zoo_records::{Options, Replace, Sharding, Table};
