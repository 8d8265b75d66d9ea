//! The human check: a sheet with every item, and what is made of the decisions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::write::{Item, draft, prompt, tables, vacant};
use crate::compare::escaped;
use crate::run::keep_file;
use crate::{Error, Result};

/// What a person decided about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It stays as it is.
    Accept,
    /// It stays with another question or answer.
    Modify,
    /// It goes.
    Reject,
}

/// A line of `decisions.json`, as the sheet saves them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The item.
    pub idx: u64,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Another question, with `modify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Another right letter, with `modify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why, for who reads it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Writes the set of what was accepted and modified in `folder` to `out`. Items without a decision are an error: a set that
/// nobody looked at would look like one that somebody did.
///
/// # Errors
/// [`Error::Run`] for a folder that is no draft, decisions that cannot be read, miss items or name unknown ones or letters.
pub fn finish(folder: &Path, decisions: &Path, out: &Path) -> Result<usize> {
    let items = draft(folder)?;
    let bytes = std::fs::read(decisions).map_err(Error::io(decisions, "cannot read the decisions"))?;
    let list: Vec<Decision> = serde_json::from_slice(&bytes).map_err(|error| {
        Error::run(decisions, format!("no list of decisions as review.html saves it: {error}"))
    })?;
    let mut by_item: BTreeMap<u64, Decision> = BTreeMap::new();
    for decision in list {
        if !items.iter().any(|item| item.idx == decision.idx) {
            return Err(Error::run(decisions, format!("there is no item {}", decision.idx)));
        }
        if by_item.insert(decision.idx, decision.clone()).is_some() {
            return Err(Error::run(decisions, format!("item {} is decided twice", decision.idx)));
        }
    }
    let missing: Vec<String> = items
        .iter()
        .filter(|item| !by_item.contains_key(&item.idx))
        .map(|item| item.idx.to_string())
        .collect();
    if !missing.is_empty() {
        let some = missing.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Error::run(
            decisions,
            format!("{} items are not decided, such as {some}", missing.len()),
        ));
    }
    let mut kept = Vec::new();
    for mut item in items {
        let decision = &by_item[&item.idx];
        match decision.verdict {
            Verdict::Reject => continue,
            Verdict::Accept => {}
            Verdict::Modify => modify(&mut item, decision, decisions)?,
        }
        item.idx = kept.len() as u64;
        item.because = String::new();
        kept.push(item);
    }
    if kept.is_empty() {
        return Err(Error::run(decisions, "every item is rejected: there is no set to write"));
    }
    vacant(out)?;
    for item in &kept {
        let picture = folder.join(&item.filename);
        let bytes =
            std::fs::read(&picture).map_err(Error::io(&picture, "cannot read a picture of the draft"))?;
        keep_file(&out.join(&item.filename), &bytes)?;
    }
    tables(folder, out, &kept)?;
    Ok(kept.len())
}

fn modify(item: &mut Item, decision: &Decision, path: &Path) -> Result<()> {
    if let Some(question) = &decision.question {
        let lead = if item.prompt.contains("Select from the following choices.") {
            " Select from the following choices."
        } else {
            ""
        };
        item.question.clone_from(question);
        item.prompt = prompt(question, lead, &item.choices);
    }
    if let Some(answer) = &decision.answer {
        let letter = answer.trim_matches(['(', ')', ' ']).to_ascii_uppercase();
        let known = ('A'..='Z').take(item.choices.len()).any(|c| letter == c.to_string());
        if !known {
            return Err(Error::run(
                path,
                format!("item {}: `{answer}` is the letter of none of its options", item.idx),
            ));
        }
        item.answer = format!("({letter})");
    }
    Ok(())
}

const SCRIPT: &str = include_str!("review.js");

/// The sheet: one card per item, decisions kept in the browser until they are saved as `decisions.json`.
pub(super) fn sheet(items: &[Item]) -> String {
    let mut cards = String::new();
    for item in items {
        let options: String = item
            .choices
            .iter()
            .zip('A'..='Z')
            .map(|(text, letter)| {
                let right = if item.answer == format!("({letter})") { " class=right" } else { "" };
                format!("<li{right}>({letter}) {}</li>", escaped(text))
            })
            .collect();
        let _ = writeln!(
            cards,
            "<div class=item data-idx=\"{0}\" data-question=\"{1}\" data-answer=\"{2}\"><img loading=lazy src=\"{3}\" alt=\"\">\
             <p><b>{0}</b> {4}, {5}: {1}</p><ul>{6}</ul><p class=because>{7}</p>\
             <button data-verdict=accept>accept</button> <button data-verdict=modify>modify</button> \
             <button data-verdict=reject>reject</button></div>",
            item.idx,
            escaped(&item.question),
            escaped(&item.answer),
            escaped(&item.filename),
            escaped(&item.task),
            escaped(&item.source),
            options,
            escaped(&item.because),
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Review</title><style>\n\
         body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1rem }} header {{ position: sticky; top: 0; background: #fff; padding: .5rem }}\n\
         .sheet {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }}\n\
         .item {{ border: 3px solid #ccc; padding: .5rem }} .item img {{ max-width: 100%; max-height: 16rem }}\n\
         .accept {{ border-color: #2a2 }} .modify {{ border-color: #c90 }} .reject {{ border-color: #c22; opacity: .5 }}\n\
         .right {{ font-weight: bold }} .because {{ color: #666 }} ul {{ list-style: none; padding: 0 }}\n\
         </style></head><body><header><span id=left></span> left <button id=save>save decisions.json</button></header>\n\
         <div class=sheet>\n{cards}</div>\n<script>{SCRIPT}</script></body></html>\n"
    )
}
