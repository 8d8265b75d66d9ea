//! What `encode` and `view` share: opening an encoder or an ensemble, and what is recorded about it.

use std::path::Path;

use serde_json::{Map, Value, json};
use zoo_core::sdk::DeviceName;
use zoo_host::{
    Encoded, EncoderRequest, EncoderSession, EnsembleOutput, EnsembleRequest, EnsembleSession, Zoo,
};
use zoo_preprocess::{DecodeOptions, Orientation};

use crate::args::{OrientationArgs, PixelArgs, Subject};
use crate::output::Metadata;
use crate::report::CliError;

/// What looks at images.
pub(super) enum Session {
    /// One encoder.
    Encoder(Box<EncoderSession>),
    /// Several, and maybe a connector.
    Ensemble(Box<EnsembleSession>),
}

impl Session {
    /// Opens plugin and weights.
    pub fn open(zoo: &Zoo, subject: &Subject, prefix: bool) -> Result<Self, CliError> {
        let options = &subject.options;
        match (&subject.encoder, &subject.ensemble) {
            (Some(id), _) => {
                let request = EncoderRequest {
                    id: id.clone(),
                    weights: subject.weights.clone(),
                    arch_override: options.arch_override.as_deref().map(arch_override).transpose()?,
                    layers: (!options.layer.is_empty()).then(|| options.layer.clone()),
                    norm: options.norm(),
                    prefix,
                    tokens: options.tokens,
                    resolution: options.resolution,
                };
                Ok(Self::Encoder(Box::new(zoo.encoder(&request)?)))
            }
            (None, Some(id)) => {
                let request = EnsembleRequest { weights: subject.weights.clone(), features_only: false };
                Ok(Self::Ensemble(Box::new(zoo.ensemble(id, &request)?)))
            }
            (None, None) => Err(CliError::Usage("one of --encoder and --ensemble is needed".into())),
        }
    }

    /// Registry id.
    pub fn id(&self) -> &str {
        match self {
            Self::Encoder(encoder) => encoder.id(),
            Self::Ensemble(ensemble) => ensemble.id(),
        }
    }

    /// Whether any of its weights were never trained.
    pub fn untrained(&self) -> bool {
        match self {
            Self::Encoder(encoder) => encoder.untrained(),
            Self::Ensemble(ensemble) => ensemble.untrained(),
        }
    }

    /// How the images that it looks at are decoded.
    pub fn decode_options(&self, pixels: &PixelArgs) -> DecodeOptions {
        let reduce_for = match self {
            Self::Encoder(encoder) => encoder.decode_options().reduce_for,
            Self::Ensemble(ensemble) => ensemble.decode_options().reduce_for,
        };
        DecodeOptions { reduce_for, ..decode_options(&pixels.orientation) }
    }

    /// The warning that goes with every output of untrained weights.
    pub fn warning(&self) -> Option<String> {
        self.untrained()
            .then(|| format!("{} is UNTRAINED: its weights are random numbers from a fixed seed", self.id()))
    }
}

/// Reads the file of `--arch-override`.
fn arch_override(path: &Path) -> Result<Map<String, Value>, CliError> {
    match zoo_core::json::read(path).map_err(zoo_host::HostError::from)? {
        Value::Object(map) => Ok(map),
        _ => Err(CliError::file(path, "an architecture is a JSON object, such as {\"depth\": 2}")),
    }
}

/// How images are decoded in full.
pub(super) fn decode_options(args: &OrientationArgs) -> DecodeOptions {
    let orientation = if args.upright { Orientation::Upright } else { Orientation::AsStored };
    DecodeOptions { orientation, ..DecodeOptions::default() }
}

/// What is recorded about decoding, whatever the images were.
pub(super) fn pixel_metadata(args: &OrientationArgs) -> Metadata {
    let mut out = Metadata::new();
    out.insert("zoo".into(), env!("CARGO_PKG_VERSION").into());
    out.insert("orientation".into(), json!(decode_options(args).orientation));
    out
}

/// What is recorded as `resize`: whether any image was decoded at a reduced size, not whether that was allowed.
pub(super) fn resize_mode(reduced: bool) -> Value {
    if reduced { "fast" } else { "exact" }.into()
}

/// What is recorded about how things were computed.
pub(super) fn run_metadata(zoo: &Zoo, dtype: zoo_core::Precision) -> Metadata {
    let mut out = Metadata::new();
    out.insert("device".into(), DeviceName::of(zoo.device()).to_string().into());
    out.insert("dtype".into(), json!(dtype));
    out
}

/// What is recorded about one encoder and the map that it gave.
pub(super) fn encoder_metadata(zoo: &Zoo, session: &EncoderSession, seen: &Encoded) -> Metadata {
    let descriptor = session.descriptor();
    let mut out = Metadata::new();
    out.insert("encoder".into(), session.id().into());
    if session.label() != session.id() {
        out.insert("label".into(), session.label().into());
    }
    if let Ok(row) = zoo.registry().encoder(session.id()) {
        out.insert("plugin".into(), super::plugins::signature(zoo, &row.plugin).into());
    }
    out.insert("layers".into(), seen.layers.iter().map(|(layer, _)| *layer).collect());
    out.insert("norm".into(), (session.request().norm && descriptor.final_norm).into());
    out.insert("grid".into(), json!([seen.grid.h, seen.grid.w]));
    if seen.prefix.is_some() {
        out.insert("prefix".into(), json!(descriptor.prefix));
    }
    out.insert("preprocess".into(), json!(session.preprocess()));
    out.insert("untrained".into(), session.untrained().into());
    out
}

/// What is recorded about an ensemble and what it gave.
pub(super) fn ensemble_metadata(zoo: &Zoo, session: &EnsembleSession, seen: &EnsembleOutput) -> Metadata {
    let mut out = Metadata::new();
    out.insert("ensemble".into(), session.id().into());
    let members = session.members().iter().zip(&seen.members);
    out.insert("encoders".into(), members.map(|(m, e)| Value::Object(encoder_metadata(zoo, m, e))).collect());
    if let (Some(descriptor), Some(fused)) = (session.connector_descriptor(), &seen.fused) {
        out.insert("connector".into(), descriptor.id.clone().into());
        if let Ok(row) = zoo.registry().connector(&descriptor.id) {
            out.insert("connector_plugin".into(), super::plugins::signature(zoo, &row.plugin).into());
        }
        out.insert("grid".into(), json!([fused.grid.h, fused.grid.w]));
    }
    out.insert("untrained".into(), session.untrained().into());
    out
}
