//! The Hub's `resolve` protocol over HTTP.
//!
//! `HEAD {endpoint}/{repo}/resolve/{revision}/{file}` tells commit, entity tag and size in headers of its own
//! (`X-Repo-Commit`, `X-Linked-Etag`, `X-Linked-Size`), because large files answer with a redirect to a storage
//! host that knows none of them. Redirects are followed here, not in the client: on `HEAD` only within the Hub (a
//! renamed repository), and never with the token to another host.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http::{Method, Request, Response, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::retry::{Fault, is_transient};
use crate::settings::Settings;
use crate::{Error, Result, names};

const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which a connection counts as broken; also the longest time in which a cancellation goes unnoticed.
const SILENCE: Duration = Duration::from_secs(20);
const REDIRECTS: usize = 8;
/// The longest list of files that is read.
const MOST_NAMES: u64 = 64 << 20;

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// A model.
    #[default]
    Model,
    /// A data set.
    Dataset,
}

impl Kind {
    /// A repository's name as addresses and pages have it.
    pub(crate) fn of(self, repo: &str) -> String {
        match self {
            Self::Model => repo.to_owned(),
            Self::Dataset => format!("datasets/{repo}"),
        }
    }
}

/// A file of a repository at a revision; the names have been checked.
#[derive(Clone, Copy)]
pub(crate) struct Address<'a> {
    pub(crate) repo: &'a str,
    pub(crate) file: &'a str,
    pub(crate) revision: &'a str,
}

/// What the Hub says of a file before it is downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) commit: String,
    /// Name of the blob: the sha256 of a large file, the git hash of a small one.
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) size: u64,
}

impl Metadata {
    /// The sha256 that the Hub promises, for large files.
    pub(crate) fn sha256(&self) -> Option<&str> {
        names::is_sha256(&self.etag).then_some(&self.etag)
    }
}

/// An open body.
pub(crate) struct Incoming {
    /// Position of its first byte in the file: that asked for, or 0 when the server ignored the range.
    pub(crate) start: u64,
    pub(crate) body: Box<dyn Read>,
}

/// A client of one endpoint.
pub(crate) struct Remote<'a> {
    agent: Agent,
    settings: &'a Settings,
    kind: Kind,
}

