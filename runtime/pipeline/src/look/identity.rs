//! What decides the numbers, so that a run is continued only by its like.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::{EncoderSession, Eyes, EyesRequest, HostError, Zoo};

use crate::Metadata;

/// Of opened encoders: a map, so that what differs can be named.
pub(super) fn of(zoo: &Zoo, request: &EyesRequest, eyes: &Eyes) -> Result<Metadata, HostError> {
    let mut out = super::run_record(zoo);
    if let Some(path) = request.weights() {
        out.insert("weights".into(), files(path));
    }
    match request {
        EyesRequest::Encoder(request) => {
            out.insert("arch_override".into(), json!(request.arch_override));
            out.insert("encoder".into(), eyes.id().into());
            for encoder in eyes.members() {
                out.extend(member(zoo, encoder)?);
            }
        }
        EyesRequest::Ensemble(_) => {
            out.insert("ensemble".into(), json!(zoo.registry().ensemble(eyes.id())?));
            let members = eyes.members().iter().map(|encoder| member(zoo, encoder).map(Value::Object));
            out.insert("members".into(), members.collect::<Result<_, _>>()?);
            if let Some(descriptor) = eyes.connector_descriptor() {
                let row = zoo.registry().connector(&descriptor.id)?;
                out.insert("connector".into(), json!(row));
                out.insert("connector_plugin".into(), zoo.plugins().signature(&row.plugin).into());
            }
        }
    }
    Ok(out)
}

fn member(zoo: &Zoo, encoder: &EncoderSession) -> Result<Metadata, HostError> {
    let row = zoo.registry().encoder(encoder.id())?;
    let mut out = Metadata::new();
    out.insert("row".into(), json!(row));
    out.insert("plugin".into(), zoo.plugins().signature(&row.plugin).into());
    match encoder.embedding() {
        Some(embedding) => out.insert("embedding".into(), json!(embedding)),
        None => out.insert("request".into(), json!(encoder.request())),
    };
    if !encoder.options().values().is_empty() {
        out.insert("options".into(), json!(encoder.options().values()));
    }
    out.insert("tokens".into(), json!(encoder.tokens()));
    out.insert("preprocess".into(), json!(encoder.preprocess()));
    out.insert("reduce_for".into(), json!(encoder.decode_options().reduce_for));
    Ok(out)
}

/// Files of weights as far as a look from outside tells them apart: name, length, and when they were changed. Those of a
/// folder in the order of their names.
fn files(path: &Path) -> Value {
    let Ok(entries) = std::fs::read_dir(path) else { return file(path) };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| file(path)).collect()
}

fn file(path: &Path) -> Value {
    let name = path.file_name().map(path_text);
    let metadata = path.metadata().ok();
    let changed = metadata.as_ref().and_then(|m| m.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    json!([name, metadata.map(|m| m.len()), changed.map(|time| time.as_secs())])
}
