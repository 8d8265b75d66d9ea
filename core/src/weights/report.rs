//! The one error about tensors that are not as expected.

use std::fmt;

/// Everything that is wrong with a checkpoint, at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeightsReport {
    /// The files.
    pub files: String,
    /// The layout they were read as.
    pub layout: String,
    /// Names of tensors that are not there.
    pub missing: Vec<String>,
    /// `name: stored shape, expected shape`.
    pub misshapen: Vec<String>,
    /// Names of tensors that nothing asked for.
    pub extra: Vec<String>,
}

impl WeightsReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty() && self.extra.is_empty()
    }
}

impl std::error::Error for WeightsReport {}

impl fmt::Display for WeightsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        write!(
            f,
            "{}: the tensors do not fit the architecture (read as layout `{}`)",
            self.files, self.layout
        )?;
        for (what, names) in
            [("missing", &self.missing), ("wrong shape", &self.misshapen), ("not expected", &self.extra)]
        {
            if names.is_empty() {
                continue;
            }
            write!(f, "\n  {what} ({}):", names.len())?;
            for name in names.iter().take(SHOWN) {
                write!(f, "\n    {name}")?;
            }
            if names.len() > SHOWN {
                write!(f, "\n    … and {} more", names.len() - SHOWN)?;
            }
        }
        write!(
            f,
            "\n  check that the file belongs to this encoder, or state its numbers with --arch-override"
        )
    }
}
