//! One name, one row.

use std::collections::HashMap;
use std::sync::Arc;

use super::Links;
use crate::parse::{Entry, Rows};
use crate::problem::{Location, Problem, RegistryText};
use crate::rows::{Kind, Row};

/// A name as a row claims it.
struct Claim {
    name: String,
    kind: Kind,
    /// Whether the name is the row's id.
    id: bool,
    /// Index of the row among those of its kind.
    row: usize,
    /// Id of the row.
    row_id: String,
    source: Arc<RegistryText>,
    place: Location,
}

/// The same id twice in one table of one file: the later one would silently hide the earlier.
pub(crate) fn duplicates(rows: &Rows) -> Vec<Problem> {
    let clashes = clashes(rows, |old, new| old.id && new.id && old.kind == new.kind);
    clashes.into_iter().map(|(_, problem)| problem).collect()
}

/// The same name for two rows of the whole registry.
pub(super) fn across(rows: &Rows) -> Links {
    let mut links = Links::default();
    for (source, problem) in
        clashes(rows, |old, new| (old.kind, old.row) != (new.kind, new.row) || !(old.id || new.id))
    {
        if source.guest {
            links.out.push((source.layer, problem));
        } else {
            links.wrong.push(problem);
        }
    }
    links
}

/// Names that stand twice, with the file that is to blame: a plugin's, if there is one, or else the later one.
fn clashes(rows: &Rows, counts: impl Fn(&Claim, &Claim) -> bool) -> Vec<(Arc<RegistryText>, Problem)> {
    let mut seen: HashMap<String, Claim> = HashMap::new();
    let mut problems = Vec::new();
    for claim in claims(rows) {
        // Names are looked up without regard to case.
        let key = claim.name.to_ascii_lowercase();
        match seen.get_mut(&key) {
            Some(old) if counts(old, &claim) => {
                let mut late = claim;
                if old.source.guest && !late.source.guest {
                    std::mem::swap(old, &mut late);
                }
                let problem = Problem {
                    message: format!(
                        "{} stands at {}:{} already",
                        late.title(),
                        old.place.file,
                        old.place.line
                    ),
                    help: Some("a name belongs to one row; rename or remove one of them".into()),
                    place: late.place,
                    row: Some((late.kind, late.row_id)),
                };
                problems.push((late.source, problem));
            }
            Some(_) => {}
            None => {
                seen.insert(key, claim);
            }
        }
    }
    problems
}

impl Claim {
    fn title(&self) -> String {
        if self.id {
            format!("the {} `{}`", self.kind, self.name)
        } else {
            format!("the name `{}`", self.name)
        }
    }
}

fn claims(rows: &Rows) -> Vec<Claim> {
    let mut claims = Vec::new();
    ids(&rows.encoders, &mut claims);
    ids(&rows.connectors, &mut claims);
    ids(&rows.ensembles, &mut claims);
    ids(&rows.llms, &mut claims);
    ids(&rows.models, &mut claims);
    ids(&rows.decoders, &mut claims);
    for (row, entry) in rows.encoders.iter().enumerate() {
        for (key, names) in [("aliases", &entry.row.aliases), ("towers", &entry.row.towers)] {
            for (i, name) in names.iter().enumerate() {
                let place = entry.source.place(entry.spans.at(&format!("{key}.{i}")));
                let (name, row_id) = (name.clone(), entry.row.id.clone());
                let source = entry.source.clone();
                claims.push(Claim { name, kind: Kind::Encoder, id: false, row, row_id, source, place });
            }
        }
    }
    claims
}

fn ids<T: Row>(entries: &[Entry<T>], claims: &mut Vec<Claim>) {
    for (row, entry) in entries.iter().enumerate() {
        let place = entry.source.place(entry.spans.at("id"));
        let id = entry.row.id();
        let (name, row_id) = (id.to_owned(), id.to_owned());
        let source = entry.source.clone();
        claims.push(Claim { name, kind: T::KIND, id: true, row, row_id, source, place });
    }
}
