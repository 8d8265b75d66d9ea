//! The one error type of the waist.
//!
//! Libraries above and below have typed errors of their own; whatever crosses a trait of this crate is an
//! [`Error`]. Its message is written for the person at the terminal: what happened, to what, what to do.

use std::path::PathBuf;

use crate::weights::WeightsReport;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a caller and an encoder, connector or language model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's fault: shapes, ranges, options.
    #[error("{0}")]
    InvalidInput(String),
    /// A legal request that this object cannot serve; the descriptor said so beforehand.
    #[error("{what} does not support {ability}")]
    Unsupported {
        /// Id of the encoder, connector or model.
        what: String,
        /// The ability that is missing, as a noun phrase.
        ability: String,
    },
    /// Architecture numbers that cannot be read or contradict one another.
    #[error("{id}: architecture: {message}")]
    Arch {
        /// Registry id.
        id: String,
        /// What is wrong and which keys there are.
        message: String,
    },
    /// A weights file that cannot be opened or parsed.
    #[error("{}: {message}", crate::path_text(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Tensors that are missing, left over or misshapen.
    #[error(transparent)]
    Weights(Box<WeightsReport>),
    /// The device refused: out of memory, not there, lost.
    #[error("device: {0}")]
    Device(String),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A panic caught at the plugin boundary.
    #[error("plugin `{plugin}` panicked at {location}: {message}")]
    Panic {
        /// Plugin name.
        plugin: String,
        /// `file:line` of the panic, or "unknown place".
        location: String,
        /// Panic message.
        message: String,
    },
    /// A tensor operation failed.
    #[error("tensor operation: {}", tensor_message(.0))]
    Tensor(#[from] candle_core::Error),
    /// A plugin that does not do what it says.
    #[error("plugin `{plugin}` is faulty: {what}")]
    Faulty {
        /// Plugin name.
        plugin: String,
        /// Which promise is broken, and how.
        what: String,
    },
    /// A broken promise inside the program.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// [`Error::InvalidInput`] from anything that prints.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidInput(message.into())
    }

    /// [`Error::Faulty`].
    pub fn faulty(plugin: impl Into<String>, what: impl std::fmt::Display) -> Self {
        Self::Faulty { plugin: plugin.into(), what: what.to_string() }
    }

    /// [`Error::Unsupported`].
    pub fn unsupported(what: impl Into<String>, ability: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), ability: ability.into() }
    }
}

/// candle's message without the trace of calls that it carries where `RUST_BACKTRACE` is set: whoever reads it is at a
/// terminal, not in a debugger.
pub(crate) fn tensor_message(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => tensor_message(inner),
        candle_core::Error::Context { inner, context } => format!("{context}: {}", tensor_message(inner)),
        candle_core::Error::WithPath { inner, path } => {
            format!("{}: {}", crate::path_text(path), tensor_message(inner))
        }
        other => other.to_string(),
    }
}

impl From<WeightsReport> for Error {
    fn from(report: WeightsReport) -> Self {
        Self::Weights(Box::new(report))
    }
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;

    use super::Error;

    #[test]
    fn no_trace_stands_in_a_message() {
        let traced = |inner| candle_core::Error::WithBacktrace {
            inner: Box::new(inner),
            backtrace: Box::new(Backtrace::force_capture()),
        };
        let inner = traced(candle_core::Error::Msg("no such axis".into())).context("while it looked");
        let error = Error::from(traced(inner));
        assert_eq!(error.to_string(), "tensor operation: while it looked: no such axis");
    }
}
