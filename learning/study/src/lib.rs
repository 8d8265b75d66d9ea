//! Studies: which encoders, together, see best?
//!
//! **The one decision.** A study is a set of runs, a run a chain of stages (a world, an upbringing, an adapter stage, tuning,
//! judging), and a stage is named by everything that its result follows from. So what several runs share is done once, what is
//! there is not done again, whoever finds a stage undone may do it (in this process or another one, on this machine or on one
//! that shares the folder), and a report is a function of the stages that are done.
//!
//! Training is `zoo-train`'s, judging `zoo-eval`'s, upbringing `zoo-pretrain`'s: here is only what lies between.
//! `docs/study.md` is for users.
//!
//! ```no_run
//! use zoo_study::Study;
//!
//! let study = Study::open("studies/cambrian-mini.toml".as_ref())?;
//! let stages = study.stages();
//! println!("{} runs, {} stages", study.runs().len(), stages.all().len());
//! # Ok::<(), zoo_study::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bill;
mod effect;
mod error;
mod go;
mod grid;
mod judge;
mod plan;
mod read;
mod recipe;
mod report;
mod stage;
mod start;
mod stats;
mod table;
mod text;

pub use bill::{Bill, Line, bill};
pub use effect::{Selector, Verdict, difference};
pub use error::{Error, Result};
pub use go::{Ended, Opener, Part, Watch, go};
pub use grid::{Dim, Run};
pub use plan::{
    BasePlan, ConnectorPlan, DataPlan, EncoderPlan, EnsemblePlan, FindingPlan, GridPlan, OneOrMany,
    StagePlan, StudyPlan, TaskPlan, WorldPlan,
};
pub use read::Study;
pub use report::{Chart, Finding, Report, report};
pub use stage::{Kind, Stage, Stages};
pub use stats::Estimate;
pub use table::{Row, Table};
