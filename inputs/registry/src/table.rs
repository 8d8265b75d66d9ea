//! All rows, and what layers, names and messages need of them whatever their kind.

use std::sync::Arc;

use crate::parse::Entry;
use crate::problem::{Problem, RegistryText};
use crate::rows::{
    ConnectorRow, DecoderRow, EncoderRow, EnsembleRow, Kind, LlmRow, ModelRow, ProjectorRow, Row,
};
use crate::spans::Node;

/// The rows of one file, or of all files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub encoders: Vec<Entry<EncoderRow>>,
    pub connectors: Vec<Entry<ConnectorRow>>,
    pub ensembles: Vec<Entry<EnsembleRow>>,
    pub llms: Vec<Entry<LlmRow>>,
    pub models: Vec<Entry<ModelRow>>,
    pub decoders: Vec<Entry<DecoderRow>>,
    pub projectors: Vec<Entry<ProjectorRow>>,
}

/// A row of any kind, and where it stands.
pub(crate) trait AnyRow {
    fn kind(&self) -> Kind;
    fn id(&self) -> &str;
    /// Its other names, with their places in the row.
    fn other_names(&self) -> Vec<(String, &str)>;
    /// Everything under which somebody may look for it; its id first.
    fn found_by(&self) -> Vec<&str>;
    fn source(&self) -> &Arc<RegistryText>;
    fn spans(&self) -> &Node;
    fn problem(&self, path: &str, message: String, help: Option<String>) -> Problem;
}

impl<T: Row> AnyRow for Entry<T> {
    fn kind(&self) -> Kind {
        T::KIND
    }
    fn id(&self) -> &str {
        self.row.id()
    }
    fn other_names(&self) -> Vec<(String, &str)> {
        self.row.other_names().collect()
    }
    fn found_by(&self) -> Vec<&str> {
        let names = self.row.other_names().map(|(_, name)| name);
        std::iter::once(self.row.id()).chain(names).chain(self.row.types()).collect()
    }
    fn source(&self) -> &Arc<RegistryText> {
        &self.source
    }
    fn spans(&self) -> &Node {
        &self.spans
    }
    fn problem(&self, path: &str, message: String, help: Option<String>) -> Problem {
        Self::problem(self, path, message, help)
    }
}

fn any<T: Row>(entries: &[Entry<T>]) -> impl Iterator<Item = &dyn AnyRow> {
    entries.iter().map(|entry| entry as &dyn AnyRow)
}

impl Rows {
    /// All of them, in the order of kinds.
    pub fn all(&self) -> impl Iterator<Item = &dyn AnyRow> {
        any(&self.encoders)
            .chain(any(&self.connectors))
            .chain(any(&self.ensembles))
            .chain(any(&self.llms))
            .chain(any(&self.models))
            .chain(any(&self.decoders))
            .chain(any(&self.projectors))
    }

    /// The row of this kind and id.
    pub fn get(&self, kind: Kind, id: &str) -> Option<&dyn AnyRow> {
        self.all().find(|row| row.kind() == kind && row.id() == id)
    }

    /// Keeps the rows for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&dyn AnyRow) -> bool) {
        self.encoders.retain(|row| keep(row));
        self.connectors.retain(|row| keep(row));
        self.ensembles.retain(|row| keep(row));
        self.llms.retain(|row| keep(row));
        self.models.retain(|row| keep(row));
        self.decoders.retain(|row| keep(row));
        self.projectors.retain(|row| keep(row));
    }

    /// Lays `above` over these rows: a row takes the place of the one with its kind and id.
    pub fn put(&mut self, above: Self) {
        fn merge<T: Row>(below: &mut Vec<Entry<T>>, above: Vec<Entry<T>>) {
            for entry in above {
                match below.iter_mut().find(|old| old.row.id() == entry.row.id()) {
                    Some(old) => *old = entry,
                    None => below.push(entry),
                }
            }
        }
        merge(&mut self.encoders, above.encoders);
        merge(&mut self.connectors, above.connectors);
        merge(&mut self.ensembles, above.ensembles);
        merge(&mut self.llms, above.llms);
        merge(&mut self.models, above.models);
        merge(&mut self.decoders, above.decoders);
        merge(&mut self.projectors, above.projectors);
    }
}
