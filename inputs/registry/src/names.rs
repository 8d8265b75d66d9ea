//! Nearest names.

/// Up to three of `candidates` that resemble `name`, the nearest first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    const LIKENESS: f64 = 0.6;
    let name = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let edit = strsim::normalized_damerau_levenshtein(&name, &other);
            // `clip-vit-l` for `clip-vit-l-14-336`: what was left out at the end weighs little.
            let start = if name.len() >= 3 && other.starts_with(&name) { 0.75 } else { 0.0 };
            (edit.max(start), candidate)
        })
        .filter(|(score, _)| *score >= LIKENESS)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// "did you mean …?" or, when nothing is near, a sentence with everything there is, which begins with `what`.
pub fn suggestion<'a>(
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    let near = nearest(name, candidates.clone());
    if let Some(list) = alternatives(&near) {
        return Some(format!("did you mean {list}?"));
    }
    let all: Vec<_> = candidates.into_iter().map(|c| format!("`{c}`")).collect();
    (!all.is_empty()).then(|| format!("{what}: {}", all.join(", ")))
}

/// "`a`, `b` or `c`"; none for none.
pub(crate) fn alternatives(names: &[String]) -> Option<String> {
    let quoted: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
    let (last, others) = quoted.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) })
}
