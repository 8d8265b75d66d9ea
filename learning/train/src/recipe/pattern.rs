//! Patterns of keys.

/// Whether `key` is what `pattern` says, in which each `*` stands for any text, also for none.
pub fn matches(pattern: &str, key: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = key.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, key, expected) in [
            ("*", "model.norm.weight", true),
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a*", "b.a", false),
            ("*norm*", "model.norm.weight", true),
            ("*norm", "model.norm.weight", false),
            ("model.*.weight", "model.layers.0.weight", true),
            ("*a*a", "a", false),
            ("*a*a", "aba", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern} {key}");
        }
    }
}
