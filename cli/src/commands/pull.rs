//! `zoo pull`

use serde_json::json;
use zoo_core::path_text;
use zoo_registry::{EncoderRow, Weights};

use crate::args::PullArgs;
use zoo_terminal::table::bytes;
use zoo_terminal::{CliError, Context, Report};

pub(super) fn run(args: &PullArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let zoo = context.zoo()?;
    if !args.accept_licence {
        let rows = zoo.terms(&args.id)?;
        if !rows.is_empty() {
            return Err(CliError::Failed(unread(&args.id, &rows)));
        }
    }
    let files = zoo.pull(&args.id, &context.downloads())?;
    if files.is_empty() {
        let text = format!("{}: nothing to download; its weights are not on the Hub\n", args.id);
        return Ok(Report::new(text, json!({ "id": args.id, "files": [] })));
    }
    let sized: Vec<(String, u64)> = files
        .iter()
        .map(|f| (path_text(f).into_owned(), std::fs::metadata(f).map(|m| m.len()).unwrap_or(0)))
        .collect();
    let text = sized.iter().map(|(path, size)| format!("{path} ({})\n", bytes(*size))).collect::<String>();
    let files: Vec<_> = sized.iter().map(|(path, size)| json!({ "path": path, "bytes": size })).collect();
    Ok(Report::new(text, json!({ "id": args.id, "files": files })))
}

/// What somebody must read before these weights are downloaded.
fn unread(id: &str, rows: &[&EncoderRow]) -> String {
    let licences = rows.iter().map(|row| {
        let place = match &row.weights {
            Weights::Hub { repo, .. } => format!(", see the page of {repo} on the Hub"),
            _ => String::new(),
        };
        format!("`{}` has the licence {}{place}", row.id, row.licence_words())
    });
    format!(
        "{}; if you accept {}, run `zoo pull {id} --accept-licence`",
        licences.collect::<Vec<_>>().join("; "),
        if rows.len() == 1 { "it" } else { "them" }
    )
}
