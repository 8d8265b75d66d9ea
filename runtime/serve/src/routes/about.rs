//! What is served here, whether it is well, and a page to try it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use serde_json::{Value, json};

use super::Json;
use crate::{App, Failure};

const PAGE: &str = include_str!("../page.html");

/// `GET /`
pub(super) async fn page() -> Html<&'static str> {
    Html(PAGE)
}

/// `GET /health`: it answers, so it is well.
pub(super) async fn health() -> StatusCode {
    StatusCode::OK
}

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    for looker in &app.lookers {
        app.measures.waiting(looker.id(), looker.waiting());
    }
    if let Some(answerer) = &app.answerer {
        app.measures.waiting(answerer.session().id(), answerer.waiting());
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.measures.text())
}

fn entry(id: &str, kind: &str, since: u64) -> Value {
    json!({ "id": id, "object": "model", "created": since, "owned_by": "zoo", "kind": kind })
}

fn entries(app: &App) -> Vec<Value> {
    let model = app.answerer.iter().map(|answerer| entry(answerer.session().id(), "model", app.since()));
    let lookers = app.lookers.iter().map(|looker| {
        let kind = if looker.eyes().alone().is_some() { "encoder" } else { "ensemble" };
        entry(looker.id(), kind, app.since())
    });
    model.chain(lookers).collect()
}

/// `GET /v1/models`
pub(super) async fn models(State(app): State<Arc<App>>) -> Json {
    Json(json!({ "object": "list", "data": entries(&app) }))
}

/// `GET /v1/models/ID`
pub(super) async fn model(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json, Failure> {
    let all = entries(&app);
    let known: Vec<&str> = all.iter().filter_map(|entry| entry["id"].as_str()).collect();
    match all.iter().find(|entry| entry["id"] == id.as_str()) {
        Some(entry) => Ok(Json(entry.clone())),
        None => Err(Failure::unknown(&id, &known)),
    }
}

/// `GET /info`
pub(super) async fn info(State(app): State<Arc<App>>) -> Json {
    let member = |member: &zoo_host::EncoderSession| {
        let said = member.descriptor();
        json!({
            "id": member.id(), "channels": said.layers.last().map(|layer| layer.channels),
            "side": member.preprocess().size, "untrained": member.untrained(),
        })
    };
    let lookers = app.lookers.iter().map(|looker| {
        let members: Vec<Value> = looker.eyes().members().iter().map(member).collect();
        json!({ "id": looker.id(), "encoders": members, "untrained": looker.eyes().untrained() })
    });
    let model = app.answerer.as_ref().map(|answerer| {
        let session = answerer.session();
        json!({
            "id": session.id(), "template": session.template().name, "untrained": session.untrained(),
            "memory_bytes": session.plan().needed(),
        })
    });
    let limits = &app.limits;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"), "model": model, "encoders": lookers.collect::<Vec<_>>(),
        "limits": {
            "body_bytes": limits.body, "pictures": limits.pictures, "tokens": limits.tokens,
            "pixels": limits.decode.max_pixels, "seconds": limits.patience.as_secs(),
        },
    }))
}

/// Any other path.
pub(super) async fn nowhere(uri: Uri) -> Failure {
    let paths = "/v1/chat/completions, /v1/embeddings, /v1/features, /v1/models, /info, /health, /metrics, /";
    let message = format!("there is no `{}` here; there are {paths}", uri.path());
    Failure { status: StatusCode::NOT_FOUND, ..Failure::request("path", message) }
}

/// Another method than that of the path.
pub(super) async fn otherwise(uri: Uri) -> Failure {
    let message =
        format!("`{}` takes another method: requests that bring something are POST, others GET", uri.path());
    Failure { status: StatusCode::METHOD_NOT_ALLOWED, ..Failure::request("method", message) }
}
