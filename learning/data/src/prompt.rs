//! Response formats: data sets of short answers say that they want short ones.
//!
//! A model that learns from one-word answers answers everything in one word. With a response format behind the question,
//! brevity depends on it (arXiv 2406.16860, "answer machine"). [`FORMATS`] is what training appends. Benchmarks ask with the
//! same words: their task files say so themselves, and a test of `learning/program` holds both together.

use std::borrow::Cow;

use serde::Serialize;
use zoo_records::{Row, Table, Value};

use crate::job::Job;
use crate::output::{Output, Target};
use crate::{Error, Result};

/// One word or phrase.
pub const WORD: &str = "Answer the question using a single word or phrase.";
/// One number or phrase; what ChartQA asks with.
pub const NUMBER: &str = "Answer the question using a single number or phrase.";
/// The letter of an option.
pub const OPTION: &str = "Answer with the option's letter from the given choices directly.";
/// A short answer; what DocVQA asks with.
pub const SHORT: &str = "Give the short answer directly.";
/// Says so when there is no answer.
pub const NO_ANSWER: &str = "When the provided information is insufficient, respond with <no answer>. Answer the question using a \
     single word or phrase.";
/// Code and nothing else.
pub const HTML: &str = "Directly provide the HTML code.";
/// Reasons first.
pub const REASONING: &str = "First show your reasoning process and then give the final answer.";
/// What VizWiz asks with.
pub const UNANSWERABLE: &str = "When the provided information is insufficient, respond with 'Unanswerable'.\nAnswer the question using a single \
     word or phrase.";
/// The letter of an option, in fewer words.
pub const LETTER: &str = "Answer with the letter.";

/// A response format, and which answers it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Data sets, by the names of `source`, without regard to case.
    pub sources: &'static [&'static str],
    /// What stands behind the question.
    pub suffix: &'static str,
    /// For which answers.
    pub answers: Answers,
}

/// Which answers a format is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// All.
    Any,
    /// One letter, with or without a full stop or parentheses.
    Letters,
    /// All but letters.
    Others,
}

/// The formats of the paper's table. Where a data set has two, its answers tell them apart.
pub const FORMATS: &[Format] = &[
    Format {
        sources: &[
            "SketchyVQA",
            "OODVQA",
            "DVQA",
            "AI2D",
            "CLEVR",
            "TallyQA",
            "PathVQA",
            "HiTab",
            "WTQ",
            "WikiSQL",
            "RAVEN",
        ],
        suffix: WORD,
        answers: Answers::Any,
    },
    Format { sources: &["Q-Instruct", "IconQA"], suffix: WORD, answers: Answers::Others },
    Format { sources: &["ChartQA"], suffix: NUMBER, answers: Answers::Any },
    Format { sources: &["Q-Instruct"], suffix: OPTION, answers: Answers::Letters },
    Format { sources: &["Visual7W"], suffix: OPTION, answers: Answers::Any },
    Format { sources: &["DocVQA"], suffix: SHORT, answers: Answers::Any },
    Format { sources: &["ScreenQA"], suffix: NO_ANSWER, answers: Answers::Any },
    Format { sources: &["Design2Code"], suffix: HTML, answers: Answers::Any },
    Format { sources: &["MathInstruct"], suffix: REASONING, answers: Answers::Any },
    Format { sources: &["VizWiz"], suffix: UNANSWERABLE, answers: Answers::Any },
    Format { sources: &["IconQA"], suffix: LETTER, answers: Answers::Letters },
    Format { sources: &["Inter-GPS", "TQA"], suffix: LETTER, answers: Answers::Any },
];

/// The format of a question of `source` that is answered so; nothing where the source has none.
pub fn format(source: &str, answer: &str) -> Option<&'static str> {
    let letter = is_letter(answer);
    let fits = |format: &&Format| {
        format.sources.iter().any(|name| name.eq_ignore_ascii_case(source))
            && match format.answers {
                Answers::Any => true,
                Answers::Letters => letter,
                Answers::Others => !letter,
            }
    };
    FORMATS.iter().find(fits).map(|format| format.suffix)
}

