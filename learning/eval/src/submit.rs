//! Files for servers that judge.

use serde_json::{Map, Value as Json, json};

use crate::run::Record;
use crate::task::Task;
use crate::{Error, Result};

/// The file of a task's replies in the format of its server; none for a task without one.
///
/// # Errors
/// [`Error::Data`] for an id that is no number where the server wants one.
pub fn submission(task: &Task, records: &[Record]) -> Result<Option<Json>> {
    let Some(spec) = &task.spec.submission else { return Ok(None) };
    let reply = |record: &Record| if spec.lower { record.reply.to_lowercase() } else { record.reply.clone() };
    if spec.map {
        let entries =
            records.iter().map(|record| (format!("{}{}", record.id, spec.id_suffix), reply(record).into()));
        return Ok(Some(Json::Object(entries.collect::<Map<_, _>>())));
    }
    let entry = |record: &Record| -> Result<Json> {
        let id = if spec.number {
            let number: i64 = record.id.parse().map_err(|_| Error::Data {
                task: task.name().into(),
                message: format!("the id `{}` is no number, and its server wants one", record.id),
            })?;
            json!(number)
        } else {
            json!(format!("{}{}", record.id, spec.id_suffix))
        };
        Ok(json!({ spec.id.as_str(): id, spec.answer.as_str(): reply(record) }))
    };
    records.iter().map(entry).collect::<Result<Vec<_>>>().map(|list| Some(Json::Array(list)))
}
