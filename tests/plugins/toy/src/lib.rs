//! The smallest plugin that uses everything: an encoder with gradients, a connector that attends and refines,
//! and a language model with a cache. The tests of the plugin boundary open it through both doors.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod connector;
mod encoder;
mod llm;

zoo_core::export_plugin! {
    name: "toy",
    encoders: { "patches" => encoder::load },
    connectors: { "mean" => connector::load },
    llms: { "counter" => llm::load },
}
