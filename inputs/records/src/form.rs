//! Which form a file has.

use std::path::Path;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A list of JSON objects in one file.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values under a heading.
    Csv,
    /// Tab-separated values under a heading.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// A tar archive: files with one stem are one row.
    Tar,
    /// A folder: files with one stem are one row.
    Folder,
}

impl Form {
    /// The form that the name of a file promises, and whether it is compressed by gzip.
    pub fn of(path: &Path) -> Option<(Self, bool)> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let (name, packed) = match name.strip_suffix(".gz") {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let form = match name.rsplit_once('.')?.1 {
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "parquet" if !packed => Self::Parquet,
            "tar" => Self::Tar,
            "tgz" => return Some((Self::Tar, true)),
            _ => return None,
        };
        Some((form, packed))
    }
}
