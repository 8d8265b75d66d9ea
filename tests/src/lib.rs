//! What the tests of all crates share, and the suites that need several crates at once.
//!
//! **The one decision.** A plugin is compared with its reference implementation through the same static door
//! that a program would use, on files in the public checkpoint layout: [`golden`] knows nothing of any family,
//! and a new plugin brings data, not test code.
//!
//! ```no_run
//! # use zoo_core::sdk::Plugin;
//! # static PLUGIN: Plugin =
//! #     Plugin { name: "p", version: "0", encoders: &[], connectors: &[], llms: &[], texts: &[] };
//! // In `plugins/<family>/tests/parity.rs`:
//! zoo_tests::golden::check(&PLUGIN, concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
//! ```

#![forbid(unsafe_code)]

pub mod golden;
pub mod manifest;
pub mod noise;
