//! Which part of a work that many processes share.

use std::str::FromStr;

/// `I/N`: of every `N` shards, the one with number `I`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    pub part: usize,
    /// Of how many.
    pub of: usize,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((part, of)) if part < of => Ok(Self { part, of }),
            _ => Err("write I/N with I from 0 to N - 1, as in 3/16".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_from_nought() {
        assert_eq!("3/16".parse(), Ok(Part { part: 3, of: 16 }));
        for wrong in ["16/16", "3", "a/b", "-1/4", "0/0", ""] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong:?}");
        }
    }
}
