//! Answers about pictures, and what encoders see of them, over HTTP: `zoo serve`.
//!
//! The way of a request is the order of the modules: [`routes`] read it and write its answer in the words of OpenAI's
//! interface, [`picture`] decodes what it brought, a [`queue`] holds it until its turn, and one of two workers does it:
//! [`looking`] gathers pictures of several requests into one pass of an encoder, [`answering`] lets the model write.
//! [`server`] opens the door and closes it.
//!
//! **The one decision.** Whatever computes does so on threads of its own, one for each encoder and one for the model, which
//! take from queues that have an end. So a server is as busy as its processor can be and no busier: who finds a queue full
//! is told when to come again, and who leaves is forgotten at the next block of the pass that was theirs. What is answered
//! depends on nobody else: pictures of strangers in one pass see what they would by themselves.

#![forbid(unsafe_code)]

pub mod answering;
pub mod app;
pub mod args;
mod command;
pub mod failure;
pub mod interest;
pub mod looking;
pub mod measures;
pub mod picture;
pub mod queue;
pub mod routes;
pub mod server;

pub use app::{App, Limits};
pub use failure::Failure;
