//! What is recorded beside features: enough to make them again.

use serde_json::{Value, json};
use zoo_core::sdk::DeviceName;
use zoo_host::{Encoded, EncoderSession, Eyes, Seen, Zoo};
use zoo_preprocess::DecodeOptions;

use crate::Metadata;

/// How things are computed.
pub fn run_record(zoo: &Zoo) -> Metadata {
    let mut out = Metadata::new();
    out.insert("device".into(), DeviceName::of(zoo.device()).to_string().into());
    out.insert("dtype".into(), json!(zoo.precision()));
    out
}

/// How images are decoded, whatever they are.
pub fn pixel_record(options: &DecodeOptions) -> Metadata {
    let mut out = Metadata::new();
    out.insert("zoo".into(), env!("CARGO_PKG_VERSION").into());
    out.insert("orientation".into(), json!(options.orientation));
    // Pixels of damaged images are in the result only where they were let through.
    if options.lenient {
        out.insert("lenient".into(), true.into());
    }
    out
}

/// What is recorded as `resize`: whether any image was decoded at a reduced size, not whether that was allowed.
pub fn resize_mode(reduced: bool) -> Value {
    if reduced { "fast" } else { "exact" }.into()
}

/// One encoder and the map that it gave.
pub(super) fn encoder_record(zoo: &Zoo, session: &EncoderSession, seen: &Encoded) -> Metadata {
    let descriptor = session.descriptor();
    let mut out = Metadata::new();
    out.insert("encoder".into(), session.id().into());
    if session.label() != session.id() {
        out.insert("label".into(), session.label().into());
    }
    if let Ok(row) = zoo.registry().encoder(session.id()) {
        out.insert("plugin".into(), zoo.plugins().signature(&row.plugin).into());
    }
    if !session.options().values().is_empty() {
        out.insert("options".into(), json!(session.options().values()));
    }
    match session.embedding() {
        Some(embedding) => {
            out.insert("embedding".into(), embedding.about.clone().into());
        }
        None => {
            out.insert("layers".into(), seen.layers.iter().map(|(layer, _)| *layer).collect());
            out.insert("norm".into(), (session.request().norm && descriptor.final_norm).into());
            out.insert("grid".into(), json!([seen.grid.h, seen.grid.w]));
        }
    }
    if seen.prefix.is_some() {
        out.insert("prefix".into(), json!(descriptor.prefix));
    }
    out.insert("preprocess".into(), json!(session.preprocess()));
    out.insert("untrained".into(), session.untrained().into());
    out
}

/// An ensemble and what it gave.
pub(super) fn ensemble_record(zoo: &Zoo, eyes: &Eyes, seen: &Seen) -> Metadata {
    let mut out = Metadata::new();
    out.insert("ensemble".into(), eyes.id().into());
    let members = eyes.members().iter().zip(&seen.members);
    let members = members.map(|(member, encoded)| Value::Object(encoder_record(zoo, member, encoded)));
    out.insert("encoders".into(), members.collect());
    if let (Some(descriptor), Some(fused)) = (eyes.connector_descriptor(), &seen.fused) {
        out.insert("connector".into(), descriptor.id.clone().into());
        if let Ok(row) = zoo.registry().connector(&descriptor.id) {
            out.insert("connector_plugin".into(), zoo.plugins().signature(&row.plugin).into());
        }
        out.insert("grid".into(), json!([fused.grid.h, fused.grid.w]));
    }
    out.insert("untrained".into(), eyes.untrained().into());
    out
}
