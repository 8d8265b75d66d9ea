//! How an output is made: written beside it, and held against what is there.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zoo_host::Zoo;
use zoo_pipeline::Metadata;
use zoo_pipeline::look::pixel_record;
use zoo_pipeline::write::Setting;
use zoo_preprocess::DecodeOptions;

use crate::error::{Error, Result};
use crate::look::Lookers;
use crate::request::{Existing, Request};
use crate::store::Store;
use crate::table::Layout;

/// Everything that decides the numbers and the form in which they are kept.
pub(crate) fn setting(
    zoo: &Zoo,
    looking: &Lookers<'_>,
    request: &Request,
    decode: &DecodeOptions,
) -> Setting {
    let mut identity = looking.identity();
    identity.insert("element".into(), json!(format!("{:?}", request.element)));
    identity.insert("format".into(), json!(format!("{:?}", request.format)));
    identity.insert(
        "columns".into(),
        json!([request.columns.picture, request.columns.key, request.columns.kept]),
    );
    let mut common = zoo_pipeline::look::run_record(zoo);
    common.extend(pixel_record(decode));
    Setting::new(identity, common)
}

/// The name of the file that says how a folder of outputs is made.
const SETTING: &str = "extract.json";

/// Holds the output's setting against ours, or writes ours.
pub(crate) fn settle(out: &Store, setting: &Setting, existing: Existing) -> Result<()> {
    let ours = json!({ "fingerprint": setting.fingerprint(), "identity": setting.identity() });
    let bytes = || serde_json::to_vec_pretty(&ours).map_err(|_| Error::Internal("a setting is no JSON"));
    if existing == Existing::Replace {
        return out.put(SETTING, bytes()?);
    }
    let there = match out.get(SETTING)? {
        None if out.create(SETTING, bytes()?)? => return Ok(()),
        None => out.get(SETTING)?,
        there => there,
    };
    let there = there.and_then(|(bytes, _)| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default();
    if there["fingerprint"] == ours["fingerprint"] {
        return Ok(());
    }
    let (empty, before) = (serde_json::Map::new(), there["identity"].as_object());
    let (before, now) = (before.unwrap_or(&empty), setting.identity());
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let keys: Vec<&str> =
        keys.into_iter().filter(|key| before.get(*key) != now.get(*key)).map(String::as_str).collect();
    let what = if keys.is_empty() { "its setting cannot be read".to_owned() } else { keys.join(", ") };
    Err(Error::Other { address: out.address(SETTING), what })
}

pub(crate) fn layout(looking: &Lookers<'_>, request: &Request, setting: &Setting) -> Result<Layout> {
    let probe = looking.probe()?;
    let tensors = probe.tensors.into_iter().map(|rows| (rows.name, rows.shape)).collect();
    let mut metadata: Metadata = setting.common.clone();
    metadata.insert("encoders".into(), probe.record.into());
    metadata.insert("kept".into(), request.keep.name().into());
    metadata.insert("untrained".into(), looking.untrained().into());
    let kept = request.columns.kept.clone();
    Ok(Layout { format: request.format, element: request.element, tensors, kept, metadata })
}