/// Whom to trust.
pub(crate) fn tls(settings: &Settings) -> Result<TlsConfig> {
    let roots = match &settings.certificates {
        Some(path) => RootCerts::from(certificates(path)?),
        None => RootCerts::WebPki,
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

impl<'a> Remote<'a> {
    /// Opens no connection yet.
    pub(crate) fn new(settings: &'a Settings, kind: Kind) -> Result<Self> {
        let agent = Agent::config_builder()
            .tls_config(tls(settings)?)
            .http_status_as_error(false)
            .max_redirects(0)
            // Compressed bodies have neither the size nor the ranges of the file.
            .accept_encoding("identity")
            .user_agent(concat!("zoo/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build()
            .new_agent();
        Ok(Self { agent, settings, kind })
    }

    /// Commit, tag and size.
    pub(crate) fn metadata(&self, address: Address<'_>) -> Result<Metadata, Fault> {
        let start = self.url(address, address.revision);
        let mut url = start.clone();
        let (mut commit, mut etag, mut size) = (None, None, None);
        for _ in 0..REDIRECTS {
            let response = self.send(Method::HEAD, &url, 0, false)?;
            let redirect = response.status().is_redirection();
            if !redirect {
                self.check(&response, address, &url)?;
            }
            commit = text(&response, "x-repo-commit").or(commit);
            etag = text(&response, "x-linked-etag")
                .or_else(|| text(&response, "etag").filter(|_| !redirect))
                .map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned())
                .or(etag);
            size = text(&response, "x-linked-size")
                .or_else(|| text(&response, "content-length").filter(|_| !redirect))
                .or(size);
            match text(&response, "location").filter(|_| redirect) {
                Some(location) if same_origin(&url, &absolute(&url, &location)) => {
                    url = absolute(&url, &location)
                }
                _ => break,
            }
        }
        let missing = |header: &str| not_a_hub(&start, format!("there is no usable {header} header"));
        let usable = |value: Option<String>| value.filter(|v| names::is_component(v));
        Ok(Metadata {
            commit: usable(commit).ok_or_else(|| missing("X-Repo-Commit"))?,
            etag: usable(etag).ok_or_else(|| missing("ETag"))?,
            size: size.and_then(|s| s.parse().ok()).ok_or_else(|| missing("Content-Length"))?,
        })
    }

    /// Opens the file from byte `from` on.
    ///
    /// No `If-Range` is sent: the tag of the storage host differs from the Hub's. What guards a resumed file is
    /// that its partial copy is named by its content, that the total of the range is compared, and the hash.
    pub(crate) fn open(&self, address: Address<'_>, meta: &Metadata, from: u64) -> Result<Incoming, Fault> {
        // By commit: a branch could have moved since the HEAD.
        let start = self.url(address, &meta.commit);
        let mut url = start.clone();
        for _ in 0..REDIRECTS {
            let response = self.send(Method::GET, &url, from, true)?;
            if response.status().is_redirection() {
                let Some(location) = text(&response, "location") else { break };
                url = absolute(&url, &location);
                continue;
            }
            self.check(&response, address, &url)?;
            let begins = if response.status().as_u16() == 206 {
                self.range_start(&response, &url, meta.size)?
            } else {
                0
            };
            return Ok(Incoming { start: begins, body: Box::new(response.into_body().into_reader()) });
        }
        Err(not_a_hub(&start, format!("it redirects without end (more than {REDIRECTS} times)")).into())
    }

    fn url(&self, address: Address<'_>, revision: &str) -> String {
        let (revision, file) = (names::escape(revision, false), names::escape(address.file, true));
        format!("{}/{}/resolve/{revision}/{file}", self.settings.endpoint, self.kind.of(address.repo))
    }

    /// What the Hub says of a repository at a revision, with the names of its files: JSON.
    pub(crate) fn about(&self, address: Address<'_>) -> Result<(String, Vec<u8>), Fault> {
        let api = match self.kind {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        };
        let revision = names::escape(address.revision, false);
        let start = format!("{}/api/{api}/{}/revision/{revision}", self.settings.endpoint, address.repo);
        let mut url = start.clone();
        for _ in 0..REDIRECTS {
            let response = self.send(Method::GET, &url, 0, false)?;
            if response.status().is_redirection() {
                let Some(location) = text(&response, "location") else { break };
                url = absolute(&url, &location);
                continue;
            }
            if response.status().as_u16() == 404 && text(&response, "x-error-code").is_none() {
                let (endpoint, repo) = (self.settings.endpoint.clone(), self.kind.of(address.repo));
                return Err(Error::NoRepo { endpoint, repo, token: self.settings.token.is_some() }.into());
            }
            self.check(&response, address, &url)?;
            let mut body = Vec::new();
            let read = response.into_body().into_reader().take(MOST_NAMES).read_to_end(&mut body);
            read.map_err(|error| Fault::network(&url, &ureq::Error::Io(error), true))?;
            return Ok((start, body));
        }
        Err(not_a_hub(&start, format!("it redirects without end (more than {REDIRECTS} times)")).into())
    }

    fn send(&self, method: Method, url: &str, from: u64, connected: bool) -> Result<Response<Body>, Fault> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = &self.settings.token
            && same_origin(url, &self.settings.endpoint)
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        // A URL comes from the endpoint or a redirect; a header that cannot be built comes from the token.
        let request = request.body(()).map_err(|_| match url.parse::<Uri>() {
            Ok(_) => Error::Name {
                what: "token",
                name: String::new(),
                why: "it holds characters that no token has",
            },
            Err(_) => Error::Name { what: "address", name: url.to_owned(), why: "check HF_ENDPOINT" },
        })?;
        self.agent.run(request).map_err(|e| Fault::network(url, &e, connected))
    }

    /// Turns a status that is no success into what it means.
    fn check(&self, response: &Response<Body>, address: Address<'_>, url: &str) -> Result<(), Fault> {
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(());
        }
        let Address { repo, file, revision } = address;
        let (repo, file, revision) = (self.kind.of(repo), file.to_owned(), revision.to_owned());
        let (endpoint, token) = (self.settings.endpoint.clone(), self.settings.token.is_some());
        let on_hub = same_origin(url, &endpoint);
        let code = text(response, "x-error-code").unwrap_or_default();
        Err(Fault::Final(match (code.as_str(), status) {
            ("GatedRepo", _) => Error::Gated { repo, token },
            ("RepoNotFound", _) => Error::NoRepo { endpoint, repo, token },
            ("RevisionNotFound", _) => Error::NoRevision { repo, revision },
            ("EntryNotFound", _) => Error::NoFile { repo, file, revision },
            (_, 404) if on_hub => Error::NoFile { repo, file, revision },
            (_, 401) if on_hub && !token => Error::NoRepo { endpoint, repo, token },
            (_, 403) if on_hub && !token => Error::Gated { repo, token },
            (_, 401 | 403) if on_hub => Error::Token { endpoint, status, repo },
            _ => {
                let error = Error::Status { url: without_query(url), status };
                // 403 of a storage host is an expired link: the next try gets a new one. 416 is the caller's to
                // repair.
                if is_transient(status) || (status == 403 && !on_hub) || status == 416 {
                    let wait =
                        text(response, "retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs);
                    return Err(Fault::Passing { error, wait, progressed: false });
                }
                error
            }
        }))
    }

    /// First byte of a 206, whose total must be the size that the Hub promised.
    fn range_start(&self, response: &Response<Body>, url: &str, size: u64) -> Result<u64, Error> {
        let given = text(response, "content-range").unwrap_or_default();
        let parsed = given.strip_prefix("bytes ").and_then(|range| {
            let (range, total) = range.split_once('/')?;
            Some((range.split_once('-')?.0.parse().ok()?, total))
        });
        match parsed {
            Some((start, total)) if total == "*" || total.parse() == Ok(size) => Ok(start),
            _ => Err(not_a_hub(url, format!("its range is `{given}` of a file of {size} bytes"))),
        }
    }
}

/// The certificates of a PEM file, which replace the built-in ones.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let fault = |why| Error::Certificates { path: path.to_path_buf(), why };
    let text = std::fs::read(path).map_err(Error::io(path))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| fault("it is damaged"))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(fault("it holds no certificate")) } else { Ok(found) }
}

