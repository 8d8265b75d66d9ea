//! What is right, and what there is to choose from, in each way in which data sets write it.

use serde_json::{Map, Value as Json};
use zoo_records::{Row, Value};

use super::read::Reader;
use crate::rules::Target;
use crate::task::{Form, OptionsSpec, Written, written};
use crate::{Result, text};

impl Reader<'_> {
    pub(super) fn options(&self, spec: &OptionsSpec, row: &Row) -> Result<Vec<String>> {
        if let Some(column) = &spec.column {
            let options = match (row.value(column)?, spec.written) {
                (Value::Null, _) => Vec::new(),
                (Value::Text(text), Written::Quoted) => {
                    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
                }
                (Value::Text(text), Written::Parentheses) => parenthesised(text),
                (Value::Text(text), Written::List) => match text::list(text) {
                    Some(list) => list,
                    None => row.texts(column)?,
                },
                _ => row.texts(column)?,
            };
            return Ok(options);
        }
        let mut options = Vec::new();
        for column in &spec.columns {
            match row.maybe_text(column)? {
                Some(text) if Some(&text) != spec.none.as_ref() => options.push(text),
                // An absent column is an older revision's way to say that there is no such option, but not for the first.
                _ if options.is_empty() => return Err(row.wrong(column, "there is no option").into()),
                _ => {}
            }
        }
        Ok(options)
    }

    pub(super) fn target(&self, row: &Row, options: Vec<String>, kind: Option<String>) -> Result<Target> {
        let Some(spec) = &self.task.spec.answer else {
            return Ok(Target { options, kind, ..Target::default() });
        };
        let column = spec.column.as_str();
        if row.get(column).is_none_or(|value| *value == Value::Null) && spec.optional {
            return Ok(Target { options, kind, ..Target::default() });
        }
        let mut row = row.clone();
        if !spec.within.is_empty() {
            row.set(column, self.within(&row, column)?);
        }
        let blank = Target { options, kind, ..Target::default() };
        let has_options = !blank.options.is_empty();
        let as_letter = |letter: String| -> Result<Target> {
            let letter = letter_of(&letter)
                .filter(|c| !has_options || usize::from(*c as u8 - b'A') < blank.options.len());
            match letter {
                Some(letter) => Ok(Target { letter: Some(letter), ..blank.clone() }),
                None => Err(row
                    .wrong(
                        column,
                        format_args!(
                            "`{}` is the letter of none of {} options",
                            row.text(column)?,
                            blank.options.len()
                        ),
                    )
                    .into()),
            }
        };
        let as_option = |place: Option<usize>| -> Result<Target> {
            match place.and_then(|place| ('A'..='Z').nth(place)).filter(|_| place < Some(blank.options.len()))
            {
                Some(letter) => Ok(Target { letter: Some(letter), ..blank.clone() }),
                None => Err(row
                    .wrong(
                        column,
                        format_args!(
                            "`{}` is none of the options: {}",
                            row.text(column)?,
                            blank.options.join(" | ")
                        ),
                    )
                    .into()),
            }
        };
        let as_text = |answers: Vec<String>| Target { answers, ..blank.clone() };
        let target = match spec.form {
            Form::Letter => as_letter(row.text(column)?)?,
            Form::LetterOrText if has_options => as_letter(row.text(column)?)?,
            Form::Index => as_option(usize::try_from(row.integer(column)?).ok())?,
            Form::Option => as_option(of_equal_the_last(&blank.options, &row.text(column)?))?,
            Form::OptionOrText if has_options => {
                as_option(of_equal_the_last(&blank.options, &row.text(column)?))?
            }
            Form::Text | Form::LetterOrText | Form::OptionOrText => as_text(vec![row.text(column)?]),
            Form::Texts => as_text(self.texts(&row, column)?),
        };
        if let Some(count) = spec.count.filter(|count| *count != target.answers.len()) {
            let message = format!("{} answers, and there must be {count}", target.answers.len());
            return Err(row.wrong(column, message).into());
        }
        Ok(target)
    }

    fn texts(&self, row: &Row, column: &str) -> Result<Vec<String>> {
        match row.value(column)? {
            Value::Text(text) => match text::list(text) {
                Some(list) => Ok(list),
                None => Ok(vec![text.clone()]),
            },
            // VQA's own form: objects with one answer each.
            Value::List(list)
                if list.iter().all(|value| value.get("answer").is_some()) && !list.is_empty() =>
            {
                Ok(list.iter().filter_map(|value| Some(value.get("answer")?.as_text()?.to_owned())).collect())
            }
            _ => Ok(row.texts(column)?),
        }
    }

    /// The value inside an object, or inside JSON as text.
    fn within(&self, row: &Row, column: &str) -> Result<Value> {
        let mut value = row.value(column)?.clone();
        if let Value::Text(text) = &value {
            value = Value::parse(text.as_bytes()).map_err(|error| row.wrong(column, error))?;
        }
        let names = self.task.spec.answer.as_ref().map(|answer| answer.within.as_slice()).unwrap_or_default();
        for name in names {
            value = value
                .get(name)
                .cloned()
                .ok_or_else(|| row.wrong(column, format_args!("there is no `{name}` in it")))?;
        }
        Ok(value)
    }

    pub(super) fn corrected(
        &self,
        row: &Row,
        fields: &Map<String, Json>,
        target: &Target,
    ) -> Result<Option<Target>> {
        let Some(corrections) = &self.task.spec.corrections else { return Ok(None) };
        let key = fields.get(&corrections.by).map(written).unwrap_or_default();
        let Some(label) = corrections.labels.get(&key) else { return Ok(None) };
        let column = self.task.spec.answer.as_ref().map_or("answer", |answer| answer.column.as_str());
        let mut row = row.clone();
        row.set(column, Value::Text(label.clone()));
        let corrected = self.target(&row, target.options.clone(), target.kind.clone())?;
        Ok((corrected != *target).then_some(corrected))
    }
}

/// `B`, `b`, `(B)`, `(b)`, `B.`
fn letter_of(text: &str) -> Option<char> {
    let inner = text::strip(text).trim_matches(['(', ')', '.']);
    let mut chars = inner.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    chars.next().is_none().then(|| letter.to_ascii_uppercase())
}

/// The place of an option, the last one of equal ones, as the reference's dictionary has it.
fn of_equal_the_last(options: &[String], answer: &str) -> Option<usize> {
    options.iter().rposition(|option| option == answer)
}

/// What follows each `(x)` up to the next `(`.
fn parenthesised(text: &str) -> Vec<String> {
    let after = |part: &str| {
        part.split_once(')').map(|(_, rest)| text::strip(rest.split(')').next().unwrap_or("")).to_owned())
    };
    text.split('(').skip(1).filter_map(after).collect()
}
