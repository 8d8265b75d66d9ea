//! `POST /v1/features`: all that an encoder sees of pictures, as safetensors or JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::pictures;
use super::{Body, Json};
use crate::interest::interest;
use crate::looking::{Map, Sighting};
use crate::{App, Failure};

/// The request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    model: Option<String>,
    input: Value,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Safetensors,
    Json,
}

/// Answers it.
pub(super) async fn features(
    State(app): State<Arc<App>>,
    Body(wanted): Body<Wanted>,
) -> Result<Response, Failure> {
    let looker = app.looker(wanted.model.as_deref())?;
    let (interest, _waiting) = interest();
    let pictures = app.pictures(&pictures(&wanted.input, "input")?, &interest).await?;
    let seen = looker.look(pictures, &interest).await?;
    match wanted.format {
        Format::Json => {
            Ok(Json(json!({ "model": looker.id(), "data": seen.iter().map(shown).collect::<Vec<_>>() }))
                .into_response())
        }
        Format::Safetensors => {
            let kind = [(header::CONTENT_TYPE, "application/vnd.safetensors")];
            Ok((kind, file(looker.id(), &seen)?).into_response())
        }
    }
}

fn shown(sighting: &Sighting) -> Value {
    let map = |map: &Map| {
        let grid = map.grid.map(|(h, w)| [h, w]);
        (map.name.clone(), json!({ "shape": map.shape, "grid": grid, "values": map.values }))
    };
    Value::Object(sighting.maps.iter().map(map).collect())
}

/// The pictures of a request as rows of tensors `[B, …]`, as `zoo encode --out FILE.safetensors` has them.
fn file(id: &str, seen: &[Sighting]) -> Result<Vec<u8>, Failure> {
    let mut joined: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut about: Vec<(String, String)> = vec![("encoder".into(), id.to_owned())];
    for (name, map) in seen.iter().flat_map(|sighting| &sighting.maps).map(|map| (map.name.as_str(), map)) {
        let (_, bytes) = joined.entry(name).or_insert_with(|| {
            if let Some((h, w)) = map.grid {
                about.push((format!("grid.{name}"), format!("{h}x{w}")));
            }
            let shape = std::iter::once(seen.len()).chain(map.shape.iter().copied());
            (shape.collect(), Vec::new())
        });
        bytes.extend(map.values.iter().flat_map(|value| value.to_le_bytes()));
    }
    let views = joined.iter().map(|(name, (shape, bytes))| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*name, view))
    });
    let written = views
        .collect::<Result<Vec<_>, _>>()
        .and_then(|views| safetensors::serialize(views, Some(about.into_iter().collect())));
    written.map_err(|error| Failure::internal(format!("features of `{id}`: {error}")))
}
