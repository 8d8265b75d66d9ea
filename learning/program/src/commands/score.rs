//! `zoo score` and `zoo compare`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use zoo_eval::compare::{self, Comparison, Scored, TASK_FILE, scored};
use zoo_eval::run::{Patience, stored};
use zoo_eval::score::{Figure, Scorer, TaskScore};
use zoo_eval::suite::{self, Group};
use zoo_eval::task::Task;
use zoo_eval::{grade, published, submit};
use zoo_pipeline::write;
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Report, interrupt};

use super::endpoint::{Typed, settings};
use crate::args::{CompareArgs, ScoreArgs};
use crate::told::judged;

/// Scores a run.
pub(super) fn score(args: &ScoreArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let scorer = Scorer::from(args.scorer);
    let mut scored = scored(&args.run, scorer).map_err(judged)?;
    if let Some(address) = &args.grader {
        graded(args, address, &mut scored, context)?;
    }
    for (task, why) in &scored.without {
        context.note(&format!("{task}: {why}"));
    }
    let mut text = format!("{} by the rules of {}\n", scored.name, scorer.name());
    let mut table = Table::new(&["task", ">score", ">95 %", ">parsed", ">chance", ">items", "rule"]);
    for score in &scored.scores {
        let main = score.score.as_ref();
        table.row([
            score.title.clone(),
            main.map_or("–".into(), |figure| format!("{:.2}", figure.value)),
            main.and_then(|figure| figure.interval)
                .map_or_else(String::new, |(low, high)| format!("{low:.1}–{high:.1}")),
            format!("{:.1} %", score.parsed),
            score.chance.map_or_else(String::new, |chance| format!("{chance:.1}")),
            score.items.to_string(),
            json!(score.rule).as_str().unwrap_or_default().to_owned(),
        ]);
    }
    text.push_str(&table.render(0));
    for score in &scored.scores {
        details(score, &mut text);
    }
    let row = suite::row(&scored.scores);
    for (group, mean) in Group::ALL.into_iter().zip(&row.groups) {
        if let Some(mean) = mean {
            let _ = writeln!(text, "mean of {}: {mean:.1}", group.name());
        }
    }
    if let Some(mean) = row.overall {
        let _ = writeln!(text, "mean of all sixteen columns: {mean:.1}");
    }
    beside(&scored, &mut text);
    let mut json = json!({
        "run": args.run, "model": scored.name, "scorer": scorer, "asking": scored.manifest.asking,
        "scores": scored.scores, "columns": row,
        "without": scored.without.iter().map(|(task, why)| json!({ "task": task, "why": why })).collect::<Vec<_>>(),
    });
    if let Some(folder) = &args.submission {
        json["submissions"] = submissions(args, &scored, folder, &mut text)?;
    }
    Ok(Report::new(text, json))
}

/// Adds what a language model makes of the replies.
fn graded(
    args: &ScoreArgs,
    address: &str,
    scored: &mut Scored,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let name = &args.grader_model;
    let (key_env, patience) = (&args.key_env, Patience::default());
    let judge = Typed { address, model: name, key_env, patience, at_once: 1 }.open(&settings(context)?)?;
    let stop = interrupt::flag();
    for score in &mut scored.scores {
        let folder = args.run.join(&score.task);
        let records = stored(&folder).map_err(judged)?;
        let bar = context.progress(&format!("grade {}", score.task), records.len() as u64);
        let grades = grade::grade(&judge, name, &folder, &records, stop, || bar.advance(1));
        bar.finish();
        let grades = grades.map_err(judged)?;
        if grades.len() < records.len() {
            let message = format!(
                "stopped: {} of {} replies of {} are graded; the same command goes on",
                grades.len(),
                records.len(),
                score.task
            );
            return Err(CliError::Ended { message, json: json!({}), code: interrupt::STOPPED });
        }
        score.figures.push(grade::share(name, &grades));
    }
    Ok(())
}

