//! Tar shards: files with one stem, one behind the other, are a row, as WebDataset writes and reads them.
//!
//! The stem of `a/b.seg.png` is `a/b`, and `seg.png` what follows it. A JSON file is read, and where it is an object
//! its values are those of the row; a text is a column of the name of its extension; everything else is bytes under
//! what stands between stem and extension, or `image` where that is empty and it is a picture, or its extension.

use std::io::Read;

use tar::Header;

use crate::json::MAX_ROW;
use crate::value::BYTES;
use crate::{Value, picture};

/// One file of a row: what follows its stem, and its bytes.
pub(crate) type Part = (String, Vec<u8>);

const BLOCK: u64 = 512;

/// Stem and the rest of a name; nothing for names that no row has.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    (dot > base && dot + 1 < name.len()).then(|| (&name[..dot], &name[dot + 1..]))
}

/// The values of a row.
pub(crate) fn fields(parts: Vec<Part>) -> Result<Vec<(String, Value)>, String> {
    let mut out: Vec<(String, Value)> = Vec::new();
    let mut rest: Vec<Part> = Vec::new();
    for (name, bytes) in parts {
        if name != "json" {
            rest.push((name, bytes));
            continue;
        }
        match Value::parse(&bytes).map_err(|error| format!("`.json`: {error}"))? {
            Value::Map(fields) if out.is_empty() => out = fields,
            Value::Map(_) => return Err("two files of the row are called `.json`".to_owned()),
            other => out.push((name, other)),
        }
    }
    // Bytes that our own writer took out of the JSON go back to where they were.
    out.iter_mut().try_for_each(|(_, value)| fill(value, &mut rest))?;
    for (name, bytes) in rest {
        let (name, value) = part(name, bytes)?;
        match out.iter_mut().find(|(n, _)| *n == name) {
            None => out.push((name, value)),
            // The record names its picture by path, and here it is.
            Some((_, old @ (Value::Text(_) | Value::Null))) if matches!(value, Value::Bytes(_)) => {
                *old = value
            }
            Some(_) => return Err(format!("two values of the row are called `{name}`")),
        }
    }
    Ok(out)
}

fn part(name: String, bytes: Vec<u8>) -> Result<(String, Value), String> {
    let (column, extension) = match name.rsplit_once('.') {
        Some((column, extension)) => (Some(column.to_owned()), extension.to_lowercase()),
        None => (None, name.to_lowercase()),
    };
    Ok(match extension.as_str() {
        "txt" | "text" | "cls" | "caption" | "transcript" => {
            let text = String::from_utf8(bytes).map_err(|_| format!("`.{name}` is not UTF-8"))?;
            (column.unwrap_or(extension), Value::from(text))
        }
        "json" => {
            let value = Value::parse(&bytes).map_err(|error| format!("`.{name}`: {error}"))?;
            (column.unwrap_or(extension), value)
        }
        known if picture::is_extension(known) => {
            (column.unwrap_or_else(|| "image".to_owned()), Value::Bytes(bytes))
        }
        _ => (column.unwrap_or(extension), Value::Bytes(bytes)),
    })
}

/// Replaces `{"$bytes": ".name"}` by the bytes of that file.
fn fill(value: &mut Value, parts: &mut Vec<Part>) -> Result<(), String> {
    if let Value::Map(fields) = value
        && let [(tag, Value::Text(file))] = fields.as_slice()
        && tag == BYTES
        && let Some(file) = file.strip_prefix('.')
    {
        let at = parts.iter().position(|(name, _)| name == file);
        let at = at.ok_or_else(|| format!("`.json` names `.{file}`, which is not in the shard"))?;
        *value = Value::Bytes(parts.remove(at).1);
        return Ok(());
    }
    match value {
        Value::List(list) => list.iter_mut().try_for_each(|value| fill(value, parts)),
        Value::Map(fields) => fields.iter_mut().try_for_each(|(_, value)| fill(value, parts)),
        _ => Ok(()),
    }
}

/// The rows of an archive, one behind the other.
pub(crate) struct Groups<R> {
    reader: R,
    at: u64,
    next: Option<File>,
    over: bool,
}

/// One row: its files.
pub(crate) struct Group {
    /// Where its first header begins.
    pub at: u64,
    pub key: String,
    pub parts: Vec<Part>,
}

struct File {
    at: u64,
    name: String,
    bytes: Vec<u8>,
}

impl<R: Read> Groups<R> {
    /// `at` is where `reader` stands in the archive.
    pub fn new(reader: R, at: u64) -> Self {
        Self { reader, at, next: None, over: false }
    }

