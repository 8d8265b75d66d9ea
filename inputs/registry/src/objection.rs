//! What somebody who knows more than the file has against a row, at the place where the row says otherwise. Plugins
//! know which numbers an architecture has and what shapes they make; this crate knows where they were written.

use crate::names::suggestion;
use crate::parse::words;
use crate::problem::Problem;
use crate::registry::Registry;
use crate::rows::Kind;
use crate::table::AnyRow;

impl Registry {
    /// A problem at a dotted path of a row, such as `select.layers`; none if there is no such row.
    pub fn objection(
        &self,
        (kind, id): (Kind, &str),
        path: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Option<Problem> {
        Some(self.rows().get(kind, id)?.problem(path, message.into(), help))
    }

    /// A value that is none of those that there are: an architecture, say.
    pub fn unknown_value<'a>(
        &self,
        row: (Kind, &str),
        path: &str,
        message: impl Into<String>,
        there: (&str, impl IntoIterator<Item = &'a str> + Clone),
        value: &str,
    ) -> Option<Problem> {
        let (what, values) = there;
        self.objection(row, path, message, suggestion(value, what, values))
    }

    /// What a plugin has against the `arch` of a row, in serde's words or its own. The first key of `arch` that the
    /// message mentions is the place; without one it is the table.
    pub fn arch_objection(&self, row: (Kind, &str), message: &str) -> Option<Problem> {
        let spans = self.rows().get(row.0, row.1)?.spans();
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mentioned = message.split(|c: char| !part(c)).find(|word| spans.has(&["arch", word]));
        let path = mentioned.map_or_else(|| "arch".to_owned(), |key| format!("arch.{key}"));
        let (message, help) = words(message);
        self.objection(row, &path, message, help)
    }

    /// Kinds and ids of the rows that stand in `file`, in the order of its lines. All rows without one.
    pub fn written_in(&self, file: Option<&str>) -> Vec<(Kind, String)> {
        let written = |row: &&dyn AnyRow| file.is_none_or(|file| row.source().name == file);
        let mut rows: Vec<_> = self.rows().all().filter(written).collect();
        rows.sort_by_key(|row| (row.source().layer, row.spans().span.start));
        rows.iter().map(|row| (row.kind(), row.id().to_owned())).collect()
    }
}
