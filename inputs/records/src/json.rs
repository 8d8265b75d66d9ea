//! Where records begin and end in JSON and JSONL. Nothing is understood here, so it is fast, and a record that is no
//! JSON does not hide the next one.

use std::io::BufRead;
use std::ops::Range;

/// What is longer is no record but a file of another kind.
pub(crate) const MAX_ROW: usize = 1 << 28;

/// A record as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Its bytes in the file, unpacked.
    pub at: Range<u64>,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// What stands there.
    pub bytes: Vec<u8>,
}

/// Cuts a stream into records: a list has one object after the other, JSONL one a line.
pub(crate) struct Texts<R> {
    reader: R,
    at: u64,
    line: u64,
    form: Form,
}

#[derive(PartialEq, Clone, Copy)]
enum Form {
    Unknown,
    List,
    Lines,
    /// Everything was read, or nothing more can be.
    Over,
}

/// Why a stream is not cut any further.
pub(crate) enum Stop {
    Io(std::io::Error),
    Form(String),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: BufRead> Texts<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, at: 0, line: 0, form: Form::Unknown }
    }

    fn begin(&mut self) -> Result<(), Stop> {
        loop {
            let chunk = self.reader.fill_buf()?;
            let Some(&byte) = chunk.first() else {
                self.form = Form::Over;
                return Ok(());
            };
            match byte {
                b'[' => {
                    self.form = Form::List;
                    self.skip(1, 0);
                    return Ok(());
                }
                _ if byte.is_ascii_whitespace() || self.at < 3 && [0xef, 0xbb, 0xbf].contains(&byte) => {
                    self.skip(1, u64::from(byte == b'\n'));
                }
                _ => {
                    self.form = Form::Lines;
                    return Ok(());
                }
            }
        }
    }

    fn skip(&mut self, bytes: usize, lines: u64) {
        self.reader.consume(bytes);
        self.at += bytes as u64;
        self.line += lines;
    }

    fn next_line(&mut self) -> Result<Option<Text>, Stop> {
        loop {
            let mut bytes = Vec::new();
            let (start, line) = (self.at, self.line + 1);
            let read = std::io::Read::take(&mut self.reader, MAX_ROW as u64).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                self.form = Form::Over;
                return Ok(None);
            }
            self.at += read as u64;
            self.line += 1;
            if read == MAX_ROW {
                return Err(Stop::Form(format!("line {line}: longer than {} MiB", MAX_ROW >> 20)));
            }
            let lead = bytes.iter().take_while(|b| b.is_ascii_whitespace()).count();
            if lead == bytes.len() {
                continue;
            }
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            bytes.drain(..lead);
            let start = start + lead as u64;
            return Ok(Some(Text { at: start..start + bytes.len() as u64, line, bytes }));
        }
    }

    fn next_object(&mut self) -> Result<Option<Text>, Stop> {
        let (mut depth, mut text, mut escaped) = (0_usize, false, false);
        let (mut start, mut first) = (0, 0);
        let mut bytes = Vec::new();
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Err(Stop::Form("the list has no end; is the file complete?".to_owned()));
            }
            let (mut used, mut lines, mut kept) = (0, 0, if depth > 0 { Some(0) } else { None });
            let mut done = None;
            for &byte in chunk {
                used += 1;
                lines += u64::from(byte == b'\n');
                if text {
                    text = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                    continue;
                }
                match byte {
                    b'"' if depth > 0 => text = true,
                    b'{' | b'[' => {
                        if depth == 0 {
                            if byte == b'[' {
                                done = Some(Err(self.line + lines + 1));
                                break;
                            }
                            (start, first) = (self.at + used as u64 - 1, self.line + lines + 1);
                            kept = Some(used - 1);
                        }
                        depth += 1;
                    }
                    b']' if depth == 0 => {
                        done = Some(Ok(false));
                        break;
                    }
                    b'}' | b']' if depth > 0 => {
                        depth -= 1;
                        if depth == 0 {
                            done = Some(Ok(true));
                            break;
                        }
                    }
                    b',' if depth == 0 => {}
                    _ if depth > 0 || byte.is_ascii_whitespace() => {}
                    _ => {
                        done = Some(Err(self.line + lines + 1));
                        break;
                    }
                }
            }
            if let Some(kept) = kept {
                bytes.extend_from_slice(&chunk[kept..used]);
            }
            self.skip(used, lines);
            match done {
                None if bytes.len() > MAX_ROW => {
                    return Err(Stop::Form(format!("line {first}: longer than {} MiB", MAX_ROW >> 20)));
                }
                None => {}
                Some(Ok(true)) => return Ok(Some(Text { at: start..self.at, line: first, bytes })),
                Some(Ok(false)) => return self.after_list().map(|()| None),
                Some(Err(line)) => {
                    return Err(Stop::Form(format!("line {line}: a list of JSON objects is expected")));
                }
            }
        }
    }

    fn after_list(&mut self) -> Result<(), Stop> {
        self.form = Form::Over;
        loop {
            let Some(&byte) = self.reader.fill_buf()?.first() else { return Ok(()) };
            if !byte.is_ascii_whitespace() {
                let line = self.line + 1;
                return Err(Stop::Form(format!("line {line}: something follows the end of the list")));
            }
            self.skip(1, u64::from(byte == b'\n'));
        }
    }
}

impl<R: BufRead> Iterator for Texts<R> {
    type Item = Result<Text, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut step = || {
            if self.form == Form::Unknown {
                self.begin()?;
            }
            match self.form {
                Form::Lines => self.next_line(),
                Form::List => self.next_object(),
                Form::Unknown | Form::Over => Ok(None),
            }
        };
        let out = step().transpose();
        if matches!(out, Some(Err(_))) {
            self.form = Form::Over;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and text of each record, whatever the size of the reader's buffer.
    fn records(text: &str) -> Result<Vec<(u64, String)>, String> {
        let read = |buffer: usize| {
            let reader = std::io::BufReader::with_capacity(buffer, text.as_bytes());
            let mut out = Vec::new();
            for record in Texts::new(reader) {
                match record {
                    Ok(record) => {
                        let (start, end) = (record.at.start as usize, record.at.end as usize);
                        assert_eq!(&text.as_bytes()[start..end], record.bytes, "{buffer}");
                        out.push((record.line, String::from_utf8(record.bytes).unwrap()));
                    }
                    Err(Stop::Form(message)) => return Err(message),
                    Err(Stop::Io(error)) => return Err(error.to_string()),
                }
            }
            Ok(out)
        };
        let whole = read(1 << 16);
        for buffer in [1, 2, 3, 7] {
            assert_eq!(read(buffer), whole, "{buffer}: {text:?}");
        }
        whole
    }

    #[track_caller]
    fn check(text: &str, expected: &[(u64, &str)]) {
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
        check("", &[]);
        check("\n[{}]", &[(2, "{}")]);
        check("\u{feff}{}\nnonsense\n{}", &[(1, "{}"), (2, "nonsense"), (3, "{}")]);
        check("{\"é\":1}\r\n", &[(1, "{\"é\":1}\r")]);
    }

    #[test]
    fn what_is_no_list_is_refused_in_words() {
        for (text, expected) in [
            ("[{\"a\":1}", "the list has no end"),
            ("[", "the list has no end"),
            ("[{\"a\":\"", "the list has no end"),
            ("[1]", "line 1: a list of JSON objects is expected"),
            ("[\n[{}]]", "line 2: a list of JSON objects is expected"),
            ("[{}]\n{}", "line 2: something follows the end of the list"),
        ] {
            let message = records(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
