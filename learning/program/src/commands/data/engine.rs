//! `zoo data engine`

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use zoo_engine::{Budget, Engine, Error, Manners, Model, Pages, Plan};
use zoo_terminal::{CliError, Context, Report, interrupt};

use crate::args::EngineArgs;
use crate::commands::endpoint::settings;
use crate::told::plain;

/// Where the key of the model is looked for: command lines are seen by others.
const KEY: &str = "ZOO_ENGINE_KEY";

pub(super) fn engine(args: &EngineArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let pause = Duration::try_from_secs_f64(args.pause)
        .map_err(|_| CliError::Usage(format!("--pause {}: seconds are expected", args.pause)))?;
    let model = Model {
        url: args.model_url.clone(),
        name: args.model.clone(),
        key: std::env::var(KEY).ok().filter(|key| !key.is_empty()),
    };
    let pages = match &args.folder {
        Some(folder) => Pages::Folder(folder.clone()),
        None if !args.dump.is_empty() => Pages::Dump(args.dump.clone()),
        None => Pages::MediaWiki(args.wiki.clone()),
    };
    let plan = Plan {
        pages,
        topics: args.topics,
        pages_per_topic: args.pages_per_topic,
        words: args.words,
        budget: Budget { requests: args.requests, tokens: args.tokens },
        manners: Manners {
            settings: settings(context)?,
            per_minute: args.per_minute,
            pause,
            private: args.private,
            ..Manners::default()
        },
        judge: !args.no_judge,
        ..Plan::new(&args.fields, &args.out, model)
    };
    let mut engine = Engine::open(plan).map_err(plain)?;
    let mut line: Option<(String, zoo_terminal::Progress, u64)> = None;
    let mut watch = |stage: &str, done: u64, total: u64| {
        if line.as_ref().is_none_or(|(name, ..)| name != stage) {
            if let Some((_, progress, _)) = &line {
                progress.finish();
            }
            line = Some((stage.to_owned(), context.progress(stage, total), 0));
        }
        if let Some((_, progress, shown)) = &mut line {
            progress.advance(done.saturating_sub(*shown));
            *shown = done;
        }
    };
    let made = engine.run(&mut watch, interrupt::flag());
    if let Some((_, progress, _)) = &line {
        progress.finish();
    }
    let made = made.map_err(|error| match error {
        Error::Stopped => CliError::Ended {
            message: error.to_string(),
            json: json!({ "stopped": true, "out": args.out }),
            code: interrupt::STOPPED,
        },
        other => plain(other),
    })?;
    let mut text = format!(
        "{}: {} records, {} more were dropped by the judge; {} requests and {} tokens so far\n",
        made.data.display(),
        made.records,
        made.dropped,
        made.requests,
        made.tokens
    );
    for (stage, (count, first)) in &made.failed {
        let _ = writeln!(
            text,
            "{stage}: {count} failed, and are tried again by the next run; the first: {first}"
        );
    }
    if let Some(ended) = &made.ended {
        let _ = writeln!(text, "{ended}");
    }
    let failed = !made.failed.is_empty() || made.ended.is_some();
    Ok(Report { failed, ..Report::new(text, json!(made)) })
}
