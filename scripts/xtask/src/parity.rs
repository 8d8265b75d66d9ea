//! `docs/parity.md`: made from what the parity tests leave in `target/parity/`, and compared with it.

use std::fs;
use std::path::Path;

use crate::workspace::Workspace;
use crate::{Result, process};

const PAGE: &str = "docs/parity.md";

/// How far apart a figure of the page and one that was measured may be: other processors round otherwise. What the
/// figures may be at all, the tests themselves decide.
const APART: f64 = 5.0;

/// Runs the parity tests of all plugins and writes the page.
pub(crate) fn update(workspace: &Workspace) -> Result<()> {
    let left = workspace.target.join("parity");
    // What was left by a plugin that is no more.
    match fs::remove_dir_all(&left) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {e}", left.display())),
        _ => {}
    }
    process::run(workspace.cargo().args(["test", "--release", "--workspace", "--test", "parity"]))?;
    let page = workspace.root.join(PAGE);
    fs::write(&page, assemble(&left)?).map_err(|e| format!("{}: {e}", page.display()))
}

/// Compares the page with what the last run of the parity tests left.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let page = workspace.root.join(PAGE);
    let page = fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
    let differences = compare(&page, &assemble(&workspace.target.join("parity"))?);
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{PAGE} is not what the parity tests find; `cargo xtask parity` writes it\n{}",
        differences.join("\n")
    ))
}

/// The page: its head, then one section per plugin.
fn assemble(folder: &Path) -> Result<String> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).map_err(|e| format!("{name}: {e}"));
    let missing =
        |e| format!("{}: {e}; run `cargo test --release --workspace --test parity` first", folder.display());
    let mut page = read("head.md").map_err(missing)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let name = entry.map_err(|e| e.to_string())?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".f32.md").map(str::to_owned));
    }
    names.sort();
    for name in names {
        let (exact, half) = (read(&format!("{name}.f32.md"))?, read(&format!("{name}.half.md"))?);
        page.push_str(&format!("\n## `{name}`\n\n{exact}\n{half}"));
    }
    Ok(page)
}

/// What differs, the first few lines: every word must be the same, figures may be a little apart.
fn compare(page: &str, found: &str) -> Vec<String> {
    let (page, found): (Vec<&str>, Vec<&str>) = (page.lines().collect(), found.lines().collect());
    let none = "(nothing)";
    (0..page.len().max(found.len()))
        .map(|i| (page.get(i).unwrap_or(&none), found.get(i).unwrap_or(&none)))
        .filter(|(page, found)| !same(page, found))
        .take(5)
        .map(|(page, found)| format!("  page:  {page}\n  tests: {found}"))
        .collect()
}

fn same(page: &str, found: &str) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (page.split('|').collect(), found.split('|').collect());
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a == b || close(a, b))
}

fn close(page: &str, found: &str) -> bool {
    let (Ok(a), Ok(b)) = (page.trim().parse::<f64>(), found.trim().parse::<f64>()) else { return false };
    a > 0.0 && b > 0.0 && a <= b * APART && b <= a * APART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_may_differ_a_little_and_words_not_at_all() {
        for (found, alike) in [
            ("| hf | `layer0` | 2×25×32 | 1e-6 |", true),
            ("| hf | `layer0` | 2×25×32 | 4e-6 |", true),
            ("| hf | `layer0` | 2×25×32 | 2e-7 |", true),
            ("| hf | `layer0` | 2×25×32 | 9e-6 |", false),
            ("| hf | `layer0` | 2×25×32 | NaN |", false),
            ("| hf | `layer0` | 2×25×33 | 1e-6 |", false),
            ("| hf | `layer1` | 2×25×32 | 1e-6 |", false),
            ("", false),
        ] {
            let page = "# Parity\n| hf | `layer0` | 2×25×32 | 1e-6 |\n";
            let differences = compare(page, &format!("# Parity\n{found}\n"));
            assert_eq!(differences.is_empty(), alike, "{found}: {differences:?}");
        }
        assert_eq!(compare("a\n", "a\nb\n"), ["  page:  (nothing)\n  tests: b"]);
    }
}
