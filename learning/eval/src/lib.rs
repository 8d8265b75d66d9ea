//! Judging models that see: benchmarks as files, replies as they were given, scores by everybody's rules.
//!
//! **The one decision.** Asking and judging are apart. A run stores every reply with all that made it; a score is a
//! function of stored replies, a task's file and a named rule, and of nothing else: no order of lines, no state of a run.
//! So the same replies are scored again, by another harness's rule, without a model.
//!
//! ```
//! use zoo_eval::rules::{Rule, Target};
//!
//! let target = Target { letter: Some('B'), options: vec!["left".into(), "right".into()], ..Target::default() };
//! // The same reply to two harnesses: one takes the first letter of any word.
//! assert_eq!(Rule::Mcq.judge("The answer is B", &target).score, 1.0);
//! assert_eq!(Rule::LmmsCvBench.judge("The answer is B", &target).score, 0.0);
//! ```
//!
//! | module | what it does |
//! | --- | --- |
//! | [`task`] | task files: the shipped benchmarks and one's own |
//! | [`dataset`] | rows of a data set as questions |
//! | [`pull`] | the data of tasks, from the Hub |
//! | [`run`] | asks a model here or an endpoint, stores replies, goes on where it was stopped |
//! | [`rules`] | from a reply to a verdict, as each harness does it |
//! | [`score`] | from verdicts to scores with intervals |
//! | [`suite`] | the paper's groups and averages |
//! | [`compare`] | runs side by side, with paired tests |
//! | [`analyse`] | what scores say about benchmarks and encoders |
//! | [`build`] | questions as those of CV-Bench from annotated pictures |
//! | [`grade`] | a language model as the judge |
//!
//! docs/evaluation.md is the user's page.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod analyse;
pub mod build;
pub mod compare;
pub mod cv_bench;
pub mod dataset;
mod error;
pub mod grade;
pub mod published;
pub mod pull;
pub mod rules;
pub mod run;
pub mod score;
pub mod submit;
pub mod suite;
pub mod task;
mod text;

pub use error::{Error, Result};
