//! One name, one row.

use std::collections::HashMap;

use crate::problem::{Location, Problem};
use crate::table::{AnyRow, Rows};

/// A name as a row claims it.
struct Claim<'a> {
    name: &'a str,
    /// Whether the name is the row's id.
    id: bool,
    /// Which row it is among all.
    number: usize,
    row: &'a dyn AnyRow,
    path: String,
}

impl Claim<'_> {
    fn place(&self) -> Location {
        self.row.source().place(self.row.spans().at(&self.path))
    }
}

/// The same id twice in one table of one file: the later one would silently hide the earlier.
pub(crate) fn duplicates(rows: &Rows) -> Vec<Problem> {
    clashes(rows, |old, new| old.id && new.id && old.row.kind() == new.row.kind())
        .map(|(_, problem)| problem)
        .collect()
}

/// The same name for two rows of the whole registry, and whether it is a plugin's row that has to go.
pub(super) fn across(rows: &Rows) -> impl Iterator<Item = (bool, Problem)> {
    clashes(rows, |old, new| old.number != new.number || !(old.id || new.id))
}

/// A row whose id or name belongs to somebody else.
pub(crate) fn taken(row: &dyn AnyRow, owner: Location) -> Problem {
    problem(&Claim { name: row.id(), id: true, number: 0, row, path: "id".into() }, &owner)
}

fn problem(claim: &Claim<'_>, owner: &Location) -> Problem {
    let title = match claim.id {
        true => format!("the {} `{}`", claim.row.kind(), claim.name),
        false => format!("the name `{}`", claim.name),
    };
    let message = format!("{title} stands at {}:{} already", owner.file, owner.line);
    let help = "a name belongs to one row; rename or remove one of them";
    claim.row.problem(&claim.path, message, Some(help.into()))
}

/// Names that stand twice. The row that is to blame is a plugin's, if there is one, or else the later one.
fn clashes<'a>(
    rows: &'a Rows,
    counts: impl Fn(&Claim<'a>, &Claim<'a>) -> bool,
) -> impl Iterator<Item = (bool, Problem)> {
    let mut seen: HashMap<String, Claim<'a>> = HashMap::new();
    let mut found = Vec::new();
    for claim in claims(rows) {
        // Names are looked up without regard to case.
        match seen.entry(claim.name.to_ascii_lowercase()) {
            std::collections::hash_map::Entry::Vacant(entry) => _ = entry.insert(claim),
            std::collections::hash_map::Entry::Occupied(mut entry) if counts(entry.get(), &claim) => {
                let (mut old, mut late) = (entry.get().place(), claim);
                if entry.get().row.source().guest && !late.row.source().guest {
                    old = late.place();
                    late = entry.insert(late);
                }
                found.push((late.row.source().guest, problem(&late, &old)));
            }
            std::collections::hash_map::Entry::Occupied(_) => {}
        }
    }
    found.into_iter()
}

/// All ids, then all other names.
fn claims(rows: &Rows) -> impl Iterator<Item = Claim<'_>> {
    let ids = rows.all().enumerate().map(|(number, row)| Claim {
        name: row.id(),
        id: true,
        number,
        row,
        path: "id".into(),
    });
    let others = rows.all().enumerate().flat_map(|(number, row)| {
        let claim = move |(path, name)| Claim { name, id: false, number, row, path };
        row.other_names().into_iter().map(claim)
    });
    ids.chain(others)
}
