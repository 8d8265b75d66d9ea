//! Names in a file, one a line.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zoo_core::path_text;

/// A list that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot read the list of inputs: {source}", path_text(path))]
pub struct ListError {
    /// The list.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

/// The names in the file at `path`, or on standard input for `-`: one a line, or between zero bytes where there is one
/// (`find -print0`). A name is any bytes; empty lines are none, and neither is what an editor puts before or after a
/// line: a byte order mark, a carriage return.
///
/// # Errors
/// When it cannot be read.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, ListError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|source| ListError { path: path.to_path_buf(), source })?;
    Ok(names(&bytes))
}

fn names(bytes: &[u8]) -> Vec<PathBuf> {
    if bytes.contains(&0) {
        return bytes.split(|&b| b == 0).filter(|name| !name.is_empty()).map(path).collect();
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).map(path).collect()
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[&str]) {
        let read: Vec<String> = names(bytes).iter().map(|name| path_text(name).into_owned()).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_name_is_a_line_or_stands_between_zeros() {
        check(b"", &[]);
        check(b"a.png\nsub/b c.png", &["a.png", "sub/b c.png"]);
        check(b"\xef\xbb\xbfa.png\r\n\r\nb.png\r\n", &["a.png", "b.png"]);
        check(b" a.png \n[b].png\n", &[" a.png ", "[b].png"]);
        check(b"a\nb.png\0c.png\0", &["a\nb.png", "c.png"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_name_is_any_bytes() {
        check(b"caf\xe9.png\n", &[r"caf\xE9.png"]);
    }
}
