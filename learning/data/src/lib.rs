//! What is learnt from: conversations about images, as LLaVA writes them, and the tools that make data sets of them.
//!
//! **The one decision.** Records stay in their files. What is kept in memory of each is where it stands and how long it
//! is; so a data set may be larger than memory, and every job over it is one pass in the order of the files.
//!
//! ```no_run
//! use zoo_data::{DataSource, Dataset};
//!
//! let source = DataSource { records: "shapes.jsonl".into(), images: "images".into() };
//! let data = Dataset::open(&[source])?;
//! let (record, image) = data.read(0)?;
//! println!("{}: {:?}, {image:?}", data.place(0), record.conversation);
//! # Ok::<(), zoo_data::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod dataset;
mod error;
mod index;
mod record;

pub use check::{Checked, check};
pub use dataset::{DataSource, Dataset};
pub use error::{Error, Result};
pub use record::{Flaw, FlawKind, Record};
