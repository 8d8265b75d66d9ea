//! The rows as plain data: one struct per table of the file.

mod connector;
mod decoder;
mod encoder;
mod ensemble;
mod language;
mod one_or_many;
mod pixels;
mod projector;
mod text;
mod weights;

use std::fmt;

pub(crate) use connector::whole;
pub use connector::{ConnectorRow, Input};
pub use decoder::DecoderRow;
pub use encoder::{EncoderRow, Select, Supervision, Term};
pub use ensemble::{EnsembleRow, Member};
pub use language::{LlmRow, ModelRow};
pub use one_or_many::OneOrMany;
pub use pixels::{Normalise, Pixels};
pub use projector::{ProjectorRow, TokenCounts, TypeNumber};
pub(crate) use projector::{braces, matched};
pub use text::{Clean, TextRow};
pub use weights::{Weights, WeightsFile};

/// The kinds of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `[[encoder]]`
    Encoder,
    /// `[[connector]]`
    Connector,
    /// `[[ensemble]]`
    Ensemble,
    /// `[[llm]]`
    Llm,
    /// `[[model]]`
    Model,
    /// `[[decoder]]`
    Decoder,
    /// `[[projector]]`
    Projector,
}

impl Kind {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 7] = [
        Self::Encoder,
        Self::Connector,
        Self::Ensemble,
        Self::Llm,
        Self::Model,
        Self::Decoder,
        Self::Projector,
    ];

    /// The name of its table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Connector => "connector",
            Self::Ensemble => "ensemble",
            Self::Llm => "llm",
            Self::Model => "model",
            Self::Decoder => "decoder",
            Self::Projector => "projector",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Llm => "language model",
            other => other.table(),
        })
    }
}

/// What all rows have in common.
pub trait Row {
    /// Which table it stands in.
    const KIND: Kind;
    /// Its id, unique in the whole registry.
    fn id(&self) -> &str;
    /// The plugin that opens it and the plugin's architecture; none for rows that only combine others.
    fn plugin(&self) -> Option<(&str, &str)> {
        None
    }
    /// Other names, ids excluded, with their places in the row (`aliases.0`). A name belongs to one row.
    fn other_names(&self) -> impl Iterator<Item = (String, &str)> {
        std::iter::empty()
    }
    /// What files of others call it. Of several rows with one type, the last is meant.
    fn types(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
