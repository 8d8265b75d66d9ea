//! The data set: conversations as LLaVA writes them.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use zoo_records::{Place, Replace, Row, Spot, Value, Writer};

use super::{Asked, Judged, Shown};
use crate::run::Run;
use crate::{Result, files};

/// The name of the data set in the folder of a run.
pub(crate) const NAME: &str = "data.jsonl";

/// Records that were written, and pictures whose answer was dropped by the judge.
pub(crate) fn export(run: &mut Run<'_>) -> Result<(u64, u64)> {
    let path = run.out().join(NAME);
    let place = Place { path: Arc::from(Path::new(NAME)), spot: Spot::Row(0) };
    let mut writer = Writer::create(&path, Replace::Always)?;
    let mut dropped = 0;
    for file in run.made("answers")? {
        let Some(name) = file.file_name() else { continue };
        let asked: Asked = files::read(&file)?;
        if asked.failed.is_some() {
            continue;
        }
        if run.plan.judge {
            let judged = run.out().join("judged").join(name);
            // Not judged yet: the budget ended before.
            if !judged.exists() {
                continue;
            }
            let judged: Judged = files::read(&judged)?;
            if !judged.grounded {
                dropped += 1;
                continue;
            }
        }
        let shown: Shown = files::read(&run.out().join("shown").join(name))?;
        let record = json!({
            "id": shown.id,
            "image": shown.image,
            "conversations": [
                {"from": "human", "value": format!("<image>\n{}", asked.question)},
                {"from": "gpt", "value": asked.answer},
            ],
            "source": "engine",
            "category": "science",
            "field": shown.subject.field,
            "subfield": shown.subject.subfield,
            "topic": shown.subject.topic,
            "page": shown.page,
            "section": shown.section,
            "caption": shown.caption,
            "licence": shown.licence,
            "image_url": shown.image_url,
            "image_licence": shown.image_licence,
            "image_author": shown.image_author,
        });
        let Value::Map(fields) = Value::from(record) else { continue };
        writer.write(&Row::new(place.clone(), Path::new(""), fields))?;
    }
    let records = writer.rows();
    writer.finish()?;
    Ok((records, dropped))
}
