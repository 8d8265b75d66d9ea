//! `docs/parity.md`: one section per plugin between markers, each rewritten by that plugin's parity test.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::{BOUND, Outcome};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/parity.md");

/// Replaces or inserts the section of `plugin`, sections being in order of plugin names.
pub(super) fn write(plugin: &str, outcomes: &[Outcome]) -> io::Result<()> {
    update(Path::new(FILE), |page| insert(page, plugin, &section(plugin, outcomes)))
}

/// Rewrites a file under a lock, as several test binaries may run at once; leaves it alone when nothing changes.
fn update(path: &Path, edit: impl FnOnce(&str) -> String) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    let mut old = String::new();
    file.read_to_string(&mut old)?;
    let new = edit(&old);
    if new == old {
        return Ok(());
    }
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(new.as_bytes())
}

fn head() -> String {
    format!(
        "# Parity\n\n\
         Every encoder, connector and language model is compared with an independent Python implementation, on \
         random weights in the public checkpoint layout: class token, positions, layer scale, norms and biases \
         are all random, so that nothing cancels. The last column is `max|Δ| / rms(expected)` in f32 on the CPU; the tests fail \
         above {BOUND:e}.\n\n\
         The tables are written by `cargo test --release --test parity`. The weights, inputs and expected \
         tensors come from the `golden/make.py` of each plugin.\n"
    )
}

fn markers(plugin: &str) -> (String, String) {
    (format!("<!-- begin {plugin} -->\n"), format!("<!-- end {plugin} -->\n"))
}

fn section(plugin: &str, outcomes: &[Outcome]) -> String {
    let (begin, end) = markers(plugin);
    let mut text = format!(
        "{begin}## `{plugin}`\n\n| case | reference | tensor | shape | max\\|Δ\\| / rms |\n|---|---|---|---|---|\n"
    );
    for o in outcomes {
        let shape: Vec<_> = o.shape.iter().map(usize::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {} | {:.0e} |",
            o.case,
            o.reference,
            o.tensor,
            shape.join("×"),
            o.difference.relative()
        );
    }
    text + &end
}

fn insert(page: &str, plugin: &str, section: &str) -> String {
    let mut sections: Vec<(&str, &str)> = Vec::new();
    let mut rest = page;
    while let Some((name, start, end)) = next_section(rest) {
        sections.push((name, &rest[start..end]));
        rest = &rest[end..];
    }
    sections.retain(|(name, _)| *name != plugin);
    sections.push((plugin, section));
    sections.sort_unstable();
    let mut text = head();
    for (_, section) in sections {
        text.push('\n');
        text.push_str(section);
    }
    text
}

/// Name, start and end of the first section of `text`.
fn next_section(text: &str) -> Option<(&str, usize, usize)> {
    let start = text.find("<!-- begin ")?;
    let name = text[start..].strip_prefix("<!-- begin ")?.split_once(" -->")?.0;
    let close = markers(name).1;
    let end = start + text[start..].find(&close)? + close.len();
    Some((name, start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(plugin: &str, body: &str) -> String {
        let (begin, end) = markers(plugin);
        format!("{begin}{body}\n{end}")
    }

    #[test]
    fn sections_are_replaced_and_sorted() {
        let page = insert("", "zebra", &part("zebra", "1 before"));
        let page = insert(&page, "ant", &part("ant", "0 first"));
        let page = insert(&page, "zebra", &part("zebra", "2 after"));
        assert!(!page.contains("1 before"));
        assert!(page.find("0 first").unwrap() < page.find("2 after").unwrap());
        assert!(page.starts_with("# Parity"));
        assert_eq!(insert(&page, "ant", &part("ant", "0 first")), page);
    }
}
