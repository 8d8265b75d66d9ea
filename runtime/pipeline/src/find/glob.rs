//! Patterns, which stay within a folder unless `**` says otherwise.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use zoo_core::path_text;

use super::walk::{Met, input, walk};
use super::{Contents, FindError, Found};

const WILDCARDS: &[u8] = b"*?[{";

/// Whether a name that is no file may be a pattern.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| WILDCARDS.contains(byte))
}

/// Every file that `pattern` matches, whatever it holds.
pub(super) fn find(pattern: &Path, found: &mut Found) {
    let root = fixed_part(pattern);
    let below = pattern.strip_prefix(&root).unwrap_or(pattern);
    let matcher = match matcher(below) {
        Ok(matcher) => matcher,
        Err(error) => return found.fail(pattern, error),
    };
    let start = if root.as_os_str().is_empty() { Path::new(".") } else { &root };
    if !start.is_dir() {
        return found.fail(pattern, FindError::NoFolder(path_text(start).into_owned()));
    }
    // Without `**` it says how deep it goes, and nothing else need be looked into.
    let depth = if below.to_string_lossy().contains("**") { usize::MAX } else { below.components().count() };
    let before = found.inputs.len();
    walk(start, depth, |below, path, met| match met {
        Met::File if matcher.is_match(below) => {
            found.inputs.push(input(start, below, path, Contents::of(path)));
        }
        Met::Failed(FindError::Dangling) if !matcher.is_match(below) => {}
        Met::Failed(error) => found.fail(path, error),
        Met::File | Met::Passed(_) => {}
    });
    if found.inputs.len() == before {
        found.fail(pattern, FindError::NoMatch);
    }
}

fn matcher(pattern: &Path) -> Result<GlobMatcher, FindError> {
    let text = pattern.to_str().ok_or_else(|| FindError::Pattern("it is not UTF-8".into()))?;
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    Ok(glob.map_err(|e| FindError::Pattern(e.kind().to_string()))?.compile_matcher())
}

/// The leading folders that hold no wildcard.
fn fixed_part(path: &Path) -> PathBuf {
    let plain = |c: &Component<'_>| !is_pattern(Path::new(c.as_os_str()));
    path.components().take_while(plain).collect()
}
