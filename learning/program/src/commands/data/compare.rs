//! `zoo data dedup` and `leak`: records beside each other, and beside benchmarks.

use std::fmt::Write as _;

use serde_json::json;
use zoo_data::{Alike, HashKind, Pictures, Same, Target};
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Report, counted};

use super::{job, replace, target};
use crate::args::{By, DedupArgs, HashArg, InputArgs, LeakArgs, SameArgs};

/// Pairs that are written out for people; more are in `--json`.
const SHOWN: usize = 10;

fn same(args: &SameArgs) -> Same {
    let hash = match args.hash {
        HashArg::Difference => HashKind::Difference,
        HashArg::Perceptual => HashKind::Perceptual,
    };
    Same { hash, distance: args.distance }
}

fn pictures(name: &str, input: &InputArgs, column: &str) -> Pictures {
    Pictures {
        name: name.to_owned(),
        paths: input.records.clone(),
        column: column.to_owned(),
        images: input.images.clone(),
    }
}

pub(super) fn dedup(args: &DedupArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let alike = match args.by {
        By::Exact => Alike::Exact,
        By::Picture => Alike::Picture(same(&args.same)),
        By::PictureAlone => Alike::PictureAlone(same(&args.same)),
        By::Text => Alike::Text(args.threshold),
    };
    let data = pictures("data", &args.input, &args.same.column);
    let target = target(&args.target);
    let done = job(context, "dedup", |job| zoo_data::dedup(&data, alike, &target, job))?;
    let out = &args.target.out;
    let mut text = String::new();
    for (goes, stays) in done.pairs.iter().take(SHOWN) {
        let _ = writeln!(text, "  {goes} is {stays} once more");
    }
    let _ = writeln!(
        text,
        "{}: {} records of {}; {} say what an earlier one says",
        out.display(),
        done.kept,
        done.rows,
        done.duplicates
    );
    if done.unread > 0 {
        let _ = writeln!(
            text,
            "{} cannot be read, and are like nothing",
            counted(done.unread as usize, "picture")
        );
    }
    let mut json = json!(done);
    json["out"] = json!(out);
    Ok(Report::new(text, json))
}

pub(super) fn leak(args: &LeakArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let column = args.against_column.as_ref().unwrap_or(&args.same.column);
    let benchmark = |text: &String| -> Result<Pictures, CliError> {
        let (name, paths) = text
            .split_once('=')
            .filter(|(name, paths)| !name.is_empty() && !paths.is_empty())
            .ok_or_else(|| {
                CliError::Usage(format!(
                    "--against {text}: a name and a path are expected, as in mmbench=mmbench.tsv"
                ))
            })?;
        Ok(Pictures {
            name: name.to_owned(),
            paths: paths.split(',').map(Into::into).collect(),
            column: column.clone(),
            images: None,
        })
    };
    let benchmarks = args.against.iter().map(benchmark).collect::<Result<Vec<_>, CliError>>()?;
    let training = pictures("training", &args.input, &args.same.column);
    let out = args.out.as_ref();
    let target = out.map(|path| Target { path: path.clone(), replace: replace(args.overwrite), shard: None });
    let done = job(context, "leak", |job| {
        zoo_data::leak(&training, &benchmarks, same(&args.same), args.keep.as_deref(), target.as_ref(), job)
    })?;
    let mut table = Table::new(&["benchmark", ">pictures", ">leaked", ">%", ">not read"]);
    for leak in &done.benchmarks {
        let numbers = [leak.pictures.to_string(), leak.leaked.to_string(), format!("{:.2}", leak.percent)];
        table.row([leak.name.clone()].into_iter().chain(numbers).chain([leak.unread.to_string()]));
    }
    let mut text = table.render(0);
    let _ = writeln!(
        text,
        "{} of {} pictures that are learnt from are in a benchmark ({} rows)",
        done.leaked, done.pictures, done.rows
    );
    if done.unread > 0 {
        let what = counted(done.unread as usize, "picture");
        let _ = writeln!(text, "{what} that are learnt from cannot be read, and were compared with nothing");
    }
    for (place, name, other) in done.pairs.iter().take(SHOWN) {
        let _ = writeln!(text, "  {place} is in {name}: {other}");
    }
    let mut json = json!(done);
    if let Some(out) = out {
        let _ = writeln!(text, "{}: {} records", out.display(), done.rows - done.leaked);
        json["out"] = json!(out);
    }
    Ok(Report::new(text, json))
}
