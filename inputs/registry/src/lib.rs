//! The registry: which encoders, connectors, ensembles, language models and models there are, as typed rows of
//! TOML files; and which kinds of language models can be read without a row of their own.
//!
//! **The one decision.** Rows are plain typed data without positions; positions live beside them, in a tree of
//! spans with the shape of the file. Hosts read `row.channels` and never see a span, while every check (and
//! every type error of serde) can still point at the character that is wrong. A file is never half accepted: a
//! [`Registry`] exists only when every row of every layer is right, and otherwise [`RegistryError`] lists all
//! that is not. Only plugins, whose rows their users did not write, are treated more gently ([`Layer::manifest`]).
//!
//! ```
//! use zoo_registry::Registry;
//!
//! let registry = Registry::shipped()?;
//! let clip = registry.select("openai/clip-vit-large-patch14-336-interp144")?;
//! assert_eq!(clip.row.id, "clip-vit-l-14-336");
//! assert_eq!(clip.tokens, Some(144));
//! assert_eq!(registry.select("clip-vit-l-14-335").unwrap_err().nearest()[0], "clip-vit-l-14-336");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The file format is described for users in `docs/registry.md`, and for editors in `registry.schema.json`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod compose;
mod lookup;
mod names;
mod objection;
mod parse;
mod problem;
mod registry;
mod rows;
mod schema;
mod select;
mod spans;
mod stack;
mod table;
mod tower;

pub use compose::{EnsembleShape, LayerShape, MemberShape};
pub use lookup::LookupError;
pub use names::{nearest, suggestion};
pub use parse::{Layer, strict};
pub use problem::{Location, Problem, RegistryError};
pub use registry::{Origin, Registry};
pub use rows::{
    Clean, ConnectorRow, DecoderRow, EncoderRow, EnsembleRow, Input, Kind, LlmRow, Member, ModelRow,
    Normalise, OneOrMany, Pixels, ProjectorRow, Row, Select, Supervision, Term, TextRow, TokenCounts,
    TypeNumber, Weights, WeightsFile,
};
pub use schema::schema;
pub use select::Selection;
pub use tower::{Tower, TowerError};
