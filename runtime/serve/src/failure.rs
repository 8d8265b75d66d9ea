//! What went wrong with a request, in the form that clients of OpenAI's interface read.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use zoo_host::HostError;

use crate::routes::Json;

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// HTTP's number for it.
    pub status: StatusCode,
    /// What, where, and what to do.
    pub message: String,
    /// The field of the request that is at fault.
    pub param: Option<String>,
    /// Seconds after which it may be tried again.
    pub retry_after: Option<u64>,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, retry_after: None }
    }

    /// The request cannot be meant.
    pub fn request(param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    /// No key, or another.
    pub fn key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "this server wants its key: `Authorization: Bearer KEY`")
    }

    /// There is nothing of this name.
    pub fn unknown(name: &str, known: &[&str]) -> Self {
        let message = format!("`{name}` is not served here; what is: {}", known.join(", "));
        Self { param: Some("model".into()), ..Self::new(StatusCode::NOT_FOUND, message) }
    }

    /// A kind of thing is not served at all, or more than one is and none was named.
    pub fn unnamed(message: impl Into<String>) -> Self {
        Self { param: Some("model".into()), ..Self::new(StatusCode::NOT_FOUND, message) }
    }

    /// The body is larger than the limit.
    pub fn large(limit: usize) -> Self {
        let message = format!("the request is larger than {limit} bytes, which is as much as is read here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// All places of a queue are taken.
    pub fn busy(waiting: usize, seconds: u64) -> Self {
        let message = format!("{waiting} requests wait already; try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// It took longer than the limit.
    pub fn late(seconds: u64) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("no answer within {seconds} s, the limit of this server"),
        )
    }

    /// The server ends.
    pub fn closing() -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "this server is ending") }
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The kind, in OpenAI's words.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// As it is sent.
    pub fn json(&self) -> Value {
        json!({ "error": {
            "message": self.message, "type": self.kind(), "param": self.param, "code": self.status.as_u16(),
        } })
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_cancelled() => Self::closing(),
            HostError::Language(zoo_language::Error::Model(_)) => Self::internal(message),
            HostError::Conversation(_) | HostError::Language(_) => Self::request("messages", message),
            HostError::Image(_) => Self::request("image", message),
            _ => Self::internal(message),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
