//! From fields to topics.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::fields::Field;
use crate::run::Run;
use crate::{Result, files};

/// Topics of each subfield of a field.
pub(crate) type Topics = BTreeMap<String, Vec<String>>;

pub(crate) fn file(run: &Run<'_>, field: &Field) -> PathBuf {
    run.out().join("topics").join(format!("{}.json", files::named(&field.name)))
}

pub(crate) fn topics(run: &mut Run<'_>, fields: &[Field]) -> Result<()> {
    let system = format!(
        "You plan the contents of an encyclopaedia for teaching. You are given a field of knowledge and its subfields. For \
         every subfield, name {} specific topics that an encyclopaedia has illustrated articles about. Answer with one JSON \
         object and nothing else: its keys are the subfields exactly as given, its values are lists of topics.",
        run.plan.topics
    );
    run.each("topics", fields, |run, field| {
        let path = file(run, field);
        if path.exists() {
            return Ok(());
        }
        let user = serde_json::json!({ "field": field.name, "subfields": field.subfields }).to_string();
        let said = run.ask_json(&system, &user)?;
        let topics: Topics = field
            .subfields
            .iter()
            .map(|subfield| {
                let mut list = Vec::new();
                flatten(of(&said, subfield), &mut list);
                list.truncate(run.plan.topics);
                (subfield.clone(), list)
            })
            .collect();
        if topics.values().all(Vec::is_empty) {
            return Err(run.unusable("no topic of any subfield is in the answer"));
        }
        files::write_json(&path, &topics)
    })
}

/// What an answer has for a subfield; models write names in another case, and put everything under another key.
fn of<'a>(said: &'a Value, subfield: &str) -> Option<&'a Value> {
    let fields = said.as_object()?;
    let found = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(subfield)).map(|(_, value)| value);
    found.or_else(|| fields.values().find_map(|value| of(value, subfield)))
}

/// All texts in a value, each once.
fn flatten(value: Option<&Value>, out: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => {
            // A slash would be a folder elsewhere; two topics in one are searched as such.
            let text = text.trim().replace('/', " or ");
            if !text.is_empty() && !out.contains(&text) {
                out.push(text);
            }
        }
        Some(Value::Array(list)) => list.iter().for_each(|value| flatten(Some(value), out)),
        Some(Value::Object(fields)) => fields.values().for_each(|value| flatten(Some(value), out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn topics_are_found_in_any_nesting() {
        let said = json!({"result": {"OPTICS": [{"topic": "Lenses"}, "Lasers/masers", ["Lenses", " "]]}});
        let mut list = Vec::new();
        flatten(of(&said, "Optics"), &mut list);
        assert_eq!(list, ["Lenses", "Lasers or masers"]);
        assert_eq!(of(&said, "Other"), None);
        assert_eq!(of(&json!([1]), "Optics"), None);
    }
}
