//! For plugin authors: loaders, the export macro, and what they expand to.
//!
//! A plugin is a crate with `crate-type = ["cdylib", "rlib"]`, functions that load its objects, and one
//! [`export_plugin!`](crate::export_plugin). The same [`Plugin`] is then reachable through two doors: statically,
//! as a Rust value, and dynamically, through the C tables of `zoo-abi`. Authors write no `unsafe` and no
//! `extern`, log with `tracing`, and may panic: the host gets an error with the place of the panic.
//!
//! Behind the dynamic door one table serves every kind of object: each is wrapped so that its operations are a
//! name, tensors and JSON, and [`wire`] holds the spelling that both sides share.

#[doc(hidden)]
pub mod export;
pub mod failure;
mod guard;
mod options;
mod plugin;
mod serve_connector;
mod serve_encoder;
mod serve_llm;
mod serve_text;
mod served;
mod services;
pub mod wire;
mod wire_path;

pub use options::{DeviceName, OpenOptions};
pub use plugin::{
    ConnectorLoader, Descriptor, EncoderLoader, Identity, InspectRequest, Inspection, LlmLoader, ObjectKind,
    Plugin, Provides, TextLoader, backend,
};
pub use services::{SPEAKER, may_allocate, progress};
