//! What somebody meets who writes a plugin: the guide and its example, what is said of rows that do not fit, and what is
//! said of folders, manifests and logs.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

mod folders;
mod guide;
mod rows;

/// What the other tests run.
#[test]
fn program() {
    program::run();
}
