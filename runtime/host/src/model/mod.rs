//! Multimodal models: encoders, connector and language model of one folder, from an image and a question to an
//! answer.

mod choose;
mod explain;
mod memory;
mod once;
mod open;
mod parts;
mod pieces;
mod plan;
mod request;
mod session;
mod several;
mod sight;
mod source;
mod trace;

pub use choose::Choice;
pub use explain::{Explanation, LayerSite, Look};
pub use pieces::{EncoderPiece, Piece, Pieces};
pub use plan::{MemoryPart, MemoryPlan};
pub use request::{EncoderMemory, MemoryPolicy, ModelProgress, ModelRequest, Phase};
pub use session::ModelSession;
pub use sight::Sight;
pub use trace::Trace;
