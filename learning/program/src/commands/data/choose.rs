//! `zoo data curate`, `mix` and `split`: which records go where.

use std::fmt::Write as _;

use serde_json::json;
use zoo_data::{CurateRecipe, Part, Piece, Plan, Target};
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Report};

use super::{job, numbered, replace, sharding, table, target};
use crate::args::{CurateArgs, MixArgs, SplitArgs};
use crate::told::plain;

pub(super) fn curate(args: &CurateArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let recipe = CurateRecipe::open(&args.recipe).map_err(plain)?;
    let Some(out) = &args.out else {
        let plan = job(context, "count", |job| zoo_data::count(&recipe, job))?;
        return Ok(Report::new(shown(&plan), json!(plan)));
    };
    if !recipe.has_records() {
        return Err(CliError::Usage(format!(
            "{}: some sources have a count in place of files, so there is nothing to write; --plan does the arithmetic",
            args.recipe
        )));
    }
    let shard = args.shard.map(|rows| sharding(rows, args.part));
    let target = Target { path: out.clone(), replace: replace(args.overwrite), shard };
    let done = job(context, "curate", |job| zoo_data::curate(&recipe, &target, job))?;
    let text = format!("{}{}: {} records\n", shown(&done.plan), out.display(), done.plan.total);
    Ok(Report::new(text, json!(done)))
}

fn shown(plan: &Plan) -> String {
    let mut table = Table::new(&["source", "category", ">records", ">capped", ">taken"]);
    for quota in &plan.sources {
        let numbers = [quota.available, quota.capped, quota.taken].map(|number| number.to_string());
        table.row([quota.source.clone(), quota.category.clone()].into_iter().chain(numbers));
    }
    let mut text = table.render(0);
    for (category, taken) in &plan.categories {
        let _ =
            writeln!(text, "{category}: {taken}, {:.2} %", 100.0 * *taken as f64 / plan.total.max(1) as f64);
    }
    for short in &plan.shortfalls {
        let _ = writeln!(
            text,
            "{}: {} are wanted, and there are {}",
            short.category, short.wanted, short.available
        );
    }
    let _ = writeln!(text, "{} in all", plan.total);
    text
}

pub(super) fn mix(args: &MixArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let part = |text: &String| match numbered(text) {
        Some((records, times)) => Part { records: records.into(), times },
        None => Part { records: text.into(), times: 1.0 },
    };
    let parts: Vec<Part> = args.parts.iter().map(part).collect();
    let done = job(context, "mix", |job| zoo_data::mix(&parts, args.seed, &target(&args.target), job))?;
    let mut text = String::new();
    for (part, count) in parts.iter().zip(&done.parts) {
        let _ = writeln!(text, "{count:>10}  {}", part.records.display());
    }
    let _ = writeln!(text, "{}: {} records", args.target.out.display(), done.total);
    Ok(Report::new(text, json!({ "out": args.target.out, "parts": done.parts, "total": done.total })))
}

pub(super) fn split(args: &SplitArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let piece = |text: &String| -> Result<Piece, CliError> {
        let (path, share) = numbered(text).ok_or_else(|| {
            CliError::Usage(format!("--into {text}: a file and its share are expected, as in a.jsonl=0.9"))
        })?;
        let target = Target { path: path.into(), replace: replace(args.overwrite), shard: None };
        Ok(Piece { target, share })
    };
    let pieces = args.pieces.iter().map(piece).collect::<Result<Vec<_>, CliError>>()?;
    let table = table(&args.input)?;
    let done = job(context, "split", |job| zoo_data::split(&table, &pieces, &args.by, args.seed, job))?;
    let mut text = String::new();
    for (path, count) in &done.pieces {
        let _ = writeln!(text, "{count:>10}  {}", path.display());
    }
    Ok(Report::new(text, json!(done)))
}
