//! Conversations about pictures as text alone: what a language model learns to read and write from before it sees anything.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Error, Result};

/// The tag that stands for a picture.
const IMAGE: &str = "<image>";

/// Writes the records of `from` (a JSON list, or one object a line) to `to` without their pictures.
pub(crate) fn without_pictures(from: &Path, to: &Path) -> Result<()> {
    let text = fs::read_to_string(from).map_err(Error::io(from, "cannot read the records"))?;
    let wrong = |e: serde_json::Error| Error::input(from, format!("is no list of records: {e}"));
    let records: Vec<Value> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(&text).map_err(wrong)?,
        false => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.map(serde_json::from_str).collect::<Result<_, _>>().map_err(wrong)?
        }
    };
    let mut out = String::new();
    for mut record in records {
        if let Some(record) = record.as_object_mut() {
            record.remove("image");
        }
        for turn in record["conversations"].as_array_mut().into_iter().flatten() {
            if let Some(value) = turn["value"].as_str().filter(|value| value.contains(IMAGE)) {
                turn["value"] = value.replace(IMAGE, "").trim().into();
            }
        }
        let _ = writeln!(out, "{record}");
    }
    zoo_train::replace(to, out.as_bytes()).map_err(Error::train("language"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_names_of_pictures_go() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["a.json", "b.jsonl"].map(|name| folder.path().join(name));
        let record = r#"{"id":1,"image":"a.png","conversations":[{"from":"human","value":"<image>\nWhat?"},{"from":"gpt","value":"That."}]}"#;
        for text in [format!("{record}\n{record}\n"), format!("[{record},\n{record}]")] {
            fs::write(&from, text).unwrap();
            without_pictures(&from, &to).unwrap();
            let line = r#"{"id":1,"conversations":[{"from":"human","value":"What?"},{"from":"gpt","value":"That."}]}"#;
            assert_eq!(fs::read_to_string(&to).unwrap(), format!("{line}\n{line}\n"));
        }
        fs::write(&from, "nonsense").unwrap();
        assert!(without_pictures(&from, &to).unwrap_err().to_string().contains("a.json"));
    }
}
