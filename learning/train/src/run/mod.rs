//! A run: from a recipe to steps, checkpoints and a model folder.

mod begin;
mod checkpoint;
mod export;
mod features;
mod learner;
mod log;
mod optimiser;
mod schedule;
mod trainer;

pub use log::{Step, Watch};
pub use optimiser::Optimiser;
pub use schedule::factor;
pub use trainer::{Begin, Ended, Estimate, Run};
