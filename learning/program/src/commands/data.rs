//! `zoo data`

use std::fmt::Write as _;

use serde_json::json;
use zoo_data::DataSource;

use super::synth;
use crate::args::{CheckArgs, DataArgs, DataCommand};
use crate::told::plain;
use zoo_terminal::{CliError, Context, Report, counted};

/// Flaws that are written out for people; all of them are in `--json`.
const SHOWN: usize = 20;

pub(super) fn run(args: &DataArgs, context: &Context<'_>) -> Result<Report, CliError> {
    match &args.command {
        DataCommand::Check(args) => check(args),
        DataCommand::Synth(args) => synth::run(args, context),
    }
}

fn check(args: &CheckArgs) -> Result<Report, CliError> {
    let source = |records: &std::path::PathBuf| DataSource {
        records: records.clone(),
        images: match &args.images {
            Some(images) => images.clone(),
            None => records.parent().map(Into::into).unwrap_or_default(),
        },
    };
    let sources: Vec<DataSource> = args.records.iter().map(source).collect();
    let found = zoo_data::check(&sources, args.decode).map_err(plain)?;
    let mut text = format!(
        "{} to learn from, {} of them with an image; {} words\n",
        counted(found.sound, "record"),
        found.with_image,
        found.words
    );
    for flaw in found.flaws.iter().take(SHOWN) {
        let _ = writeln!(text, "  {flaw}");
    }
    if found.flaws.len() > SHOWN {
        let _ = writeln!(text, "  … and {} more; --json lists all", found.flaws.len() - SHOWN);
    }
    for (kind, count) in &found.counts {
        let _ = writeln!(text, "{count:>8}  {kind}");
    }
    let failed = !found.flaws.is_empty();
    Ok(Report { failed, ..Report::new(text, json!(found)) })
}
