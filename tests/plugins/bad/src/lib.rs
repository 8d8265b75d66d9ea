//! Plugins that do everything wrong, in one library: it exports several of them, and tests stage a copy of it
//! for each, with a manifest to match.
//!
//! - `panics`: an ordinary plugin of the kit whose code panics, by architecture name;
//! - `liar`: written against the bare wire, returns malformed tensors, by architecture name;
//! - `fibs`: an ordinary plugin of the kit whose descriptors and answers do not fit each other;
//! - `no_start`, `other_revision`, `not_ours`, `other_layout`: fail before anything can be opened.

#![warn(missing_docs)]

mod entries;
mod fibs;
mod liar;
mod panics;

pub use fibs::PLUGIN as FIBS;
pub use panics::PLUGIN;
