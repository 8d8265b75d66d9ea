//! `zoo data convert` and `prompt`: every record, in another shape.

use serde_json::json;
use zoo_data::PicturesGo;
use zoo_terminal::{CliError, Context, Report};

use super::{job, table, target};
use crate::args::{ConvertArgs, PromptArgs};

pub(super) fn convert(args: &ConvertArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let pictures = match &args.pictures {
        Some(folder) => PicturesGo::Outside(folder.clone()),
        None if args.inside.is_empty() => PicturesGo::Stay,
        None => PicturesGo::Inside(args.inside.clone()),
    };
    let table = table(&args.input)?;
    let done =
        job(context, "convert", |job| zoo_data::convert(&table, &pictures, &target(&args.target), job))?;
    let out = &args.target.out;
    let text = format!("{}: {} rows, {} pictures moved\n", out.display(), done.rows, done.pictures);
    Ok(Report::new(text, json!({ "out": out, "rows": done.rows, "pictures": done.pictures })))
}

pub(super) fn prompt(args: &PromptArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let (table, target) = (table(&args.input)?, target(&args.target));
    let source = args.source.as_deref();
    let done = job(context, "prompt", |job| zoo_data::prompt::prompt(&table, source, &target, job))?;
    let out = &args.target.out;
    let text = format!(
        "{}: {} records, {} with a response format that they had not; {} questions had theirs\n",
        out.display(),
        done.rows,
        done.changed,
        done.had
    );
    Ok(Report::new(text, json!({ "out": out, "rows": done.rows, "changed": done.changed, "had": done.had })))
}
