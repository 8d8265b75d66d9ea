//! What a Parquet file of ours says of itself beyond its schema, so that every value of JSON comes back as it was.

use std::collections::HashSet;

use parquet::file::metadata::KeyValue;

/// Names of columns, from the outside in; `[]` for the values of a list.
pub(super) type Names = Vec<String>;

/// The step from a list to its values.
pub(super) const INSIDE: &str = "[]";

/// Columns whose values are not what they look like.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Marks {
    /// Text of JSON; null where the value is absent.
    pub json: HashSet<Names>,
    /// Null where the value is absent.
    pub absent: HashSet<Names>,
}

const JSON: &str = "zoo.json";
const ABSENT: &str = "zoo.absent";

impl Marks {
    pub fn read(metadata: Option<&Vec<KeyValue>>) -> Result<Self, String> {
        let read = |key: &str| -> Result<HashSet<Names>, String> {
            let entry = metadata.into_iter().flatten().find(|entry| entry.key == key);
            match entry.and_then(|entry| entry.value.as_ref()) {
                None => Ok(HashSet::new()),
                Some(text) => {
                    let names: Vec<Names> =
                        serde_json::from_str(text).map_err(|error| format!("metadata `{key}`: {error}"))?;
                    Ok(names.into_iter().collect())
                }
            }
        };
        Ok(Self { json: read(JSON)?, absent: read(ABSENT)? })
    }

    pub fn write(&self) -> Vec<KeyValue> {
        let entry = |key: &str, names: &HashSet<Names>| {
            let mut names: Vec<&Names> = names.iter().collect();
            names.sort();
            let text = serde_json::Value::from_iter(names.into_iter().cloned());
            (!text.as_array().is_none_or(Vec::is_empty))
                .then(|| KeyValue::new(key.to_owned(), text.to_string()))
        };
        [entry(JSON, &self.json), entry(ABSENT, &self.absent)].into_iter().flatten().collect()
    }
}
