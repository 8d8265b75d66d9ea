//! Downloads from a Hub of our own on loopback. Every test is bounded in time by the server's faults, not by luck:
//! nothing waits longer than a few hundred milliseconds unless it is about to fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod datasets;
mod layout;
mod refusals;
mod resume;
mod server;
