//! Asking servers: patiently, politely, and never private ones by mistake.

pub(crate) mod address;
pub(crate) mod robots;

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

use zoo_hub::Poster;

use address::PublicOnly;
use robots::Robots;

use crate::plan::Manners;
use crate::{Error, Result};

/// Who asks, as servers see it.
pub(crate) const AGENT: &str = concat!(
    "zoo-data-engine/",
    env!("CARGO_PKG_VERSION"),
    " (research tool; contact the operator of the run)"
);

/// Largest body that is taken.
const MOST: u64 = 64 << 20;

/// Longest wait that a server's `Retry-After` is obeyed for.
const LONGEST: Duration = Duration::from_secs(300);

/// A body, and what the server says that it is.
pub(crate) struct Answer {
    pub bytes: Vec<u8>,
}

/// Whether an address was chosen by the user, or stands in a page of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// By the user.
    Named,
    /// In a page.
    Found,
}

pub(crate) struct Net<'a> {
    manners: &'a Manners,
    stop: &'a AtomicBool,
    named: Agent,
    found: Agent,
    model: Poster,
    last: HashMap<String, Instant>,
    robots: HashMap<String, Robots>,
}

impl<'a> Net<'a> {
    /// Opens no socket yet.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub fn new(manners: &'a Manners, stop: &'a AtomicBool) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect is an address of somebody else's choice: it goes through the same resolver.
            .max_redirects(5)
            .user_agent(AGENT)
            .timeout_connect(Some(manners.silence))
            .timeout_recv_response(Some(manners.silence))
            .timeout_per_read(Some(manners.silence))
            // A proxy would look addresses up by itself, private ones among them.
            .proxy(None)
            .build();
        let connector = DefaultConnector::default();
        let found = match manners.private {
            true => config.clone().new_agent(),
            false => Agent::with_parts(config.clone(), connector, PublicOnly(DefaultResolver::default())),
        };
        let model = Poster::new(&manners.settings, manners.silence);
        let model = model.map_err(|error| Error::Network(error.to_string()))?;
        let (last, robots) = (HashMap::new(), HashMap::new());
        Ok(Self { manners, stop, named: config.new_agent(), found, model, last, robots })
    }

    /// The body behind an address.
    ///
    /// # Errors
    /// [`Error::Remote`] for a server that fails for good; [`Error::Refused`] for a private address, or one that robots.txt
    /// keeps us from, where the address was found in a page.
    pub fn get(&mut self, url: &str, trust: Trust) -> Result<Answer> {
        if trust == Trust::Found {
            self.allowed(url)?;
        }
        self.retry(url, self.manners.pause, |net| {
            let agent = if trust == Trust::Found { &net.found } else { &net.named };
            let request = Request::get(url).body(()).map_err(|error| Fault::last(url, error.to_string()))?;
            read(url, agent.run(request))
        })
    }

    /// The answer of the model to a JSON document. The key goes to the address that the user named, and to no other one
    /// that this one names.
    ///
    /// # Errors
    /// As [`Net::get`]; [`Error::Model`] where the model cannot be asked at all.
    pub fn post(&mut self, url: &str, key: Option<&str>, body: &str, pause: Duration) -> Result<Answer> {
        self.retry(url, pause, |net| {
            let answer = net.model.post(url, key, body).map_err(|error| match error {
                // Which address, and why, without saying the address twice.
                zoo_hub::Error::NoAnswer { why, .. } => Fault { passes: true, ..Fault::model(url, why) },
                other => Fault::model(url, other.to_string()),
            })?;
            let fault = |status| Fault::status(url, status, answer.retry_after, &answer.body);
            match answer.status {
                200..300 => Ok(Answer { bytes: answer.body }),
                status @ (401 | 403) => {
                    Err(Fault::model(url, format!("{}; is the key right?", fault(status).said())))
                }
                404 => Err(Fault::model(
                    url,
                    format!("{}; is the address that of the API, with /v1?", fault(404).said()),
                )),
                status => Err(fault(status)),
            }
        })
    }

    /// Whether robots.txt lets us have an address. A server without one does; one that cannot be asked does not.
    fn allowed(&mut self, url: &str) -> Result<()> {
        let refused = |why: String| Error::Refused { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| refused("this is no address".to_owned()))?;
        let host = match (uri.scheme_str(), uri.authority()) {
            (Some(scheme @ ("http" | "https")), Some(host)) => format!("{scheme}://{host}"),
            _ => return Err(refused("only http and https are asked".to_owned())),
        };
        if !self.robots.contains_key(&host) {
            let asked = self.retry(&format!("{host}/robots.txt"), self.manners.pause, |net| {
                let url = format!("{host}/robots.txt");
                let request =
                    Request::get(&url).body(()).map_err(|error| Fault::last(&url, error.to_string()))?;
                match read(&url, net.found.run(request)) {
                    Err(Fault { status: Some(400..500), passes: false, .. }) => {
                        Ok(Answer { bytes: Vec::new() })
                    }
                    other => other,
                }
            });
            let robots = match asked {
                Ok(answer) => Robots::parse(&String::from_utf8_lossy(&answer.bytes)),
                Err(error @ (Error::Stopped | Error::Offline(_) | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(_) => Robots::closed(),
            };
            self.robots.insert(host.clone(), robots);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        match self.robots.get(&host).is_some_and(|robots| robots.allows(AGENT, path)) {
            true => Ok(()),
            false => Err(refused("robots.txt of the server forbids it".to_owned())),
        }
    }

    /// Asks until there is an answer, or there will be none.
    fn retry(
        &mut self,
        url: &str,
        pause: Duration,
        ask: impl Fn(&Self) -> Result<Answer, Fault>,
    ) -> Result<Answer> {
        if self.manners.settings.offline {
            return Err(Error::Offline(url.to_owned()));
        }
        let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let mut failures = 0;
        loop {
            if let Some(last) = self.last.get(&host) {
                self.wait(pause.saturating_sub(last.elapsed()))?;
            }
            self.wait(Duration::ZERO)?;
            self.last.insert(host.clone(), Instant::now());
            let fault = match ask(self) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            failures += 1;
            if !fault.passes || failures >= self.manners.tries {
                return Err(fault.error);
            }
            let doubled = self.manners.backoff * 2_u32.saturating_pow(failures - 1).min(64);
            self.wait(fault.wait.map_or(doubled, |wait| wait.min(LONGEST)))?;
        }
    }

    /// Waits, unless somebody ends the run.
    pub fn wait(&self, time: Duration) -> Result<()> {
        const SLICE: Duration = Duration::from_millis(50);
        let end = Instant::now() + time;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return Ok(()),
                left => std::thread::sleep(left.min(SLICE)),
            }
        }
    }
}

