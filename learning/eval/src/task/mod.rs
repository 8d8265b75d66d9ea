//! Tasks: what is asked, about which data, and how replies are judged, as a TOML file each.
//!
//! The benchmarks of the paper are such files, embedded; a user's own is one more. What differs between two benchmarks
//! stands in their files, and nothing in this crate names one.

mod prompt;
mod read;
mod shipped;
mod spec;

pub use prompt::Asked;
pub(crate) use prompt::written;
pub use shipped::{find, names, shipped};
pub use spec::{
    AnswerSpec, Corrections, Form, Generation, GroupBy, ImageSpec, Join, Metric, OneOrMany, OptionsSpec,
    Rules, Source, Spec, Submission, Suffixes, Written, schema,
};

use zoo_registry::Problem;

/// A task that was read and can be meant.
#[derive(Debug)]
pub struct Task {
    /// What messages call its file.
    pub file: String,
    /// The file.
    pub text: String,
    /// What it says.
    pub spec: Spec,
    /// The first 16 hexadecimal digits of SHA-256 of the file: it says with every reply what it was asked by.
    pub revision: String,
    prompts: prompt::Prompts,
}

impl Task {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    fn problem(
        &self,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Problem {
        Problem::at(&self.file, &self.text, span, message, help)
    }
}
