//! Where the values of a file stand: a tree of its shape with byte ranges for values.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::DeValue;

/// One value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Bytes of the value; of the header for a table that has one.
    pub span: Range<usize>,
    children: Vec<(String, Node)>,
}

impl Node {
    /// The tree of a parsed value; items of a list are called `0`, `1`, ….
    pub fn of(value: &Spanned<DeValue<'_>>) -> Self {
        let children = match value.get_ref() {
            DeValue::Table(table) => {
                table.iter().map(|(key, child)| (key.get_ref().to_string(), Self::of(child))).collect()
            }
            DeValue::Array(list) => {
                list.iter().enumerate().map(|(i, child)| (i.to_string(), Self::of(child))).collect()
            }
            _ => Vec::new(),
        };
        Self { span: value.span(), children }
    }

    /// Whether there is a value at this path.
    pub fn has(&self, path: &[&str]) -> bool {
        let Some((name, rest)) = path.split_first() else { return true };
        self.children.iter().any(|(key, child)| key == name && child.has(rest))
    }

    /// The span of the value at a dotted path such as `members.0.tokens`, or of the deepest one on the way there
    /// when the path goes on where the file does not.
    pub fn at(&self, path: &str) -> Range<usize> {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match self.children.iter().find(|(key, _)| key == name) {
            Some((_, child)) => child.at(rest),
            None => self.span.clone(),
        }
    }
}
