//! Where canonical tensors stand in a published checkpoint.

use std::ops::Range;

/// `key` behind `prefix` without its last part: `model.vision_model.` leaves `model.`.
pub(super) fn beside(prefix: &str, key: &str) -> String {
    let outer =
        prefix.trim_end_matches('.').rsplit_once('.').map_or(String::new(), |(outer, _)| format!("{outer}."));
    format!("{outer}{key}")
}

/// Where one canonical tensor comes from. Names are without the layout's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorSource {
    /// The tensor of this name.
    Key(String),
    /// The tensor of this name, which is stored without the leading axes of length 1.
    Squeezed(String),
    /// Equal parts along dimension 0, as when q, k and v are stored apart.
    Concat(Vec<Piece>),
    /// The matrix of this name, which is stored with its two axes exchanged.
    Transposed(String),
    /// The parts `parts` of `of` equal ones along dimension 0 of the tensor of this name, as when q, k and v are stored
    /// together and wanted apart.
    Part {
        /// Name.
        key: String,
        /// Which.
        parts: Range<usize>,
        /// Of how many.
        of: usize,
    },
    /// The tensor of this name beside the tower: behind the prefix without its last part.
    Beside(String),
}

/// One part of a [`TensorSource::Concat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The tensor of this name.
    Key(String),
    /// Zeros: a part that the layout leaves out, such as a key bias.
    Zeros,
}

impl TensorSource {
    /// A tensor under its own name.
    pub fn key(name: impl Into<String>) -> Self {
        Self::Key(name.into())
    }

    /// A tensor that is stored without its leading axes of length 1, as a class token `[D]` for `[1, 1, D]`.
    pub fn squeezed(name: impl Into<String>) -> Self {
        Self::Squeezed(name.into())
    }

    /// The keys that it is read from, in a file whose tower stands behind `prefix`.
    pub(super) fn keys(&self, prefix: &str) -> Vec<String> {
        let within = |key: &String| format!("{prefix}{key}");
        match self {
            Self::Key(key) | Self::Squeezed(key) | Self::Transposed(key) | Self::Part { key, .. } => {
                vec![within(key)]
            }
            Self::Beside(key) => vec![beside(prefix, key)],
            Self::Concat(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Key(key) => Some(within(key)),
                    Piece::Zeros => None,
                })
                .collect(),
        }
    }

    /// Equal parts that are all stored.
    pub fn concat<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Concat(names.into_iter().map(|n| Piece::Key(n.into())).collect())
    }
}

/// One way in which a family's checkpoints are published.
#[derive(Clone)]
pub struct Layout {
    /// Short name: `hf`, `open_clip`, `timm`, `original`.
    pub name: &'static str,
    /// Prefixes under which the tower may stand in a file, tried in order. Keys outside the prefix that matched
    /// belong to other parts of the model and are nobody's concern; with the prefix `""` every key counts.
    pub prefixes: &'static [&'static str],
    /// A key, without prefix, that only this layout has.
    pub marker: &'static str,
    /// Where the tensor of a canonical name stands.
    pub map: fn(&str) -> TensorSource,
    /// Keys, without prefix, that may stay unused: exact names, or names with one `*` for any text.
    pub ignored: &'static [&'static str],
}

impl Layout {
    /// Whether a leftover key may be left over.
    pub fn ignores(&self, key: &str) -> bool {
        self.ignored.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => key.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
            None => key == *pattern,
        })
    }
}