fn is_letter(answer: &str) -> bool {
    let answer = answer.trim().trim_start_matches('(').trim_end_matches(['.', ')', ':']);
    answer.len() == 1 && answer.bytes().all(|b| b.is_ascii_alphabetic())
}

/// What was appended.
#[derive(Debug, Clone, Serialize)]
pub struct Prompted {
    /// Records, those of shards that were there or are others' among them.
    pub rows: u64,
    /// Records to which something was appended.
    pub changed: u64,
    /// Questions that had their format already.
    pub had: u64,
}

/// Appends to every question the response format of its source. `source` is for records that do not name theirs. A
/// question that ends with its format already stays as it is, so doing it twice does nothing.
///
/// # Errors
/// Rows that are no conversations; the file that is written.
pub fn prompt(table: &Table, source: Option<&str>, target: &Target, job: &mut Job<'_>) -> Result<Prompted> {
    let mut out = Output::create(target, &crate::output::job("prompt", source, &[table])?)?;
    let mut prompted = Prompted { rows: 0, changed: 0, had: 0 };
    let read = |row: zoo_records::Unread| -> Result<_> {
        let mut row = row.parse()?;
        let name = match (source, row.maybe_text("source")?) {
            (_, Some(name)) => Cow::Owned(name),
            (Some(source), None) => Cow::Borrowed(source),
            (None, None) => Cow::Borrowed(""),
        };
        let (changed, had) = append(&mut row, &name)?;
        Ok((row, changed, had))
    };
    job.each_wanted(table, out.missing(), read, |row| {
        prompted.rows += 1;
        let Some((row, changed, had)) = row.transpose()? else { return out.pass() };
        prompted.changed += u64::from(changed > 0);
        prompted.had += had;
        out.write(&row)
    })?;
    out.finish()?;
    Ok(prompted)
}

/// How many questions got a format, and how many had it.
fn append(row: &mut Row, source: &str) -> Result<(u64, u64)> {
    let place = row.place().clone();
    let wrong = |message: &str| {
        Error::from(zoo_records::Error::Row { place: place.clone(), message: message.to_owned() })
    };
    let turns = row.fields_mut().iter_mut().find(|(name, _)| name == "conversations").map(|(_, value)| value);
    let Some(Value::List(turns)) = turns else { return Err(wrong("a list `conversations` is expected")) };
    let (mut changed, mut had) = (0, 0);
    for at in 1..turns.len() {
        let (before, after) = turns.split_at_mut(at);
        let (Some(Value::Map(question)), Some(answer)) = (before.last_mut(), after.first()) else {
            return Err(wrong("turns are objects with `from` and `value`"));
        };
        let said = |turn: &[(String, Value)], by: &[&str]| {
            let from = turn.iter().find(|(name, _)| name == "from");
            from.and_then(|(_, from)| from.as_text()).is_some_and(|from| by.contains(&from))
        };
        let Value::Map(answered) = answer else {
            return Err(wrong("turns are objects with `from` and `value`"));
        };
        if !said(question, &["human", "user"]) || !said(answered, &["gpt", "assistant"]) {
            continue;
        }
        let answer =
            answer.get("value").and_then(Value::as_text).ok_or_else(|| wrong("a turn has no text"))?;
        let Some(suffix) = format(source, answer) else { continue };
        let text = question.iter_mut().find(|(name, _)| name == "value").map(|(_, value)| value);
        let Some(Value::Text(text)) = text else { return Err(wrong("a turn has no text")) };
        match text.trim_end().ends_with(suffix) {
            true => had += 1,
            false => {
                *text = format!("{}\n{suffix}", text.trim_end());
                changed += 1;
            }
        }
    }
    Ok((changed, had))
}
