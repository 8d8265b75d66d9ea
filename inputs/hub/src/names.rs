//! Names that come from a registry, a user or a server, and end up in URLs and paths.

use crate::{Error, Result};

/// `org/name` or, for a few old repositories, `name`.
pub(crate) fn repo(name: &str) -> Result<()> {
    let parts: Vec<&str> = name.split('/').collect();
    let legal = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !part.starts_with(['.', '-'])
            && !part.contains("--")
    };
    if parts.len() > 2 || !parts.iter().all(legal) {
        return Err(bad(
            "repository",
            name,
            "expected `organisation/name` of letters, digits, `-`, `_`, `.`",
        ));
    }
    Ok(())
}

/// A path inside a repository: relative, forward slashes, never upwards.
pub(crate) fn file(name: &str) -> Result<()> {
    relative("file name", name)
}

/// A branch, tag or commit; a branch may contain slashes (`refs/pr/1`).
pub(crate) fn revision(name: &str) -> Result<()> {
    relative("revision", name)
}

/// A name sent by a server that becomes one component of a path: a commit or an entity tag.
pub(crate) fn is_component(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.starts_with('.')
}

/// A full commit hash, which names a snapshot for good.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A sha256 in hex.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Percent-encodes what a URL path may not hold; `keep_slash` for file paths, not for revisions.
pub(crate) fn escape(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn relative(what: &'static str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(bad(what, name, "it is empty"));
    }
    if name.contains(['\\', ':', '\0']) || name.chars().any(char::is_control) {
        return Err(bad(what, name, "backslashes, colons and control characters are not allowed"));
    }
    if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(bad(what, name, "expected a relative path without `.`, `..` or empty parts"));
    }
    Ok(())
}

fn bad(what: &'static str, name: &str, why: &'static str) -> Error {
    Error::Name { what, name: name.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_cache_are_refused() {
        for name in ["", "../x", "a/../b", "/etc/passwd", "a//b", "a\\b", "C:x", "a/.", "a\nb"] {
            assert!(file(name).is_err(), "{name:?}");
            assert!(revision(name).is_err(), "{name:?}");
        }
        for name in ["", "..", "a/b/c", "a/..", ".a/b", "a--b/c", "a b/c", "a/"] {
            assert!(repo(name).is_err(), "{name:?}");
        }
        for name in ["", "..", "../../x", "a/b", "a\"b"] {
            assert!(!is_component(name), "{name:?}");
        }
    }

    #[test]
    fn names_in_use_are_accepted() {
        for name in ["gpt2", "timm/vit_base_patch16_224.augreg", "laion/CLIP-convnext_xxlarge-laion2B-s34B"] {
            assert!(repo(name).is_ok(), "{name}");
        }
        assert!(file("unet/diffusion_pytorch_model-00001-of-00002.safetensors").is_ok());
        assert!(revision("refs/pr/1").is_ok());
    }

    #[test]
    fn escaping_keeps_the_slash_only_in_files() {
        assert_eq!(escape("a b/c#d", true), "a%20b/c%23d");
        assert_eq!(escape("refs/pr/1", false), "refs%2Fpr%2F1");
    }
}