/// What a task has to say beside its score.
fn details(score: &TaskScore, text: &mut String) {
    if score.figures.is_empty() && score.groups.values().all(|group| group.len() < 2) {
        return;
    }
    let _ = writeln!(text, "\n{}", score.title);
    let told = |figure: &Figure| {
        let interval =
            figure.interval.map_or_else(String::new, |(low, high)| format!(" [{low:.1}, {high:.1}]"));
        format!("{} {:.2}{interval} of {}", figure.name, figure.value, figure.count)
    };
    for figure in &score.figures {
        let _ = writeln!(text, "  {}", told(figure));
    }
    for (column, figures) in score.groups.iter().filter(|(_, figures)| figures.len() > 1) {
        let figures: Vec<String> = figures.iter().map(told).collect();
        let _ = writeln!(text, "  by {column}: {}", figures.join("; "));
    }
}

/// Questions of the published CV-Bench.
const PUBLISHED: u64 = 2638;

/// CV-Bench with the published scores beside it.
fn beside(scored: &Scored, text: &mut String) {
    let Some(cv) = scored.scores.iter().find(|score| score.task == "cv-bench") else { return };
    let place = |name: &str| suite::COLUMNS.iter().position(|column| column.name == name);
    let (Some(two), Some(three)) = (place("CV2D"), place("CV3D")) else { return };
    let mut table = Table::new(&["CV-Bench", ">2D", ">3D", ">both"]);
    let cell = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.1}"));
    let both = |a: Option<f64>, b: Option<f64>| Some(f64::midpoint(a?, b?));
    let own = |name: &str| cv.figure(name).map(|figure| figure.value);
    let row = |name: String, a: Option<f64>, b: Option<f64>| [name, cell(a), cell(b), cell(both(a, b))];
    table.row(row(format!("{} (this run)", scored.name), own("2D"), own("3D")));
    for model in published::models() {
        if model.values[two].is_some() {
            table.row(row(model.model.clone(), model.values[two], model.values[three]));
        }
    }
    let _ = write!(text, "\n{}", table.render(0));
    if cv.items as u64 != PUBLISHED {
        let _ = writeln!(
            text,
            "The scores of others are published ones, on {PUBLISHED} questions; this run has {}.",
            cv.items
        );
    }
}

fn submissions(
    args: &ScoreArgs,
    scored: &Scored,
    folder: &Path,
    text: &mut String,
) -> Result<Value, CliError> {
    let replace = args.overwrite.replace();
    let mut files = Vec::new();
    for name in scored.manifest.tasks.keys() {
        let task = Task::open(&args.run.join(name).join(TASK_FILE)).map_err(judged)?;
        let records = stored(&args.run.join(name)).map_err(judged)?;
        if records.is_empty() {
            continue;
        }
        let Some(file) = submit::submission(&task, &records).map_err(judged)? else { continue };
        let path = folder.join(format!("{name}.json"));
        write::free(&path, replace)?;
        files.push((path, file));
    }
    if files.is_empty() {
        let _ = writeln!(text, "{}: nothing to send, no server judges these replies", folder.display());
    }
    for (path, json) in &files {
        write::file(path, replace, |file| writeln!(file, "{json}"))?;
        let _ = writeln!(text, "{}: to send", path.display());
    }
    Ok(files.into_iter().map(|(path, _)| json!(path)).collect())
}

/// Compares runs.
pub(super) fn compare(args: &CompareArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let scorer = Scorer::from(args.scorer);
    let runs: Result<Vec<Scored>, _> =
        args.runs.iter().map(|run| scored(run, scorer).map_err(judged)).collect();
    let runs = runs?;
    for run in &runs {
        for (task, why) in &run.without {
            context.note(&format!("{}, {task}: {why}", run.name));
        }
    }
    let comparison = compare::compare(&runs, scorer).map_err(judged)?;
    let replace = args.overwrite.replace();
    // All of them before the first is written.
    let mut pages = Vec::new();
    for path in &args.out {
        pages.push((path, page(&comparison, path)?));
        write::free(path, replace)?;
    }
    for (path, page) in &pages {
        write::file(path, replace, |file| file.write_all(page.as_bytes()))?;
    }
    let text = compare::markdown(&comparison);
    Ok(Report::new(text, json!(comparison)))
}

fn page(comparison: &Comparison, path: &Path) -> Result<String, CliError> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("md") => Ok(compare::markdown(comparison)),
        Some("csv") => Ok(compare::csv(comparison)),
        Some("html") => Ok(compare::html(comparison)),
        _ => Err(CliError::Usage(format!("--out {}: give a name in .md, .csv or .html", path.display()))),
    }
}
