//! Layers laid over each other. What a plugin brings is added, never laid over anything: whatever is wrong with it, the
//! rows of others mean what they meant without it.

use std::collections::HashSet;

use crate::check;
use crate::parse::Parsed;
use crate::problem::Problem;
use crate::rows::Kind;
use crate::table::Rows;

/// A row that is not used.
#[derive(Debug, Clone)]
pub(crate) struct Absent {
    pub kind: Kind,
    /// What it would be found by, as far as it could be read: id, other names, types of models.
    pub names: Vec<String>,
    /// Why it is not used.
    pub problem: Problem,
}

/// The rows in use, and the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack {
    pub rows: Rows,
    pub absent: Vec<Absent>,
    /// What is wrong with rows that are set aside, each once.
    pub aside: Vec<Problem>,
}

impl Stack {
    /// Lays the rows of a file over the others.
    pub fn lay(&mut self, rows: Rows) {
        // Nobody misses what is there again.
        self.absent.retain(|out| out.names.first().is_none_or(|id| rows.get(out.kind, id).is_none()));
        self.rows.put(rows);
    }

    /// Adds the rows of a plugin's manifest that are right and whose ids are free.
    pub fn add(&mut self, parsed: Parsed) {
        let Parsed { mut rows, mut problems, unreadable } = parsed;
        for problem in &problems {
            if let Some((kind, id)) = problem.row.clone() {
                self.absent.push(Absent { kind, names: vec![id], problem: problem.clone() });
            }
        }
        problems.extend(check::duplicates(&rows));
        let mut ids = HashSet::new();
        rows.retain(|row| ids.insert((row.kind(), row.id().to_ascii_lowercase())));
        let mut wrong = check::rows(&rows);
        for row in rows.all() {
            if let Some(owner) = self.rows.get(row.kind(), row.id()) {
                wrong.push(check::taken(row, owner.source().place(owner.spans().at("id"))));
            }
            // Of another version, nothing can be relied on; that is said once.
            if let Some(problem) = &unreadable {
                wrong.push(Problem { row: Some((row.kind(), row.id().to_owned())), ..problem.clone() });
            }
        }
        for problem in wrong {
            self.absent.extend(out_of(&mut rows, &problem));
            if unreadable.is_none() {
                problems.push(problem);
            }
        }
        problems.extend(unreadable);
        problems.sort_by_key(|p| p.place.span.start);
        self.aside.extend(problems);
        self.rows.put(rows);
    }

    /// Leaves out the row that `problem` blames, and says whether it was there.
    pub fn leave_out(&mut self, problem: Problem) -> bool {
        let Some(out) = out_of(&mut self.rows, &problem) else { return false };
        self.absent.push(out);
        self.aside.push(problem);
        true
    }
}

/// Takes the row that `problem` blames out of `rows`, if it is there.
fn out_of(rows: &mut Rows, problem: &Problem) -> Option<Absent> {
    let (kind, id) = problem.row.as_ref()?;
    let names = rows.get(*kind, id)?.found_by().into_iter().map(str::to_owned).collect();
    rows.retain(|row| row.kind() != *kind || row.id() != id);
    Some(Absent { kind: *kind, names, problem: problem.clone() })
}
