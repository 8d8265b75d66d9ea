//! Paths, and what holds for all of them: the key, the size of bodies, the time that an answer may take, what is counted.

mod about;
mod chat;
mod embeddings;
mod features;
mod input;
mod json;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;

pub(crate) use json::Json;

use crate::{App, Failure};

/// All paths.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/v1/features", post(features::features))
        .route("/v1/models", get(about::models))
        .route("/v1/models/{id}", get(about::model))
        .route("/info", get(about::info))
        .route("/health", get(about::health))
        .route("/metrics", get(about::metrics))
        .route("/", get(about::page))
        .fallback(about::nowhere)
        .method_not_allowed_fallback(about::otherwise)
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(from_fn_with_state(Arc::clone(&app), each))
        .with_state(app)
}

/// What is done around every request.
async fn each(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("elsewhere", MatchedPath::as_str).to_owned();
    let open = matches!(path.as_str(), "/" | "/health");
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
    let response = if open || app.admits(given.as_deref()) {
        let patience = app.limits.patience;
        match tokio::time::timeout(patience, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Failure::late(patience.as_secs()).into_response(),
        }
    } else {
        Failure::key().into_response()
    };
    app.measures.request(&path, response.status().as_u16(), begun.elapsed());
    tracing::debug!(
        path,
        status = response.status().as_u16(),
        seconds = begun.elapsed().as_secs_f64(),
        "answered"
    );
    response
}

/// The body of a request as JSON, whatever type of content it claims to have.
struct Body<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection: BytesRejection| {
            match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Failure::large(app.limits.body),
                _ => Failure::request("body", rejection.body_text()),
            }
        })?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| Failure::request("body", format!("the body of the request: {error}")))
    }
}
