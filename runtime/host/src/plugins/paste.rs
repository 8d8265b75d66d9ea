//! Commands in messages: what stands there can be pasted into a shell as it is.

use std::path::Path;

/// A path as one word of a shell.
pub(super) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// `zoo plugins VERB NAME`; with a folder that is not searched anyway.
pub(super) fn command(verb: &str, name: &str, folder: Option<&Path>) -> String {
    let named = folder.map_or_else(String::new, |folder| format!(" --plugin-dir {}", word(folder)));
    format!("zoo plugins {verb} {name}{named}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_single_word_is_quoted() {
        for (path, pasted) in [
            ("/a/b-1.so", "/a/b-1.so"),
            ("/my plugins", "'/my plugins'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(word(Path::new(path)), pasted);
        }
    }

    #[test]
    fn a_folder_that_was_named_is_named_again() {
        assert_eq!(command("trust", "toy", None), "zoo plugins trust toy");
        let folder = Path::new("/my plugins");
        assert_eq!(command("trust", "toy", Some(folder)), "zoo plugins trust toy --plugin-dir '/my plugins'");
    }
}
