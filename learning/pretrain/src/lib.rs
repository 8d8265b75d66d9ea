//! Encoders of different upbringing, from nothing, on the synthetic world.
//!
//! **The one decision.** An encoder is one of the zoo's own, and is reached through the door that every encoder has: feature
//! maps out, vector-Jacobian products back. So an objective is a function of features, whatever it learns besides is a head
//! of its own, and what is stored is a file in a published layout with its row: an ordinary encoder of the registry.
//! Optimiser, schedule, checkpoints and logs are those of `zoo-train`.
//!
//! An objective is one file of `objective/`; a recipe ([`Recipe`]) names it. What an encoder has learnt is measured by a
//! linear probe on held-out scenes ([`probe`]), beside the same encoder untrained. `docs/pretraining.md` is for users.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use zoo_pretrain::{Begin, Recipe, Run};
//!
//! let recipe = Recipe::open("labels.toml".as_ref())?;
//! let mut run = Run::new(&recipe, Begin::Anew)?;
//! run.train(&mut (), &AtomicBool::new(false))?;
//! // The folder has model.safetensors, and registry.toml for `--registry`.
//! # Ok::<(), zoo_pretrain::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod eye;
mod head;
mod objective;
mod probe;
mod recipe;
mod run;
mod scenes;

use zoo_core::sdk::Plugin;
pub use zoo_train::{Begin, Ended, Step, Watch};

pub use error::{Error, Result};
pub use eye::{Eye, Features};
pub use objective::Kind;
pub use probe::{Answered, Probe, probe};
pub use recipe::{Recipe, UpbringingPlan, World};
pub use run::Run;
pub use scenes::{Scenes, Shown};

/// The plugins whose encoders can be brought up.
pub static PLUGINS: &[&Plugin] =
    &[&zoo_clip::PLUGIN, &zoo_convnext::PLUGIN, &zoo_dinov2::PLUGIN, &zoo_timm_vit::PLUGIN];
