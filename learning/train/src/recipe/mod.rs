//! The recipe: one TOML file that says what is trained, on what, and how.

mod groups;
mod pattern;
mod plan;
mod read;

pub(crate) use groups::decays;
pub use groups::{Assigned, Group, Keys};
pub use pattern::matches;
pub use plan::{
    Checkpoints, ConnectorFile, DataRow, Long, Lora, New, Optimizer, Order, Schedule, Shape, TrainingPlan,
};

use zoo_data::DataSource;
use zoo_registry::{Problem, RegistryError};

/// A recipe, read. Paths are absolute or count from where the program runs; what the file leaves out has its default.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The file, as messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What it says.
    pub plan: TrainingPlan,
}

impl Recipe {
    /// A problem with this recipe.
    pub(crate) fn problem(
        &self,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Problem {
        Problem::at(&self.name, &self.text, span, message, help)
    }

    /// All that is wrong, or nothing.
    pub(crate) fn verdict(problems: Vec<Problem>) -> Result<(), RegistryError> {
        if problems.is_empty() { Ok(()) } else { Err(RegistryError { problems }) }
    }

    /// The data.
    pub fn sources(&self) -> Vec<DataSource> {
        let row = |row: &DataRow| DataSource {
            records: row.records.get_ref().clone(),
            images: row.images.as_ref().map(|images| images.get_ref().clone()).unwrap_or_default(),
        };
        self.plan.data.iter().map(row).collect()
    }

    /// Samples in a step.
    pub fn samples_per_step(&self) -> usize {
        self.plan.batch.size.get_ref() * self.plan.batch.accumulate.get_ref()
    }

    /// Steps over `samples` samples.
    pub fn steps(&self, samples: usize) -> usize {
        match (&self.plan.steps, &self.plan.epochs) {
            (Some(steps), _) => *steps.get_ref(),
            (None, Some(epochs)) => epochs.get_ref() * samples.div_ceil(self.samples_per_step()),
            (None, None) => 0,
        }
    }
}
