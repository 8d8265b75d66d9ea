//! From many sources to one mixture: caps, ratios, a total (section 4 of the paper).
//!
//! What is chosen is decided by counts alone ([`plan`]), and which records are by their ranks under the seed: so the
//! choice depends neither on the order of sources nor on the number of threads, and a smaller cap takes a part of what a
//! larger one takes.

mod plan;
mod recipe;

use std::path::PathBuf;

use serde::Serialize;
use zoo_records::{Options, Table, Unread, Value};

pub use plan::{Plan, Quota, Shortfall, plan};
pub use recipe::{CurateRecipe, Source, recipes};

use crate::job::{Job, rank};
use crate::output::{Output, Target};
use crate::{Error, Result};

/// What was chosen, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Curated {
    /// Records of each source and category.
    #[serde(flatten)]
    pub plan: Plan,
    /// The file.
    pub out: PathBuf,
}

/// Counts the records of each source and decides how many are taken.
///
/// # Errors
/// Files that cannot be read; records of a source that the recipe does not name.
pub fn count(recipe: &CurateRecipe, job: &mut Job<'_>) -> Result<Plan> {
    let counted = Counted::of(recipe, job)?;
    plan(recipe, &counted.available())
}

/// Writes the mixture, in the order of the recipe's files. Records keep their text; those of a source with a folder of
/// its own get its path before that of their image, and all get the name of their source where they have none.
///
/// # Errors
/// As [`count`]; the file that is written. Nothing is left behind.
pub fn curate(recipe: &CurateRecipe, target: &Target, job: &mut Job<'_>) -> Result<Curated> {
    let tables = Pass::all(recipe).iter().map(|pass| pass.open(recipe)).collect::<Result<Vec<_>>>()?;
    let this = crate::output::job("curate", recipe, &tables.iter().collect::<Vec<_>>())?;
    let mut out = Output::create(target, &this)?;
    let counted = Counted::of(recipe, job)?;
    let plan = plan(recipe, &counted.available())?;
    let limits: Vec<Option<(u64, u64)>> = counted
        .ranks
        .into_iter()
        .zip(&plan.sources)
        .map(|(ranks, quota)| limit(ranks, quota.taken))
        .collect();
    let mut seen = vec![0_u64; recipe.sources.len()];
    for pass in Pass::all(recipe) {
        let table = pass.open(recipe)?;
        job.each(
            &table,
            |row| pass.source(recipe, &row).map(|source| (source, row)),
            |row| {
                let (source, row) = row?;
                let number = seen[source];
                seen[source] += 1;
                let rank = (rank(recipe.seed, &recipe.sources[source].name, number), number);
                match limits[source].is_some_and(|limit| rank <= limit) {
                    true => out.write(&tagged(row.parse()?, &recipe.sources[source])),
                    false => Ok(()),
                }
            },
        )?;
    }
    out.finish()?;
    Ok(Curated { plan, out: target.path.clone() })
}

/// The largest rank that is still taken.
fn limit(mut ranks: Vec<(u64, u64)>, taken: u64) -> Option<(u64, u64)> {
    let last = usize::try_from(taken).ok()?.checked_sub(1)?;
    (last < ranks.len()).then(|| *ranks.select_nth_unstable(last).1)
}

fn tagged(mut row: zoo_records::Row, source: &Source) -> zoo_records::Row {
    if let (Some(folder), Some(Value::Text(image))) = (&source.images, row.get("image"))
        && crate::record::is_image(image)
    {
        let path = format!("{}/{image}", folder.trim_end_matches('/'));
        row.set("image", Value::Text(path));
    }
    if row.get("source").is_none() {
        row.set("source", Value::Text(source.name.clone()));
    }
    row
}

/// The files of one source, or those in which each record names its source.
enum Pass {
    Of(usize),
    Tagged,
}

impl Pass {
    fn all(recipe: &CurateRecipe) -> Vec<Self> {
        let own = |(source, of): (usize, &Source)| (!of.records.is_empty()).then_some(Self::Of(source));
        let mut out: Vec<Self> = recipe.sources.iter().enumerate().filter_map(own).collect();
        if !recipe.records.is_empty() {
            out.push(Self::Tagged);
        }
        out
    }

    fn open(&self, recipe: &CurateRecipe) -> Result<Table> {
        let records = match self {
            Self::Of(source) => &recipe.sources[*source].records,
            Self::Tagged => &recipe.records,
        };
        let paths: Vec<PathBuf> = records.iter().map(|path| recipe.folder.join(path)).collect();
        Ok(Table::open(&paths, Options::default())?)
    }

    /// The source of a row.
    fn source(&self, recipe: &CurateRecipe, row: &Unread) -> Result<usize> {
        match self {
            Self::Of(source) => Ok(*source),
            Self::Tagged => source_of(recipe, row),
        }
    }
}

/// The source that a record names.
fn source_of(recipe: &CurateRecipe, row: &Unread) -> Result<usize> {
    let row = row.clone().parse()?;
    let name = row.text(&recipe.tag)?;
    recipe.sources.iter().position(|source| source.name == name).ok_or_else(|| {
        let message = format!("it is of source `{name}`, which no [[source]] of the recipe names");
        Error::from(zoo_records::Error::Row { place: row.place().clone(), message })
    })
}

/// How many records there are, and their ranks.
struct Counted {
    ranks: Vec<Vec<(u64, u64)>>,
    fixed: Vec<Option<u64>>,
}

impl Counted {
    fn of(recipe: &CurateRecipe, job: &mut Job<'_>) -> Result<Self> {
        let mut ranks = vec![Vec::new(); recipe.sources.len()];
        for pass in Pass::all(recipe) {
            let table = pass.open(recipe)?;
            job.each(
                &table,
                |row| pass.source(recipe, &row),
                |source| {
                    let source = source?;
                    let number = ranks[source].len() as u64;
                    ranks[source].push((rank(recipe.seed, &recipe.sources[source].name, number), number));
                    Ok(())
                },
            )?;
        }
        Ok(Self { ranks, fixed: recipe.sources.iter().map(|source| source.count).collect() })
    }

    fn available(&self) -> Vec<u64> {
        let one = |(ranks, fixed): (&Vec<_>, &Option<u64>)| fixed.unwrap_or(ranks.len() as u64);
        self.ranks.iter().zip(&self.fixed).map(one).collect()
    }
}
