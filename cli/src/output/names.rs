//! One file name per image.

use std::collections::{HashMap, HashSet};

/// File names for inputs of these names: `cat.jpg` becomes `cat.safetensors`. Inputs that differ only in their
/// extension keep it (`cat.jpg.safetensors`), and inputs of the same name are numbered.
pub fn unique(names: &[String], extension: &str) -> Vec<String> {
    let stem = |name: &str| {
        let (folder, file) = name.rsplit_once('/').map_or(("", name), |(folder, file)| (folder, file));
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
        if folder.is_empty() { stem.to_owned() } else { format!("{folder}/{stem}") }
    };
    let mut with_stem: HashMap<String, HashSet<&str>> = HashMap::new();
    for name in names {
        with_stem.entry(stem(name)).or_default().insert(name);
    }
    let mut taken = HashSet::new();
    names
        .iter()
        .map(|name| {
            let stem = stem(name);
            let base =
                if with_stem.get(&stem).is_some_and(|all| all.len() > 1) { name.clone() } else { stem };
            let mut candidate = format!("{base}.{extension}");
            let mut number = 2;
            while !taken.insert(candidate.clone()) {
                candidate = format!("{base}-{number}.{extension}");
                number += 1;
            }
            candidate
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inputs_share_a_file() {
        let names = ["cat.jpg", "dog.png", "dog.jpg", "sub/cat.jpg", "cat.jpg", "noext", "x.tar.gz", ".png"];
        let names: Vec<String> = names.map(str::to_owned).to_vec();
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
        assert_eq!(unique(&names, "st"), expected);
    }
}
