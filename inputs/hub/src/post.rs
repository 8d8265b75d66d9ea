//! Asking a server that is not the Hub: a JSON document is posted, and whatever comes back is handed on.
//!
//! It is here because no other crate opens sockets: certificates, proxies and `--offline` hold for it as for downloads.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;

use crate::remote::tls;
use crate::settings::Settings;
use crate::{Error, Result};

const CONNECT: Duration = Duration::from_secs(10);
/// Longer replies are no answers to anything that is asked here.
const MOST: u64 = 64 << 20;

/// A client of servers that answer JSON with JSON.
pub struct Poster {
    agent: Agent,
    offline: bool,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// How long it asks to be left alone, where it says so in seconds.
    pub retry_after: Option<Duration>,
    /// Its words.
    pub body: Vec<u8>,
}

impl Poster {
    /// Opens no connection yet. `patience` is how long one answer may take in all.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub fn new(settings: &Settings, patience: Duration) -> Result<Self> {
        let agent = Agent::config_builder()
            .tls_config(tls(settings)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("zoo/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT.min(patience)))
            .timeout_global(Some(patience))
            .build()
            .new_agent();
        Ok(Self { agent, offline: settings.offline })
    }

    /// Posts `json`, with `token` as the bearer where there is one. Every status is an answer.
    ///
    /// # Errors
    /// [`Error::NotAsked`]; [`Error::NoAnswer`].
    pub fn post(&self, url: &str, token: Option<&str>, json: &str) -> Result<Answer> {
        if self.offline {
            return Err(Error::NotAsked { url: url.to_owned() });
        }
        let mut request = self.agent.post(url).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let failed = |error: ureq::Error| Error::NoAnswer { url: url.to_owned(), why: error.to_string() };
        let mut response = request.send(json).map_err(failed)?;
        let wait =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        let read = response.body_mut().as_reader().take(MOST).read_to_end(&mut body);
        read.map_err(|error| failed(ureq::Error::Io(error)))?;
        Ok(Answer { status: response.status().as_u16(), retry_after: wait.map(Duration::from_secs), body })
    }
}
