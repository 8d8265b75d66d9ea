//! Recipes of `zoo train` for stages.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::plan::DataPlan;
use crate::read::Study;
use crate::stage::{Kind, Stage, Work};
use crate::{Error, Result};

/// The folder of a model within that of its stage.
pub(crate) const MODEL: &str = "model";

/// Where a stage of training finds what it needs.
pub(crate) struct Places<'a> {
    /// The model from which it starts.
    pub model: &'a Path,
    /// Whether nobody trained that one's connector.
    pub fresh: bool,
    /// Records in place of the study's.
    pub records: Option<&'a Path>,
    /// The drawn world.
    pub world: Option<&'a Path>,
    /// Where what frozen encoders see is kept.
    pub features: &'a Path,
}

/// The recipe of a stage as text, whose `out` is [`MODEL`] beside it.
pub(crate) fn text(study: &Study, stage: &Stage, places: &Places<'_>) -> Result<String> {
    let plan = &study.plan;
    let mut recipe = Map::new();
    let mut set = |key: &str, value: Value| {
        recipe.insert(key.to_owned(), value);
    };
    set("model", json!(places.model));
    set("out", json!(MODEL));
    match (&stage.work, stage.kind) {
        (Work::Language, _) => {
            let language = plan.base.stage.as_ref();
            let language = language.ok_or_else(|| Error::Internal("no stage of text".into()))?;
            if plan.base.new {
                set("llm", json!("new"));
            }
            set("train", json!(["*"]));
            data(study, &mut recipe, &language.data, stage.steps, places)?;
            merge(&mut recipe, &language.recipe);
        }
        (Work::Train { connector, data: from, frozen, seed, .. }, kind) => {
            set("seed", json!(seed));
            if places.fresh {
                set("connector", json!("new"));
                if crate::start::new(study) {
                    set("llm", json!("new"));
                }
            }
            let chosen = plan.connector.iter().find(|plan| plan.id.get_ref() == connector);
            let patterns = match kind {
                Kind::Adapter => json!(chosen.map(|chosen| &chosen.train)),
                _ => json!(["*"]),
            };
            set("train", patterns);
            let list = if kind == Kind::Adapter { &plan.adapter } else { &plan.tune };
            data(study, &mut recipe, from, stage.steps, places)?;
            merge(&mut recipe, &list.recipe);
            if *frozen {
                recipe.insert("features".into(), json!(places.features));
            } else {
                recipe.insert("unfreeze".into(), json!(["*"]));
                merge(&mut recipe, &list.unfrozen);
            }
        }
        _ => return Err(Error::Internal(format!("{}: nothing is trained", stage.name))),
    }
    toml::to_string(&recipe).map_err(|e| Error::Internal(e.to_string()))
}

fn data(
    study: &Study,
    recipe: &mut Map<String, Value>,
    from: &DataPlan,
    steps: usize,
    places: &Places<'_>,
) -> Result<()> {
    let records = from.records.as_deref().unwrap_or_default();
    let row = match places.records {
        Some(records) => json!({ "records": records }),
        None => json!({
            "records": study.path(records, places.world)?,
            "images": study.path(&from.images, places.world)?,
        }),
    };
    recipe.insert("data".into(), json!([row]));
    recipe.insert("steps".into(), json!(steps));
    Ok(())
}

/// Lays `over` over `under`, table by table; lists follow each other.
fn merge(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (Some(Value::Array(under)), Value::Array(over)) => under.extend(over.iter().cloned()),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}
