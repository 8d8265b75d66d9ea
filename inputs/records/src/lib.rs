//! Rows of tables, whatever file they are in: JSON lists, JSONL, CSV, TSV, Parquet, tar shards, folders.
//!
//! **The one decision.** A row is a list of named values, and where it stands. Who reads a data set or a benchmark
//! asks for `row.text("question")` and gets it, or one message with file, row and column; no caller knows a format.
//! Pictures come as [`Picture`] in whichever of the usual ways they are written: bytes, base64, a data URL, a path,
//! or the `{bytes, path}` struct of Hugging Face's tables.
//!
//! ```no_run
//! use zoo_records::{Options, Table};
//!
//! let table = Table::open(&["test-0.parquet", "test-1.parquet"], Options::default())?;
//! for row in table.rows() {
//!     let row = row?; // a row that cannot be read is an error; the next ones still come
//!     let question = row.text("question")?;
//!     let picture = row.picture("image")?.read()?;
//!     println!("{}: {question}, {} bytes of picture", row.place(), picture.len());
//! }
//! # Ok::<(), zoo_records::Error>(())
//! ```
//!
//! | form | rows are | read in order | read by place | written |
//! | --- | --- | --- | --- | --- |
//! | `.json` | the objects of one list | yes | yes | yes |
//! | `.jsonl`, `.ndjson` | lines | yes | yes | yes |
//! | `.csv`, `.tsv` | lines under a heading; all values are text, empty ones are null | yes | yes | – |
//! | `.parquet` | rows | yes | yes | yes |
//! | `.tar` | files with one stem, as WebDataset writes them | yes | yes | yes |
//! | a folder with `metadata.jsonl`, `.csv` or `.parquet` | those rows; `file_name` is a picture | yes | yes | – |
//! | another folder | its tables, one after the other; else the files with one stem | yes | yes | – |
//!
//! JSON, JSONL, CSV, TSV and tar may end in `.gz`; those are read in order only. Several files are one table. A pass
//! in order holds one row at a time (of Parquet: 64, fewer where rows are large); reading by place needs 16 bytes a
//! row. [`Table::unread`] leaves parsing to whoever asks, for callers with many threads.
//!
//! [`Writer`] writes files that have their name only once they are complete; [`Shards`] writes many of one job, which
//! several processes may share.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod csv;
mod error;
mod folder;
mod form;
mod indexed;
mod json;
mod parquet;
mod picture;
mod row;
mod table;
mod tar;
mod value;
mod write;

pub use error::{Error, Place, Result, Spot};
pub use form::Form;
pub use indexed::Indexed;
pub use picture::Picture;
pub use row::Row;
pub use table::{Options, Table, Unread};
pub use value::Value;
pub use write::{Replace, Sharding, Shards, Writer, temporary, temporary_as, tidy, write_whole};
