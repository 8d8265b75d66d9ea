//! `~` and `$NAME` in folders that the environment names, for those who set them where no shell reads them: in a
//! container's list of variables, in a unit file, in the settings of an editor.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Error, Result};

/// A path from the environment as Python's `expanduser` and then `expandvars` make it, which is how `huggingface_hub`
/// reads its folders: `~` at the start, `$NAME` and `${NAME}` anywhere; a name that is not set stays as it is.
///
/// # Errors
/// [`Error::Name`] for `~` without a home folder and for the home folders of others (`~name`), which only a shell
/// knows.
pub fn expand(value: OsString, lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let text = match value.into_string() {
        Ok(text) => text,
        // Not UTF-8: a name of the system's own making, in which nobody writes variables.
        Err(value) => return Ok(PathBuf::from(value)),
    };
    let fault = |why| Error::Name { what: "folder", name: text.clone(), why };
    let (start, rest) = match text.strip_prefix('~') {
        None => (String::new(), text.as_str()),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = lookup("HOME").or_else(|| lookup("USERPROFILE")).filter(|home| !home.is_empty());
            let home = home.ok_or_else(|| fault("there is no home folder for `~`; write the whole path"))?;
            let home = home
                .into_string()
                .map_err(|_| fault("the home folder is not UTF-8; write the whole path"))?;
            (home.trim_end_matches('/').to_owned(), rest)
        }
        Some(_) => {
            return Err(fault("the home folder of another user is not looked up; write the whole path"));
        }
    };
    Ok(PathBuf::from(start + &variables(rest, lookup)))
}

fn variables(text: &str, lookup: &dyn Fn(&str) -> Option<OsString>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let plain =
            behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        let (name, after) = match behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, after)) => (name, after),
            None => behind.split_at(plain),
        };
        match lookup(name).filter(|_| !name.is_empty()).and_then(|value| value.into_string().ok()) {
            Some(value) => out.push_str(&value),
            None => {
                out.push('$');
                out.push_str(behind.strip_suffix(after).unwrap_or_default());
            }
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(key: &str) -> Option<OsString> {
        let value = match key {
            "HOME" => "/h/",
            "A" => "/a",
            "B_2" => "b$A~",
            _ => return None,
        };
        Some(value.into())
    }

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(expand(value.into(), &lookup).unwrap(), PathBuf::from(expected), "{value}");
    }

    /// What Python 3.11 makes of them, with the same variables.
    #[test]
    fn as_python_does() {
        check("/plain", "/plain");
        check("~", "/h");
        check("~/hf", "/h/hf");
        check("/x/~/hf", "/x/~/hf");
        check("$A/hf", "/a/hf");
        check("${A}hf", "/ahf");
        check("$Ahf", "$Ahf");
        check("~/$A${B_2}$", "/h//ab$A~$");
        check("$NONE/${NONE}/$$A/${A", "$NONE/${NONE}/$/a/${A");
        check("$-", "$-");
        check("${}", "${}");
    }

    #[test]
    fn folders_that_cannot_be_known_are_refused() {
        let refused = |value: &str, lookup| expand(value.into(), lookup).unwrap_err().to_string();
        assert!(refused("~somebody/hf", &lookup).contains("`~somebody/hf`"));
        assert!(refused("~/hf", &|_| None).contains("no home folder"));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_are_kept() {
        use std::os::unix::ffi::OsStringExt;
        let name = OsString::from_vec(b"/caf\xe9/$A".to_vec());
        assert_eq!(expand(name.clone(), &lookup).unwrap(), PathBuf::from(name));
    }
}
