//! `zoo pull`

use std::ffi::OsString;

use serde_json::json;
use zoo_core::path_text;
use zoo_registry::{EncoderRow, Weights};

use super::elsewhere;
use crate::args::PullArgs;
use zoo_terminal::table::bytes;
use zoo_terminal::{CliError, Context, Report};

pub(super) fn run(args: &PullArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let Some(id) = &args.id else {
        return elsewhere::run_as("zoo-learn", dataset(std::env::args_os().skip(1)));
    };
    let zoo = context.zoo()?;
    if !args.accept_licence {
        let rows = zoo.terms(id)?;
        if !rows.is_empty() {
            return Err(CliError::Failed(unread(id, &rows)));
        }
    }
    let files = zoo.pull(id, &context.downloads())?;
    if files.is_empty() {
        let text = format!("{}: nothing to download; its weights are not on the Hub\n", id);
        return Ok(Report::new(text, json!({ "id": id, "files": [] })));
    }
    let sized: Vec<(String, u64)> = files
        .iter()
        .map(|f| (path_text(f).into_owned(), std::fs::metadata(f).map(|m| m.len()).unwrap_or(0)))
        .collect();
    let text = sized.iter().map(|(path, size)| format!("{path} ({})\n", bytes(*size))).collect::<String>();
    let files: Vec<_> = sized.iter().map(|(path, size)| json!({ "path": path, "bytes": size })).collect();
    Ok(Report::new(text, json!({ "id": id, "files": files })))
}

/// `pull --dataset TASKS` as the program that knows tasks calls it: `eval pull TASKS`.
fn dataset(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut command = false;
    for argument in arguments {
        match argument.to_str() {
            Some("pull") if !command => {
                command = true;
                out.extend(["eval", "pull"].map(OsString::from));
            }
            Some("--dataset") => {}
            Some(text) if text.starts_with("--dataset=") => out.push(text["--dataset=".len()..].into()),
            _ => out.push(argument),
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let words: Vec<OsString> = dataset(line.split(' ').map(OsString::from));
        assert_eq!(words.join(" ".as_ref()), expected);
    }

    #[test]
    fn data_sets_are_pulled_by_the_other_program() {
        check("pull --dataset cv-bench", "eval pull cv-bench");
        check("--quiet pull --dataset=a,b --out pull --json", "--quiet eval pull a,b --out pull --json");
    }
}
