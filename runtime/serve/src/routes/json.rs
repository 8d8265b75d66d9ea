//! JSON as an answer. (axum's own asks `serde_json` for more than anybody here needs, and everything that uses it would be
//! built anew.)

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// A document.
#[derive(Debug, Clone)]
pub(crate) struct Json(pub Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0.to_string()).into_response()
    }
}
