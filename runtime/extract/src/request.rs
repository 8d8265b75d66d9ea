//! What is wanted, what is heard of it, and what came of it.

use std::time::Duration;

use zoo_pipeline::Failure;
use zoo_preprocess::DecodeOptions;

use crate::error::Error;
use crate::fetch::Columns;
use crate::look::Keep;
use crate::plan::{Plan, Reach, Shard};
use crate::table::{Element, Format};

/// Which shards are this worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All.
    All,
    /// Every `of`-th, from `part` on, which counts from 0.
    Part {
        /// Which.
        part: usize,
        /// Of how many.
        of: usize,
    },
    /// Those that nobody else has, until all are done ([`crate::claim`]).
    Claims {
        /// How long a claim that does not change is believed.
        lease: Duration,
    },
}

impl Share {
    /// Whether a shard may be made by this worker.
    pub fn has(self, shard: &Shard) -> bool {
        match self {
            Self::Part { part, of } => shard.number % of.max(1) == part,
            Self::All | Self::Claims { .. } => true,
        }
    }
}

/// What becomes of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Shards that are done stay; what was made in another way is an error.
    Continue,
    /// All is made anew.
    Replace,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Pictures and archives, by path or address.
    pub sources: Vec<String>,
    /// Where outputs go: a folder, or a prefix of a store.
    pub out: String,
    /// How sources are cut.
    pub reach: Reach,
    /// Which columns of tables and archives mean what.
    pub columns: Columns,
    /// What is kept of the encoders' output.
    pub keep: Keep,
    /// Vectors are scaled to length 1.
    pub unit: bool,
    /// The form of outputs.
    pub format: Format,
    /// Their element type.
    pub element: Element,
    /// Pictures in a call.
    pub batch: usize,
    /// Threads that decode.
    pub threads: usize,
    /// How pictures are decoded.
    pub decode: DecodeOptions,
    /// Which shards are ours.
    pub share: Share,
    /// What becomes of what is there.
    pub existing: Existing,
    /// How long failing calls of stores are repeated.
    pub patience: Duration,
}

impl Request {
    /// Mean vectors in f16, in Parquet.
    pub fn new(sources: Vec<String>, out: impl Into<String>) -> Self {
        Self {
            sources,
            out: out.into(),
            reach: Reach::default(),
            columns: Columns::default(),
            keep: Keep::Mean,
            unit: false,
            format: Format::Parquet,
            element: Element::F16,
            batch: 8,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            decode: DecodeOptions::default(),
            share: Share::All,
            existing: Existing::Continue,
            patience: Duration::from_secs(180),
        }
    }
}

/// What a caller wants to hear. Everything is heard on the thread that called [`run()`](crate::run()).
pub trait Watch {
    /// There are so many shards, of which so many were done before.
    fn planned(&self, _plan: &Plan, _done: usize) {}
    /// A shard begins.
    fn begun(&self, _shard: &Shard, _pictures: usize) {}
    /// So many pictures more are dealt with.
    fn pictures(&self, _count: u64) {}
    /// A picture is a row with an error.
    fn failed(&self, _failure: &Failure) {}
    /// A shard is done.
    fn done(&self, _shard: &Shard) {}
    /// A shard could not be made, while others may.
    fn lost(&self, _shard: &Shard, _error: &Error) {}
    /// All that is left is being made by others.
    fn waiting(&self, _left: usize) {}
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {}

/// What a run did.
#[derive(Debug, Default)]
pub struct Done {
    /// Shards of the plan.
    pub shards: usize,
    /// Those that this run made.
    pub made: usize,
    /// Those that were done before, or by others.
    pub before: usize,
    /// Those that could not be made, and why.
    pub lost: Vec<(String, Error)>,
    /// Rows written.
    pub rows: usize,
    /// Rows written that hold an error.
    pub failures: usize,
    /// Share of the time for which the encoders computed; the rest they waited for pictures or for the output.
    pub busy: f64,
    /// Pictures a second, over all.
    pub rate: f64,
    /// Whether it was asked to stop before its end.
    pub stopped: bool,
}
