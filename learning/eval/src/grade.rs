//! A language model as the judge, beside the rules (Cambrian-1, appendix): it is shown the right answer and the reply, and
//! says one word. What it said is kept, so that it is asked once about each reply.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::run::{Endpoint, Record};
use crate::score::{Figure, figure};
use crate::{Error, Result};

/// What the judge is told. The examples are ours; the paper's are not published as text.
const INSTRUCTION: &str = "You compare a model's answer with the right one. Say one word: CORRECT if the answer means the \
same as the right one, INCORRECT if it does not. Numbers may differ by 5 percent. An option's letter and its text mean the \
same. More words than needed do no harm; an answer that commits to nothing is INCORRECT.

answer: The bus is red.\ngt_answer: red\nCORRECT

answer: B\ngt_answer: B. two dogs\nCORRECT

answer: about 104\ngt_answer: 100\nCORRECT

answer: 110\ngt_answer: 100\nINCORRECT

answer: It could be a cat or a dog.\ngt_answer: cat\nINCORRECT

answer: I cannot tell.\ngt_answer: no\nINCORRECT";

/// Tokens in which one word fits.
const TOKENS: usize = 8;

/// What a judge said of a reply: a line of `grades-NAME.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade {
    /// The item.
    pub index: u64,
    /// SHA-256 of what the judge was told: another reply or instruction is judged anew.
    pub asked: String,
    /// Its word; none where it said neither.
    pub correct: Option<bool>,
    /// All that it said.
    pub said: String,
}

/// The question to the judge.
pub fn question(record: &Record) -> String {
    let target = &record.target;
    let right = match target.letter {
        Some(letter) => {
            let text = usize::try_from(u32::from(letter).wrapping_sub(65))
                .ok()
                .and_then(|at| target.options.get(at));
            text.map_or_else(|| letter.to_string(), |text| format!("{letter}. {text}"))
        }
        None => target.answers.join(" or "),
    };
    format!("{INSTRUCTION}\n\nanswer: {}\ngt_answer: {right}", record.reply)
}

/// The judge's word.
pub fn word(said: &str) -> Option<bool> {
    let upper = said.to_uppercase();
    let first = upper.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty())?;
    match first {
        "CORRECT" => Some(true),
        "INCORRECT" => Some(false),
        _ => None,
    }
}

/// Grades all replies in `folder`, those that were graded before from the file; `each` is told of every one that was
/// asked about. A judge that cannot be reached ends it, and what it said before is kept.
///
/// # Errors
/// [`Error::Endpoint`]; [`Error::Io`].
pub fn grade(
    judge: &Endpoint,
    name: &str,
    folder: &Path,
    records: &[Record],
    stop: &AtomicBool,
    mut each: impl FnMut(),
) -> Result<Vec<Grade>> {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let path = folder.join(format!("grades-{plain}.jsonl"));
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let known: HashMap<String, Grade> = known
        .lines()
        .filter_map(|line| serde_json::from_str::<Grade>(line).ok())
        .map(|g| (g.asked.clone(), g))
        .collect();
    let mut file =
        OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io(&path, "cannot write"))?;
    let mut grades = Vec::with_capacity(records.len());
    for record in records {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let question = question(record);
        let asked: String = Sha256::digest(format!("{name}\0{question}"))
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if let Some(grade) = known.get(&asked) {
            grades.push(Grade { index: record.index, ..grade.clone() });
            continue;
        }
        let said = judge.ask(&json!([{ "role": "user", "content": question }]), TOKENS)?.text;
        let grade = Grade { index: record.index, asked, correct: word(&said), said };
        let mut line = serde_json::to_vec(&grade).map_err(|error| Error::run(&path, error.to_string()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(Error::io(&path, "cannot write"))?;
        grades.push(grade);
        each();
    }
    Ok(grades)
}

/// The share of replies that the judge called correct; where it said neither word, a reply is not.
pub fn share(name: &str, grades: &[Grade]) -> Figure {
    figure(
        &format!("graded by {name}"),
        grades.iter().map(|grade| f64::from(u8::from(grade.correct == Some(true)))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (said, expected) in [
            ("CORRECT", Some(true)),
            (" Correct.", Some(true)),
            ("INCORRECT", Some(false)),
            ("**incorrect** because", Some(false)),
            ("I think it is CORRECT", None),
            ("", None),
        ] {
            assert_eq!(word(said), expected, "{said}");
        }
    }
}
