//! `zoo data inspect` and `check`: nothing is changed.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::json;
use zoo_data::{CheckPlan, Frequent, Histogram, Target, Tokens};
use zoo_pipeline::write;
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Report, counted};

use super::{job, replace, sources};
use crate::args::{CheckArgs, InspectArgs};
use crate::told::plain;

/// Flaws that are written out for people; all of them are in `--json`.
const SHOWN: usize = 20;

pub(super) fn check(args: &CheckArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let repair = args.repair.as_ref().map(|path| Target {
        path: path.clone(),
        replace: replace(args.overwrite),
        shard: None,
    });
    let plan = CheckPlan { decode: args.decode, repair };
    let found = job(context, "check", |job| zoo_data::check(&sources(&args.input), &plan, job))?;
    let mut text = format!(
        "{} to learn from, {} of them with an image; {} words\n",
        counted(found.sound, "record"),
        found.with_image,
        found.words
    );
    for flaw in found.flaws.iter().take(SHOWN) {
        let _ = writeln!(text, "  {flaw}");
    }
    let all: usize = found.counts.values().sum();
    if all > SHOWN {
        let _ = writeln!(text, "  … and {} more; --json lists them", all - SHOWN);
    }
    for (kind, count) in &found.counts {
        let _ = writeln!(text, "{count:>8}  {kind}");
    }
    let mut json = json!(found);
    if let Some(target) = &plan.repair {
        let changes = zoo_data::changes(&target.path);
        let _ = writeln!(
            text,
            "{}: the sound ones, {} repaired; {} lists what was changed",
            target.path.display(),
            found.repaired,
            changes.display()
        );
        json["out"] = json!(target.path);
        json["changes_file"] = json!(changes);
    }
    // What was left out of a repaired file is said, and is no failure: it was asked for.
    Ok(Report { failed: all > 0 && plan.repair.is_none(), ..Report::new(text, json) })
}

pub(super) fn inspect(args: &InspectArgs, context: &Context<'_>) -> Result<Report, CliError> {
    if let Some(path) = &args.html {
        write::free(path, write::Replace::Always)?;
    }
    let tokens = args.tokenizer.as_deref().map(Tokens::open).transpose().map_err(plain)?;
    let found =
        job(context, "inspect", |job| zoo_data::inspect(&sources(&args.input), tokens.as_ref(), job))?;
    let mut text = format!(
        "{}: {} to learn from, {} with an image ({} of them cannot be read), {} empty\n",
        counted(found.records as usize, "record"),
        found.sound,
        found.with_image,
        found.images_broken,
        counted(found.empty_answers as usize, "answer")
    );
    let mut table = Table::new(&["", ">least", ">median", ">95 %", ">most", ">mean"]);
    let mut row = |name: &str, of: &Histogram| {
        if of.count() > 0 {
            let whole = [of.least(), of.quantile(0.5), of.quantile(0.95), of.most()];
            let cells = whole.map(|number| number.to_string());
            table.row([name.to_owned()].into_iter().chain(cells).chain([format!("{:.1}", of.mean())]));
        }
    };
    row("turns", &found.turns);
    row("words of a question", &found.question_words);
    row("words of an answer", &found.answer_words);
    if let Some(tokens) = &found.tokens {
        row("tokens of a record", tokens);
    }
    row("longer side of an image", &found.image_sides);
    text.push_str(&table.render(0));
    for (name, of) in
        [("sources", &found.sources), ("categories", &found.categories), ("answers", &found.answers)]
    {
        list(&mut text, name, of);
    }
    for (kind, count) in &found.flaws {
        let example = found.examples.get(kind).map_or("", String::as_str);
        let _ = writeln!(text, "{count:>8}  {kind}: {example}");
    }
    if let Some(path) = &args.html {
        let page = zoo_data::page(&found);
        write::file(path, write::Replace::Always, |file| file.write_all(page.as_bytes()))?;
        let _ = writeln!(text, "{}: a page with plots", path.display());
    }
    Ok(Report::new(text, json!(found)))
}

fn list(text: &mut String, name: &str, of: &Frequent) {
    let first = of.first(8);
    if first.is_empty() {
        return;
    }
    let first: Vec<String> = first.into_iter().map(|(value, count)| format!("{value:?} {count}")).collect();
    let _ = writeln!(text, "{name}: {}", first.join(", "));
}
