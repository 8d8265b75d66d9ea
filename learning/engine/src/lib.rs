//! The data engine: instruction data from pages about chosen fields (section on targeted internet data of arXiv
//! 2406.16860).
//!
//! **The one decision.** A stage is a folder of files, one for each thing that it made, and a thing that has its file is
//! never made again. So a run can be ended at any place, and goes on there: what was asked of a model or a server is not
//! asked twice. Names follow from content, so that an answer cannot end up with another picture.
//!
//! ```text
//! FIELDS.txt ─topics─▶ topics/ ─links─▶ links/ ─pages─▶ pages/ ─pictures─▶ images/ ─answers─▶ answers/ ─judge─▶ judged/ ─▶ data.jsonl
//! ```
//!
//! Nothing is downloaded but what the plan names. Pictures are taken from public addresses alone, with the consent of
//! robots.txt, and every record keeps where it is from and under which licence.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use zoo_engine::{Budget, Engine, Model, Pages, Plan};
//!
//! let plan = Plan {
//!     pages: Pages::Folder("pages".into()),
//!     ..Plan::new("FIELDS.txt", "engine", Model { url: "http://localhost:8000/v1".into(), name: "local".into(), key: None })
//! };
//! let made = Engine::open(plan)?.run(&mut |stage, done, total| eprintln!("{stage}: {done}/{total}"), &AtomicBool::new(false))?;
//! println!("{} records", made.records);
//! # Ok::<(), zoo_engine::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ask;
mod error;
mod fields;
mod files;
mod net;
mod pages;
mod plan;
mod run;
mod sections;
mod stages;

pub use error::{Error, Result};
pub use fields::{Field, fields};
pub use net::address::is_public;
pub use net::robots::Robots;
pub use plan::{Budget, Manners, Model, Pages, Plan};
pub use run::{Engine, Made};
pub use sections::{Figure, Section, sections};
