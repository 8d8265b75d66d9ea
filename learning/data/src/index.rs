//! Where records begin and end: a JSON list or JSONL is read through once and then by place.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::{Error, Result};

/// The records of one file, 20 bytes for each.
#[derive(Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
}

struct Entry {
    start: u64,
    bytes: u32,
    line: u32,
    length: i32,
}

impl Index {
    pub fn push(&mut self, place: Range<u64>, line: u32, length: i32) {
        let bytes = u32::try_from(place.end - place.start).unwrap_or(u32::MAX);
        self.entries.push(Entry { start: place.start, bytes, line, length });
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn line(&self, record: usize) -> u32 {
        self.entries[record].line
    }

    pub fn length(&self, record: usize) -> i32 {
        self.entries[record].length
    }

    /// The text of a record.
    pub fn bytes(&self, path: &Path, record: usize) -> Result<Vec<u8>> {
        let entry = &self.entries[record];
        let mut bytes = vec![0; entry.bytes as usize];
        let read = || -> std::io::Result<()> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(entry.start))?;
            file.read_exact(&mut bytes)
        };
        let mut read = read;
        read().map_err(Error::io(path, "cannot read a record"))?;
        Ok(bytes)
    }
}

/// Calls `found` with place, line and text of each record.
pub(crate) fn scan(path: &Path, mut found: impl FnMut(Range<u64>, u32, &[u8])) -> Result<()> {
    let file = File::open(path).map_err(Error::io(path, "cannot read the records"))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut scanner = Scanner::default();
    loop {
        let chunk = reader.fill_buf().map_err(Error::io(path, "cannot read the records"))?;
        if chunk.is_empty() {
            break;
        }
        let length = chunk.len();
        for &byte in chunk {
            scanner.take(byte, &mut found).map_err(|message| Error::data(path, message))?;
        }
        reader.consume(length);
    }
    scanner.end(&mut found).map_err(|message| Error::data(path, message))
}

/// Cuts a stream into records without understanding them: a list has one object after the other, JSONL one a line.
#[derive(Default)]
struct Scanner {
    at: u64,
    line: u32,
    form: Form,
    depth: usize,
    text: bool,
    escaped: bool,
    /// Place and line of the record that is being read, and its text.
    open: Option<(u64, u32)>,
    bytes: Vec<u8>,
}

#[derive(Default, PartialEq)]
enum Form {
    #[default]
    Unknown,
    List,
    Lines,
    /// After the end of a list.
    Over,
}

impl Scanner {
    fn take(&mut self, byte: u8, found: &mut impl FnMut(Range<u64>, u32, &[u8])) -> Result<(), String> {
        match self.form {
            Form::Unknown => match byte {
                b'[' => self.form = Form::List,
                _ if byte.is_ascii_whitespace() || self.at < 3 && [0xef, 0xbb, 0xbf].contains(&byte) => {}
                _ => {
                    self.form = Form::Lines;
                    self.line_byte(byte, found);
                }
            },
            Form::Lines => self.line_byte(byte, found),
            Form::List => self.list_byte(byte, found)?,
            Form::Over if !byte.is_ascii_whitespace() => {
                return Err(format!("line {}: something follows the end of the list", self.line + 1));
            }
            Form::Over => {}
        }
        self.at += 1;
        self.line += u32::from(byte == b'\n');
        Ok(())
    }

    fn line_byte(&mut self, byte: u8, found: &mut impl FnMut(Range<u64>, u32, &[u8])) {
        if byte == b'\n' {
            self.close(self.at, found);
        } else if self.open.is_some() || !byte.is_ascii_whitespace() {
            self.open.get_or_insert((self.at, self.line + 1));
            self.bytes.push(byte);
        }
    }

    fn list_byte(&mut self, byte: u8, found: &mut impl FnMut(Range<u64>, u32, &[u8])) -> Result<(), String> {
        if self.open.is_some() {
            self.bytes.push(byte);
        }
        if self.text {
            self.text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Ok(());
        }
        match byte {
            b'"' if self.depth > 0 => self.text = true,
            b'{' | b'[' => {
                if self.depth == 0 {
                    self.open = Some((self.at, self.line + 1));
                    self.bytes = vec![byte];
                }
                self.depth += 1;
            }
            b']' if self.depth == 0 => self.form = Form::Over,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.close(self.at + 1, found);
                }
            }
            b',' if self.depth == 0 => {}
            _ if self.depth > 0 || byte.is_ascii_whitespace() => {}
            _ => return Err(format!("line {}: a list of JSON objects is expected", self.line + 1)),
        }
        Ok(())
    }

    fn close(&mut self, end: u64, found: &mut impl FnMut(Range<u64>, u32, &[u8])) {
        if let Some((start, line)) = self.open.take() {
            found(start..end, line, &self.bytes);
            self.bytes.clear();
        }
    }

    fn end(mut self, found: &mut impl FnMut(Range<u64>, u32, &[u8])) -> Result<(), String> {
        match self.form {
            Form::List => Err("the list has no end; is the file complete?".to_owned()),
            _ => {
                self.close(self.at, found);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and text of each record.
    fn records(text: &str) -> Result<Vec<(u32, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        std::fs::write(&path, text).unwrap();
        let (mut index, mut out) = (Index::default(), Vec::new());
        scan(&path, |place, line, bytes| {
            out.push((line, String::from_utf8(bytes.to_vec()).unwrap()));
            index.push(place, line, 1);
        })?;
        for (record, (_, text)) in out.iter().enumerate() {
            assert_eq!(index.bytes(&path, record)?, text.as_bytes(), "read again by its place");
        }
        Ok(out)
    }

    #[track_caller]
    fn check(text: &str, expected: &[(u32, &str)]) {
        let got = records(text).unwrap();
        let got: Vec<_> = got.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn records_of_both_forms_are_found() {
        check("{\"a\":1}\n\n {\"b\":\"}\"}", &[(1, "{\"a\":1}"), (3, "{\"b\":\"}\"}")]);
        check(
            "[\n{\"a\":[1,{}]},\n{\"b\":\"\\\"]}\"}\n]\n",
            &[(2, "{\"a\":[1,{}]}"), (3, "{\"b\":\"\\\"]}\"}")],
        );
        check("[]", &[]);
        check("\n[{}]", &[(2, "{}")]);
        check("{\"é\":1}\r\n", &[(1, "{\"é\":1}\r")]);
    }

    #[test]
    fn what_is_no_list_is_refused_in_words() {
        for (text, expected) in [
            ("[{\"a\":1}", "the list has no end"),
            ("[1]", "line 1: a list of JSON objects is expected"),
            ("[{}]\n{}", "line 2: something follows the end of the list"),
        ] {
            let message = records(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