pub(crate) fn not_a_hub(url: &str, why: String) -> Error {
    Error::NotAHub { url: without_query(url), why }
}

fn text(response: &Response<Body>, header: &str) -> Option<String> {
    Some(response.headers().get(header)?.to_str().ok()?.to_owned())
}

/// Signed links carry credentials in their query.
fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

/// `scheme://host:port` of an absolute URL.
fn origin(url: &str) -> &str {
    let path = url.find("://").and_then(|at| url[at + 3..].find('/').map(|slash| at + 3 + slash));
    &url[..path.unwrap_or(url.len())]
}

fn same_origin(a: &str, b: &str) -> bool {
    origin(a).eq_ignore_ascii_case(origin(b))
}

/// A `Location` as an absolute URL.
fn absolute(base: &str, location: &str) -> String {
    if location.starts_with("//") {
        let scheme = base.split("://").next().unwrap_or("https");
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{}{location}", origin(base))
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let folder = base.rsplit_once('/').map_or(base, |(folder, _)| folder);
        format!("{folder}/{location}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let base = "https://hub.example:8443/org/name/resolve/main/f";
        assert_eq!(absolute(base, "/x/y?z"), "https://hub.example:8443/x/y?z");
        assert_eq!(absolute(base, "//cdn.example/x"), "https://cdn.example/x");
        assert_eq!(absolute(base, "http://cdn.example/x"), "http://cdn.example/x");
        assert_eq!(absolute(base, "g"), "https://hub.example:8443/org/name/resolve/main/g");
    }

    #[test]
    fn the_token_stays_with_its_origin() {
        assert!(same_origin("https://hub.example/a", "https://HUB.example"));
        for other in ["http://hub.example/a", "https://hub.example.evil/a", "https://hub.example:81/a"] {
            assert!(!same_origin("https://hub.example/a", other), "{other}");
        }
    }
}
