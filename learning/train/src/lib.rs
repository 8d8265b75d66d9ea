//! Training: from a folder of images and a file of conversations to a model of one's own.
//!
//! **The one decision.** A run is a function of its recipe and its data: the order of the samples, the beginnings of
//! new parts and every step follow from them, so that a run which was cut off goes on to the very bytes that it would
//! have come to. What is trained is reached through one trait of the waist, [`zoo_core::Trainable`], as variables under
//! their published keys; nothing here knows what a key belongs to.
//!
//! The reference is the training code of Cambrian-1 (arXiv 2406.16860): conversations, labels, groups of rates,
//! schedules, accumulation and clipping are as there. `docs/training.md` is for users.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use zoo_host::{Options, Zoo};
//! use zoo_train::{Begin, PLUGINS, Recipe, Run};
//!
//! let recipe = Recipe::open("recipe.toml".as_ref())?;
//! let zoo = Zoo::open(Options { precision: recipe.plan.precision, ..Options::default() })?.with_linked(PLUGINS);
//! let mut run = Run::new(&zoo, &recipe, Begin::Anew)?;
//! run.train(&mut (), &AtomicBool::new(false))?;
//! // `zoo ask --model OUT …` answers from now on.
//! # Ok::<(), zoo_train::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod order;
mod recipe;
mod run;

pub use error::{Error, Result};
pub use recipe::{
    Assigned, Checkpoints, ConnectorFile, DataRow, Group, Keys, Long, Lora, New, Optimizer, Order, Recipe,
    Schedule, Shape, TrainingPlan, matches,
};
pub use run::{Begin, Ended, Estimate, Optimiser, Run, Step, StepCost, Watch, factor, several};
// What the pre-training of encoders shares with runs of models.
pub use run::{Journal, checkpoint, now, replace, write};

use zoo_core::sdk::Plugin;

/// The connectors and language models that can be trained.
pub static PLUGINS: &[&Plugin] = &[
    &zoo_sva::PLUGIN,
    &zoo_projectors::PLUGIN,
    &zoo_llama::PLUGIN,
    &zoo_phi3::PLUGIN,
    &zoo_qwen2::PLUGIN,
    &zoo_gemma::PLUGIN,
];
