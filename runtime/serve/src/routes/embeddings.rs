//! `POST /v1/embeddings`: one vector a picture.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use zoo_pipeline::look::{mean, to_unit};

use super::input::pictures;
use super::{Body, Json};
use crate::interest::interest;
use crate::looking::Sighting;
use crate::{App, Failure};

/// The request, with OpenAI's names where it has them.
#[derive(Debug, Deserialize)]
pub(super) struct Embed {
    model: Option<String>,
    input: Value,
    #[serde(default)]
    encoding_format: Encoding,
    dimensions: Option<usize>,
    #[serde(default)]
    pooling: Pooling,
    /// Whether vectors have length 1.
    #[serde(default = "yes")]
    normalize: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    /// Little-endian f32.
    Base64,
}

/// Which vector.
#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pooling {
    /// The mean of all patch tokens.
    #[default]
    Mean,
    /// The first prefix token.
    Cls,
}

impl Pooling {
    fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }

    fn of(self, sighting: &Sighting) -> Option<Vec<f32>> {
        let wanted = |name: &str| match self {
            Self::Mean => name == "features" || name == "tokens",
            Self::Cls => name == "prefix",
        };
        let map = sighting.maps.iter().find(|map| wanted(&map.name))?;
        let width = *map.shape.last()?;
        Some(match self {
            Self::Mean => mean(&map.values, width),
            Self::Cls => map.values.get(..width)?.to_vec(),
        })
    }
}

/// Answers it.
pub(super) async fn embeddings(
    State(app): State<Arc<App>>,
    Body(request): Body<Embed>,
) -> Result<Json, Failure> {
    let looker = app.looker(request.model.as_deref())?;
    let (interest, _waiting) = interest();
    let pictures = app.pictures(&pictures(&request.input, "input")?, &interest).await?;
    let seen = looker.look(pictures, &interest).await?;
    let (mut data, mut tokens) = (Vec::new(), 0);
    for (index, sighting) in seen.iter().enumerate() {
        let mut vector = request.pooling.of(sighting).ok_or_else(|| {
            let seen: Vec<&str> = sighting.maps.iter().map(|map| map.name.as_str()).collect();
            let (id, pooling, seen) = (looker.id(), request.pooling.name(), seen.join(", "));
            Failure::request("pooling", format!("`{id}` gives no `{pooling}` of its own; it gives {seen}"))
        })?;
        if let Some(wanted) = request.dimensions.filter(|&wanted| wanted != vector.len()) {
            let has = vector.len();
            let message =
                format!("vectors of `{}` have {has} numbers and cannot be cut to {wanted}", looker.id());
            return Err(Failure::request("dimensions", message));
        }
        if request.normalize {
            to_unit(&mut vector);
        }
        tokens += sighting.maps.iter().filter_map(|map| map.shape.first()).sum::<usize>();
        let embedding = match request.encoding_format {
            Encoding::Float => json!(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
        };
        data.push(json!({ "object": "embedding", "index": index, "embedding": embedding }));
    }
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Ok(Json(json!({ "object": "list", "data": data, "model": looker.id(), "usage": usage })))
}