/// A failed try.
struct Fault {
    error: Error,
    /// Whether trying again may help.
    passes: bool,
    status: Option<u16>,
    wait: Option<Duration>,
}

impl Fault {
    fn last(url: &str, why: String) -> Self {
        Self { error: Error::Remote { url: url.to_owned(), why }, passes: false, status: None, wait: None }
    }

    /// The model cannot be asked.
    fn model(url: &str, why: String) -> Self {
        Self { error: Error::Model { url: url.to_owned(), why }, passes: false, status: None, wait: None }
    }

    /// What the server said, without its address.
    fn said(self) -> String {
        match self.error {
            Error::Remote { why, .. } => why,
            other => other.to_string(),
        }
    }

    /// An answer that is none.
    fn status(url: &str, status: u16, wait: Option<Duration>, body: &[u8]) -> Self {
        let said: String = String::from_utf8_lossy(body).chars().take(200).collect();
        let said = said.trim();
        let why = format!("the server answers {status}{}{said}", if said.is_empty() { "" } else { ": " });
        let passes = matches!(status, 408 | 409 | 425 | 429 | 500..600);
        Self { passes, status: Some(status), wait, ..Self::last(url, why) }
    }
}

fn read(url: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, Fault> {
    let fault = |why: String, passes| Fault { passes, ..Fault::last(url, why) };
    let response = match response {
        Ok(response) => response,
        Err(ureq::Error::Other(why)) if why.is::<address::Private>() => {
            let error = Error::Refused { url: url.to_owned(), why: why.to_string() };
            return Err(Fault { error, passes: false, status: None, wait: None });
        }
        Err(error @ (ureq::Error::HostNotFound | ureq::Error::BadUri(_) | ureq::Error::TooManyRedirects)) => {
            return Err(fault(error.to_string(), false));
        }
        Err(error) => return Err(fault(error.to_string(), true)),
    };
    let status = response.status();
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let wait = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let mut bytes = Vec::new();
    let body = response.into_body().into_reader().take(MOST + 1).read_to_end(&mut bytes);
    if !status.is_success() {
        return Err(Fault::status(url, status.as_u16(), wait, &bytes));
    }
    body.map_err(|error| fault(format!("the answer breaks off: {error}"), true))?;
    if bytes.len() as u64 > MOST {
        return Err(fault(format!("the answer is longer than {} MiB", MOST >> 20), false));
    }
    Ok(Answer { bytes })
}
