//! A question out of a row.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use zoo_records::{Row, Value};

use super::{Item, Place, existing};
use crate::task::{Metric, Task, written};
use crate::{Error, Result};

/// Turns rows into items.
pub(super) struct Reader<'a> {
    pub(super) task: &'a Task,
}

impl Reader<'_> {
    /// The question of a row, unless it is not asked.
    pub(super) fn item(&self, index: u64, number: u64, mut row: Row) -> Result<Option<Item>> {
        let spec = &self.task.spec;
        for (own, names) in &spec.fields {
            if row.get(own).is_none()
                && let Some(name) = existing(&row, names.all().iter().map(String::as_str))
                && let Some(value) = row.get(name).cloned()
            {
                row.set(own, value);
            }
        }
        let place = row.place().to_string();
        let wrong = |message: String| Error::Input(format!("{place}: {message}"));
        let mut fields: Map<String, Json> =
            row.fields().iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        self.task.derive(&mut fields, number).map_err(wrong)?;
        let options = match &spec.options {
            Some(options) => self.options(options, &row)?,
            None => Vec::new(),
        };
        if !self.task.keeps(&fields, &options, number).map_err(wrong)? {
            return Ok(None);
        }
        let asked = self.task.ask(&fields, &options, number).map_err(wrong)?;
        let kind = match &spec.kind {
            Some(column) => Some(row.text(column)?),
            None => None,
        };
        let target = self.target(&row, options.clone(), kind.clone())?;
        let corrected = self.corrected(&row, &fields, &target)?;
        let id = match spec.id.as_deref().filter(|id| row.get(id).is_some()) {
            Some(id) => row.text(id)?,
            None => number.to_string(),
        };
        let mut columns = BTreeMap::new();
        for column in self.columns() {
            if let Some(value) = fields.get(column).filter(|value| !value.is_null()) {
                columns.insert(column.to_owned(), written(value));
            }
        }
        let picture = self.picture(&row, &fields, number)?;
        let (prompt, suffix) = (asked.prompt, asked.suffix);
        Ok(Some(Item {
            index,
            row: number,
            id,
            place: row.place().to_string(),
            prompt,
            suffix,
            target,
            corrected,
            columns,
            max_new_tokens: spec.generation.max_new_tokens,
            picture,
        }))
    }

    fn picture(&self, row: &Row, fields: &Map<String, Json>, number: u64) -> Result<Place> {
        let Some(image) = &self.task.spec.image else { return Ok(Place::None) };
        if image.path.is_some() {
            let path = self.task.picture_path(fields, number);
            return path.map(Place::Path).map_err(|m| Error::Input(format!("{}: {m}", row.place())));
        }
        let column = image.column.as_deref().unwrap_or("image");
        let absent = match row.get(column) {
            None | Some(Value::Null) => true,
            Some(Value::List(list)) => list.is_empty(),
            Some(_) => false,
        };
        match (absent, image.optional, &image.join) {
            (true, true, _) => Ok(Place::None),
            (true, false, _) => Err(row.wrong(column, "there is no picture").into()),
            (false, _, Some(_)) => Ok(Place::Joined(row.text(column)?)),
            (false, _, None) => Ok(Place::Row),
        }
    }

    /// The columns that scores are given by.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let spec = &self.task.spec;
        let of_metric: Vec<&str> = match &spec.metric {
            Metric::Accuracy | Metric::Submission => Vec::new(),
            Metric::GroupMean { by } | Metric::Pairs { by } => vec![by],
            Metric::CvBench { source, task } => vec![source, task],
            Metric::Mme { category, image, .. } => vec![category, image],
            Metric::Circular { by, by_number } => {
                let both = std::iter::once(by).chain(by_number);
                both.flat_map(|by| by.columns.iter().chain(by.modulo.as_ref().map(|(column, _)| column)))
                    .map(String::as_str)
                    .collect()
            }
        };
        spec.groups.iter().map(String::as_str).chain(of_metric)
    }
}

/// A value as templates see it: pictures are only there or not.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bytes(_) => Json::String("<bytes>".into()),
        Value::List(list) => list.iter().map(plain).collect(),
        Value::Map(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        other => other.to_json(),
    }
}
