//! One file name per row.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// File names for the rows of inputs of these names: `cat.jpg` becomes `cat.safetensors`. Inputs that differ only in
/// their extension keep it (`cat.jpg.safetensors`), inputs of the same name are numbered, and so are the rows of an
/// input with several (`cat-0.safetensors`). No two are alike.
pub fn unique(names: &[(&Path, usize)], extension: &str) -> Vec<Vec<PathBuf>> {
    let mut with_stem: HashMap<PathBuf, HashSet<&Path>> = HashMap::new();
    for (name, _) in names {
        with_stem.entry(name.with_extension("")).or_default().insert(name);
    }
    let mut taken = HashSet::new();
    let mut free = |base: &Path| {
        let numbered = (2..).map(|number: usize| with(base, &format!("-{number}.{extension}")));
        let mut all = std::iter::once(with(base, &format!(".{extension}"))).chain(numbered);
        all.find(|name| taken.insert(name.clone())).unwrap_or_default()
    };
    let mut out = Vec::with_capacity(names.len());
    for &(name, rows) in names {
        let stem = name.with_extension("");
        let alone = with_stem.get(&stem).is_none_or(|all| all.len() == 1);
        let base = if alone { stem } else { name.to_path_buf() };
        out.push(match rows {
            1 => vec![free(&base)],
            _ => (0..rows).map(|row| free(&with(&base, &format!("-{row}")))).collect(),
        });
    }
    out
}

fn with(base: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(base);
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[(&str, usize)], expected: &[&str]) {
        let names: Vec<(&Path, usize)> = names.iter().map(|(name, rows)| (Path::new(*name), *rows)).collect();
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(unique(&names, "st").concat(), expected);
    }

    #[test]
    fn no_two_inputs_share_a_file() {
        let names = ["cat.jpg", "dog.png", "dog.jpg", "sub/cat.jpg", "cat.jpg", "noext", "x.tar.gz", ".png"];
        let expected = [
            "cat.st",
            "dog.png.st",
            "dog.jpg.st",
            "sub/cat.st",
            "cat-2.st",
            "noext.st",
            "x.tar.st",
            ".png.st",
        ];
        check(&names.map(|name| (name, 1)), &expected);
    }

    #[test]
    fn rows_are_numbered_and_meet_nobody() {
        check(&[("p.safetensors", 2), ("q.png", 1)], &["p-0.st", "p-1.st", "q.st"]);
        check(&[("p.safetensors", 2), ("p-1.png", 1)], &["p-0.st", "p-1.st", "p-1-2.st"]);
        check(&[("p.safetensors", 0)], &[]);
    }

    #[cfg(unix)]
    #[test]
    fn names_are_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.jpg");
        let expected = std::ffi::OsStr::from_bytes(b"caf\xe9.st");
        assert_eq!(unique(&[(Path::new(name), 1)], "st"), [[Path::new(expected)]]);
    }
}
