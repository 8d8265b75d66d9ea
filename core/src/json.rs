//! JSON files as people publish them.
//!
//! `config.json`, tokenizer files and indices of shards are written by Python and by editors, and both go beyond the
//! standard: a byte order mark at the start, the bare words `NaN`, `Infinity` and `-Infinity`, a key that stands twice.
//! All of that is read here, as Python reads it, with one difference: a number that JSON cannot hold becomes its own name
//! as a text, because no value of JSON stands for it. So a field that nobody asks for does no harm, and one that
//! somebody asks for is refused with what stands there.

use std::borrow::Cow;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Numbers of Python that JSON does not have.
const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Reads a file.
///
/// # Errors
/// [`Error::File`] when it cannot be read, is no JSON, or does not hold a `T`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let fault = |message: String| Error::File { path: path.to_owned(), message };
    let bytes = std::fs::read(path).map_err(|e| fault(format!("cannot be read: {e}")))?;
    parse(&bytes).map_err(fault)
}

/// Reads the bytes of a file.
///
/// # Errors
/// What is wrong, as the end of a sentence that names the file.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let value = match serde_json::from_slice::<Value>(unmarked(bytes)?) {
        Ok(value) => value,
        Err(error) => {
            let fault = || format!("this is no JSON: {error}");
            let standard = standard(bytes)?;
            // Where there was nothing to put right, the places in the first message are those of the file.
            serde_json::from_slice(&standard).map_err(|_| fault())?
        }
    };
    // By way of a value: of a key that stands twice the last one counts.
    serde_json::from_value(value).map_err(|error| format!("this is not the JSON that was expected: {error}"))
}

/// The same document in standard JSON, for readers of their own.
///
/// # Errors
/// What is wrong with the file when it is not in UTF-8.
pub fn standard(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let bytes = unmarked(bytes)?;
    let mut out = Vec::new();
    let (mut at, mut kept) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' {
            at = end_of_text(bytes, at);
            continue;
        }
        match WORDS.iter().find(|word| bytes.get(at..).is_some_and(|rest| rest.starts_with(word))) {
            Some(word) => {
                out.extend_from_slice(bytes.get(kept..at).unwrap_or_default());
                out.push(b'"');
                out.extend_from_slice(word);
                out.push(b'"');
                at += word.len();
                kept = at;
            }
            None => at += 1,
        }
    }
    if kept == 0 {
        return Ok(Cow::Borrowed(bytes));
    }
    out.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// Without the mark that some editors put at the start.
fn unmarked(bytes: &[u8]) -> Result<&[u8], String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("this is in UTF-16; save it as UTF-8".into());
    }
    Ok(bytes.strip_prefix(MARK).unwrap_or(bytes))
}

/// Behind the text that begins with the quotation mark at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: Value) {
        assert_eq!(parse::<Value>(text).unwrap(), expected);
        let standard: Value = serde_json::from_slice(&standard(text).unwrap()).unwrap();
        assert_eq!(standard, expected);
    }

    #[test]
    fn what_python_and_editors_write_is_read() {
        check(b"\xef\xbb\xbf{\"a\": 1}", json!({"a": 1}));
        check(
            b"{\"a\": NaN, \"b\": [Infinity,-Infinity]}",
            json!({"a": "NaN", "b": ["Infinity", "-Infinity"]}),
        );
        check(br#"{"NaN": "Infinity \" NaN", "b": NaN}"#, json!({"NaN": "Infinity \" NaN", "b": "NaN"}));
        check(br#"{"a": "\\", "b": -Infinity}"#, json!({"a": "\\", "b": "-Infinity"}));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_one_counts() {
        #[derive(Deserialize)]
        struct Table {
            a: u32,
        }
        assert_eq!(parse::<Table>(br#"{"a": 1, "a": 2}"#).unwrap().a, 2);
    }

    #[test]
    fn what_is_no_json_says_where() {
        let refused = |text: &[u8]| parse::<Value>(text).unwrap_err();
        for (text, part) in [
            (&b"{\n\"a\": }"[..], "no JSON: expected value at line 2 column 6"),
            (b"{\"a\": NaN", "no JSON"),
            (b"\xff\xfe{\0}\0", "UTF-16"),
            (b"", "no JSON"),
            (b"{\"a", "no JSON"),
            (b"\"\\", "no JSON"),
        ] {
            assert!(refused(text).contains(part), "{}", refused(text));
        }
        assert!(parse::<u32>(b"NaN").unwrap_err().contains("\"NaN\""));
    }
}
