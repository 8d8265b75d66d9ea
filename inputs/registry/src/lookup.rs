//! Names that are not in the registry, or not usable as they stand.

use crate::names::alternatives;
use crate::problem::{Location, Problem};
use crate::rows::Kind;
use crate::tower::TowerError;

/// Why a name gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// There is no such row.
    #[error("there is no {kind} `{name}`{}", self.advice().map_or_else(String::new, |help| format!("; {help}")))]
    Unknown {
        /// What was looked for.
        kind: Kind,
        /// The name.
        name: String,
        /// Names that resemble it, the nearest first.
        nearest: Vec<String>,
        /// Another kind of row that has this id.
        elsewhere: Option<Kind>,
    },
    /// A plugin brings the row, or one that this row needs, and it is wrong.
    #[error("{}; correct it there, or ask the author of the plugin", cannot(*kind, name, problem))]
    SetAside {
        /// What was looked for.
        kind: Kind,
        /// The name.
        name: String,
        /// What is wrong.
        problem: Box<Problem>,
    },
    /// A kind of language model that no `[[decoder]]` row knows, or of connector that no `[[projector]]` row knows.
    #[error("there is no {kind} for {} of type `{name}`; known are {}", what(*kind), known.join(", "))]
    Type {
        /// What was looked for.
        kind: Kind,
        /// What the file calls itself.
        name: String,
        /// Types that can be read.
        known: Vec<String>,
    },
    /// A tower name with a suffix that cannot be.
    #[error(transparent)]
    Tower(#[from] TowerError),
    /// A legal name with a resolution, layers or token count that this encoder does not have.
    #[error("`{name}`: {message}")]
    Selection {
        /// The name.
        name: String,
        /// What does not work, and what would.
        message: String,
    },
}

impl LookupError {
    /// Names that resemble the unknown one, the nearest first.
    pub fn nearest(&self) -> &[String] {
        match self {
            Self::Unknown { nearest, .. } => nearest,
            _ => &[],
        }
    }

    /// The message and the advice apart.
    pub(crate) fn parts(&self) -> (String, Option<String>) {
        match self {
            Self::Unknown { kind, name, .. } => (format!("there is no {kind} `{name}`"), self.advice()),
            Self::SetAside { kind, name, problem } => (cannot(*kind, name, problem), None),
            other => (other.to_string(), None),
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Unknown { elsewhere: Some(kind), name, .. } => {
                Some(format!("`{name}` stands among the {kind}s"))
            }
            Self::Unknown { nearest, .. } => {
                alternatives(nearest).map(|list| format!("did you mean {list}?"))
            }
            _ => None,
        }
    }
}

/// What rows of this kind read.
fn what(kind: Kind) -> &'static str {
    if kind == Kind::Projector { "connectors" } else { "language models" }
}

fn cannot(kind: Kind, name: &str, problem: &Problem) -> String {
    let Location { file, line, .. } = &problem.place;
    format!("the {kind} `{name}` cannot be used: {file}:{line}: {}", problem.message)
}
