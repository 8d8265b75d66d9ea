//! A run: from a recipe to steps, checkpoints and a model folder.

mod ahead;
mod begin;
pub mod checkpoint;
mod course;
mod curves;
mod estimate;
mod events;
mod export;
mod features;
mod folder;
mod journal;
mod learner;
mod log;
mod lora;
mod optimiser;
mod row;
mod schedule;
mod steady;
mod step;
mod stored;
mod torch;
mod towers;
mod trainer;
mod world;

pub use estimate::{Estimate, StepCost};
pub use export::{replace, write};
pub use journal::Journal;
pub use log::{Step, Watch, now};
pub use optimiser::Optimiser;
pub use schedule::factor;
pub use trainer::{Begin, Ended, Run};
pub use world::several;