    fn group(&mut self) -> Result<Option<Group>, String> {
        let mut group: Option<Group> = None;
        let mut total = 0;
        loop {
            let Some(file) = (match self.next.take() {
                Some(file) => Some(file),
                None => self.file()?,
            }) else {
                return Ok(group);
            };
            let Some((stem, rest)) = split(&file.name) else { continue };
            if group.as_ref().is_some_and(|group| group.key != stem) {
                self.next = Some(file);
                return Ok(group);
            }
            total += file.bytes.len();
            if total > MAX_ROW {
                return Err(format!("the files of `{stem}` have more than {} MiB", MAX_ROW >> 20));
            }
            let part = (rest.to_owned(), file.bytes);
            let new = || Group { at: file.at, key: stem.to_owned(), parts: Vec::new() };
            group.get_or_insert_with(new).parts.push(part);
        }
    }

    /// The next file that is one, with the long names of both traditions.
    fn file(&mut self) -> Result<Option<File>, String> {
        let (mut long, mut pax): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
        let mut first = self.at;
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let mut size = header.entry_size().map_err(|error| error.to_string())?;
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                long = Some(self.data(size, "a name")?);
                continue;
            }
            if kind.is_pax_local_extensions() {
                pax = Some(self.data(size, "a name")?);
                continue;
            }
            let mut name = long.take().unwrap_or_else(|| header.path_bytes().into_owned());
            if let Some(pax) = pax.take() {
                for extension in tar::PaxExtensions::new(&pax) {
                    let extension = extension.map_err(|error| error.to_string())?;
                    match extension.key() {
                        Ok("path") => name = extension.value_bytes().to_vec(),
                        Ok("size") => {
                            let text = extension.value().unwrap_or_default();
                            size = text.parse().map_err(|_| format!("`{text}` is no size of a file"))?;
                        }
                        _ => {}
                    }
                }
            }
            while name.last() == Some(&0) {
                name.pop();
            }
            let name = String::from_utf8(name).map_err(|_| "the name of a file is not UTF-8".to_owned())?;
            if !kind.is_file() {
                self.skip(size)?;
                first = self.at;
                continue;
            }
            let bytes = self.data(size, &name)?;
            let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
            return Ok(Some(File { at: first, name, bytes }));
        }
    }

    /// The next header; nothing at the end, which is an empty block or that of the file.
    fn header(&mut self) -> Result<Option<Header>, String> {
        let mut block = [0; BLOCK as usize];
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.at += filled as u64;
        if filled == 0 || filled == block.len() && block.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        if filled < block.len() {
            return Err("it ends within a header".to_owned());
        }
        let sum = block.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { b.into() });
        let sum: u32 = sum.sum();
        let header = Header::from_byte_slice(&block).clone();
        match header.cksum() {
            Ok(written) if written == sum => Ok(Some(header)),
            _ => Err(format!("there is no header at byte {}", self.at - BLOCK)),
        }
    }

    /// The bytes of a file, and what fills its last block.
    fn data(&mut self, size: u64, name: &str) -> Result<Vec<u8>, String> {
        if size > MAX_ROW as u64 {
            return Err(format!("`{name}` is longer than {} MiB", MAX_ROW >> 20));
        }
        // Not reserved before it is read: a header says what it likes.
        let mut bytes = Vec::new();
        let read =
            (&mut self.reader).take(size).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        self.at += read as u64;
        if (read as u64) < size {
            return Err(format!("it ends within `{name}`"));
        }
        self.skip_fill(size)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> Result<(), String> {
        let read = std::io::copy(&mut (&mut self.reader).take(size), &mut std::io::sink());
        let read = read.map_err(|error| error.to_string())?;
        self.at += read;
        if read < size {
            return Err("it ends within a file".to_owned());
        }
        self.skip_fill(size)
    }

    fn skip_fill(&mut self, size: u64) -> Result<(), String> {
        let fill = (BLOCK - size % BLOCK) % BLOCK;
        let read = std::io::copy(&mut (&mut self.reader).take(fill), &mut std::io::sink());
        self.at += read.map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl<R: Read> Iterator for Groups<R> {
    type Item = Result<Group, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let out = self.group().transpose();
        self.over = !matches!(out, Some(Ok(_)));
        out.map(|group| group.map_err(|message| format!("this is no complete tar archive: {message}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_the_first_dot_of_the_last_part() {
        for (name, expected) in [
            ("a/b.seg.png", Some(("a/b", "seg.png"))),
            ("a.b/c.jpg", Some(("a.b/c", "jpg"))),
            ("000.json", Some(("000", "json"))),
            (".hidden", None),
            ("a/.hidden.jpg", None),
            ("plain", None),
            ("end.", None),
        ] {
            assert_eq!(split(name), expected, "{name}");
        }
    }
}
