//! For plugin authors: loaders, the export macro, and what they expand to.
//!
//! A plugin is a crate with `crate-type = ["cdylib", "rlib"]`, functions that load its objects, and one
//! `export_plugin!`. The same [`Plugin`] is then reachable through two doors: statically, as a Rust value, and
//! dynamically, through the C tables of `zoo-abi`. Authors write no `unsafe` and no `extern`.

use candle_core::Device;

use crate::weights::Weights;
use crate::{Connector, Encoder, LanguageModel, Result, Spec};

/// Opens an encoder.
pub type EncoderLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn Encoder>>;
/// Opens a connector.
pub type ConnectorLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn Connector>>;
/// Opens a language model.
pub type LlmLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn LanguageModel>>;

/// Everything a plugin offers, by architecture name.
pub struct Plugin {
    /// Plugin name, `[a-z0-9_-]+`.
    pub name: &'static str,
    /// Plugin version.
    pub version: &'static str,
    /// Encoder architectures.
    pub encoders: &'static [(&'static str, EncoderLoader)],
    /// Connector architectures.
    pub connectors: &'static [(&'static str, ConnectorLoader)],
    /// Language model architectures.
    pub llms: &'static [(&'static str, LlmLoader)],
}

/// Exports a plugin through both doors.
///
/// ```ignore
/// export_plugin! {
///     name: "clip",
///     encoders: { "clip" => load },
/// }
/// ```
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:literal
        $(, encoders: { $($enc:literal => $enc_load:expr),* $(,)? })?
        $(, connectors: { $($con:literal => $con_load:expr),* $(,)? })?
        $(, llms: { $($llm:literal => $llm_load:expr),* $(,)? })?
        $(,)?
    ) => {
        /// The static door of this plugin.
        pub static PLUGIN: $crate::sdk::Plugin = $crate::sdk::Plugin {
            name: $name,
            version: env!("CARGO_PKG_VERSION"),
            encoders: &[$($(($enc, $enc_load)),*)?],
            connectors: &[$($(($con, $con_load)),*)?],
            llms: &[$($(($llm, $llm_load)),*)?],
        };
    };
}
