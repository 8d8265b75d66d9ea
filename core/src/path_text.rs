//! Paths as text, without loss. File names of Unix are bytes that need not be UTF-8; JSON, messages and metadata of files
//! are text.

use std::borrow::Cow;
use std::ffi::OsStr;

/// Begins an escaped byte.
const ESCAPE: &str = "\\x";

/// A path, or part of one, as text from which it can be had again.
///
/// A name that is UTF-8 stands as it is, with one exception: the two characters `\x` in it. Otherwise each byte that is
/// no UTF-8 is written `\xHH`, with two capital digits in base 16, and each backslash is `\x5C`. So there is one rule for
/// readers: every `\xHH` stands for the byte HH, as [`path_bytes`] does it.
///
/// ```
/// use zoo_core::{path_bytes, path_text};
/// assert_eq!(path_text("photos/été.jpg"), "photos/été.jpg");
/// # #[cfg(unix)] {
/// use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
/// let latin = OsStr::from_bytes(b"caf\xe9.jpg");
/// assert_eq!(path_text(latin), r"caf\xE9.jpg");
/// assert_eq!(path_bytes(r"caf\xE9.jpg"), b"caf\xe9.jpg");
/// # }
/// ```
///
/// Elsewhere than on Unix the bytes are those of [`OsStr::as_encoded_bytes`].
pub fn path_text<P: AsRef<OsStr> + ?Sized>(path: &P) -> Cow<'_, str> {
    let path = path.as_ref();
    match path.to_str() {
        Some(text) if !text.contains(ESCAPE) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(path.as_encoded_bytes())),
    }
}

/// The bytes of the path that [`path_text`] gave as `text`; on Unix `OsString::from_vec` makes the path of them. An
/// escape that is none stays as it is.
pub fn path_bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split(ESCAPE);
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        // A sign is taken for a number, and is no digit.
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend([ESCAPE, part].concat().bytes()),
        }
    }
    bytes
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        out.push_str(&chunk.valid().replace('\\', "\\x5C"));
        for byte in chunk.invalid() {
            out.push_str(&format!("{ESCAPE}{byte:02X}"));
        }
    }
    out
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], text: &str) {
        assert_eq!(path_text(OsStr::from_bytes(bytes)), text);
        assert_eq!(OsString::from_vec(path_bytes(text)).as_bytes(), bytes, "{text}");
    }

    #[test]
    fn names_are_read_back_as_they_were() {
        check(b"a/b c.png", "a/b c.png");
        check("\u{e9}t\u{e9}.png".as_bytes(), "\u{e9}t\u{e9}.png");
        check(b"caf\xe9.png", r"caf\xE9.png");
        check(b"\xff\xfe", r"\xFF\xFE");
        // A backslash is escaped only where something is.
        check(br"a\b", r"a\b");
        check(b"a\\b\xe9", r"a\x5Cb\xE9");
        check(br"a\xE9", r"a\x5CxE9");
        check(br"a\\x", r"a\x5C\x5Cx");
        // Cut within a character.
        check(b"\xe2\x82.png", r"\xE2\x82.png");
        check(b"line\nbreak", "line\nbreak");
    }

    #[test]
    fn no_two_names_share_a_text() {
        let bytes = [b'\\', b'x', b'E', b'9', 0xe9, b'5', b'C'];
        let mut texts = std::collections::HashMap::new();
        let words = (0..7_usize.pow(4)).map(|n| (0..4).map(|i| bytes[n / 7_usize.pow(i) % 7]).collect());
        for word in words.collect::<Vec<Vec<u8>>>() {
            let text = path_text(OsStr::from_bytes(&word)).into_owned();
            assert_eq!(path_bytes(&text), word, "{text}");
            assert_eq!(texts.insert(text, word.clone()), None, "{word:?}");
        }
    }

    #[test]
    fn an_escape_that_is_none_stays() {
        for text in [r"\x", r"\xZZ", r"\x+5", r"a\x5", "\\x\u{e9}\u{e9}"] {
            assert_eq!(path_bytes(text), text.as_bytes());
        }
    }
}
