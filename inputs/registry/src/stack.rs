//! Layers laid over each other, and the rows that are left out of them.

use crate::check;
use crate::parse::{Entry, Parsed, Rows};
use crate::problem::{Problem, RegistryText};
use crate::rows::{Kind, Row};
use crate::spans::Node;

/// A row that is not used.
#[derive(Debug, Clone)]
pub(crate) struct Absent {
    pub kind: Kind,
    pub id: String,
    /// What it would be found by, as far as it could be read: id, other names, types of models.
    pub names: Vec<String>,
    /// Why it is not used.
    pub problem: Problem,
}

/// One layer: the rows in use, and the others.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    rows: Rows,
    absent: Vec<Absent>,
}

impl Sheet {
    /// A layer in which nothing is wrong, or in which that is an error.
    pub fn of(rows: Rows) -> Self {
        Self { rows, absent: Vec::new() }
    }

    /// A plugin's layer without its wrong rows, and what is wrong with them in the order of lines.
    pub fn guest(parsed: Parsed) -> (Self, Vec<Problem>) {
        let Parsed { rows, mut problems, unreadable } = parsed;
        let mut sheet = Self::of(rows);
        for problem in &problems {
            if let Some((kind, id)) = problem.row.clone() {
                let names = vec![id.clone()];
                sheet.absent.push(Absent { kind, id, names, problem: problem.clone() });
            }
        }
        if let Some(problem) = unreadable {
            for (kind, id) in sheet.rows.ids() {
                sheet.leave_out(Problem { row: Some((kind, id)), ..problem.clone() });
            }
            problems.push(problem);
        }
        problems.extend(check::duplicates(&sheet.rows));
        sheet.rows.keep_first();
        for problem in check::rows(&sheet.rows) {
            sheet.leave_out(problem.clone());
            problems.push(problem);
        }
        problems.sort_by_key(|p| p.place.span.start);
        (sheet, problems)
    }

    /// Leaves out the row that `problem` blames, and says whether it was there.
    pub fn leave_out(&mut self, problem: Problem) -> bool {
        let Some((kind, id)) = problem.row.clone() else { return false };
        let Some(names) = self.rows.remove(kind, &id) else { return false };
        self.absent.push(Absent { kind, id, names, problem });
        true
    }

    /// Each sheet over those before it. Where a row is left out, what it would replace is not used in its stead:
    /// it is another row, with other weights.
    pub fn merge(sheets: &[Self]) -> (Rows, Vec<Absent>) {
        let (mut rows, mut absent) = (Rows::default(), Vec::new());
        for sheet in sheets {
            for out in &sheet.absent {
                let replaced = rows.remove(out.kind, &out.id).unwrap_or_default();
                let names = out.names.iter().cloned().chain(replaced).collect();
                absent.push(Absent { names, ..out.clone() });
            }
            rows.put(sheet.rows.clone());
        }
        let used = rows.ids();
        absent.retain(|out| !used.iter().any(|(kind, id)| *kind == out.kind && *id == out.id));
        (rows, absent)
    }
}

impl Rows {
    /// Where a row stands: the file, and the places of its values.
    pub fn written(&self, kind: Kind, id: &str) -> Option<(&RegistryText, &Node)> {
        fn of<'a, T: Row>(entries: &'a [Entry<T>], id: &str) -> Option<(&'a RegistryText, &'a Node)> {
            let entry = entries.iter().find(|e| e.row.id() == id)?;
            Some((&*entry.source, &entry.spans))
        }
        match kind {
            Kind::Encoder => of(&self.encoders, id),
            Kind::Connector => of(&self.connectors, id),
            Kind::Ensemble => of(&self.ensembles, id),
            Kind::Llm => of(&self.llms, id),
            Kind::Model => of(&self.models, id),
            Kind::Decoder => of(&self.decoders, id),
        }
    }

    /// Kinds and ids of all rows.
    pub fn ids(&self) -> Vec<(Kind, String)> {
        fn of<T: Row>(entries: &[Entry<T>]) -> impl Iterator<Item = (Kind, String)> {
            entries.iter().map(|e| (T::KIND, e.row.id().to_owned()))
        }
        of(&self.encoders)
            .chain(of(&self.connectors))
            .chain(of(&self.ensembles))
            .chain(of(&self.llms))
            .chain(of(&self.models))
            .chain(of(&self.decoders))
            .collect()
    }

    /// Takes a row out; the names by which it was found.
    fn remove(&mut self, kind: Kind, id: &str) -> Option<Vec<String>> {
        fn of<T: Row>(entries: &mut Vec<Entry<T>>, id: &str) -> Option<(T, Vec<String>)> {
            let at = entries.iter().position(|e| e.row.id() == id)?;
            let row = entries.remove(at).row;
            let names = std::iter::once(row.id()).chain(row.other_names()).map(str::to_owned).collect();
            Some((row, names))
        }
        Some(match kind {
            Kind::Encoder => of(&mut self.encoders, id)?.1,
            Kind::Connector => of(&mut self.connectors, id)?.1,
            Kind::Ensemble => of(&mut self.ensembles, id)?.1,
            Kind::Llm => of(&mut self.llms, id)?.1,
            Kind::Model => of(&mut self.models, id)?.1,
            Kind::Decoder => {
                let (row, mut names) = of(&mut self.decoders, id)?;
                names.extend(row.model_types.into_iter().chain(row.gguf));
                names
            }
        })
    }

    /// Of rows of one kind with one id, the first.
    fn keep_first(&mut self) {
        fn of<T: Row>(entries: &mut Vec<Entry<T>>) {
            let mut seen = std::collections::HashSet::new();
            entries.retain(|e| seen.insert(e.row.id().to_ascii_lowercase()));
        }
        of(&mut self.encoders);
        of(&mut self.connectors);
        of(&mut self.ensembles);
        of(&mut self.llms);
        of(&mut self.models);
        of(&mut self.decoders);
    }

    /// Lays `above` over these rows.
    fn put(&mut self, above: Self) {
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
    }
}
