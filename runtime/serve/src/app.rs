//! What is served, and within which limits.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use zoo_preprocess::DecodeOptions;

use crate::Failure;
use crate::answering::Answerer;
use crate::interest::Interest;
use crate::looking::Looker;
use crate::measures::Measures;
use crate::picture::{self, Picture, Written};

/// What a request may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of its body.
    pub body: usize,
    /// Pictures that it brings.
    pub pictures: usize,
    /// Tokens that are written for it.
    pub tokens: usize,
    /// How long it may take until its answer begins.
    pub patience: Duration,
    /// Pictures that are decoded at the same time, of all requests.
    pub decoders: usize,
    /// How pictures are read; the most pixels among it.
    pub decode: DecodeOptions,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            pictures: 64,
            tokens: 2048,
            patience: Duration::from_secs(300),
            decoders: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            decode: DecodeOptions::default(),
        }
    }
}

/// Everything that requests need. One for all of them.
pub struct App {
    /// The model, if one is served.
    pub answerer: Option<Answerer>,
    /// Encoders and ensembles.
    pub lookers: Vec<Looker>,
    /// What a request may cost.
    pub limits: Limits,
    /// What is counted.
    pub measures: Measures,
    key: Option<String>,
    decoding: Arc<Semaphore>,
    since: u64,
}

impl App {
    /// Serves these; requests must bring `key`, where there is one.
    pub fn new(
        answerer: Option<Answerer>,
        lookers: Vec<Looker>,
        limits: Limits,
        measures: Measures,
        key: Option<String>,
    ) -> Self {
        let decoding = Arc::new(Semaphore::new(limits.decoders.max(1)));
        Self { answerer, lookers, limits, measures, key, decoding, since: now() }
    }

    /// Seconds since 1970 at which it was made.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Whether a request with this `Authorization` may come in. How long the comparison takes says nothing of the key.
    pub fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let Some(key) = &self.key else { return true };
        let given = authorization.and_then(|given| given.strip_prefix(b"Bearer ")).unwrap_or_default();
        given.ct_eq(key.as_bytes()).into()
    }

    /// The model, which `name` may name.
    ///
    /// # Errors
    /// [`Failure::unknown`], [`Failure::unnamed`].
    pub fn answerer(&self, name: Option<&str>) -> Result<&Answerer, Failure> {
        match &self.answerer {
            Some(answerer) if name.is_none_or(|name| name == answerer.session().id()) => Ok(answerer),
            Some(answerer) => Err(Failure::unknown(name.unwrap_or_default(), &[answerer.session().id()])),
            None => Err(Failure::unnamed("no model is served here: this server was started with --no-model")),
        }
    }

    /// The encoder or ensemble `name`; without a name the only one.
    ///
    /// # Errors
    /// [`Failure::unknown`], [`Failure::unnamed`].
    pub fn looker(&self, name: Option<&str>) -> Result<&Looker, Failure> {
        let known = || self.lookers.iter().map(Looker::id).collect::<Vec<_>>();
        match (name, self.lookers.as_slice()) {
            (_, []) => Err(Failure::unnamed(
                "no encoder is served here: start this server with --encoder or --ensemble",
            )),
            (None, [only]) => Ok(only),
            (None, _) => Err(Failure::unnamed(format!("name one of {} as `model`", known().join(", ")))),
            (Some(name), all) => {
                let found = all.iter().find(|looker| looker.id() == name);
                found.ok_or_else(|| Failure::unknown(name, &known()))
            }
        }
    }

    /// Decodes the pictures that `texts` hold ([`picture::bytes`]), each with its place in the request.
    ///
    /// # Errors
    /// [`Failure::request`] for the first that cannot be read, or for too many.
    pub async fn pictures(
        &self,
        texts: &[Written<'_>],
        interest: &Interest,
    ) -> Result<Vec<Picture>, Failure> {
        if texts.len() > self.limits.pictures {
            let (given, limit) = (texts.len(), self.limits.pictures);
            return Err(Failure::request(
                "input",
                format!("{given} pictures in one request; {limit} are the most"),
            ));
        }
        let mut pictures = Vec::new();
        for (place, text) in texts {
            let bytes = picture::bytes(text, place)?;
            let turn = Arc::clone(&self.decoding).acquire_owned().await.map_err(|_| Failure::closing())?;
            let (place, options, interest) = (place.clone(), self.limits.decode.clone(), interest.clone());
            let decoded = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                if interest.lost() {
                    Err(Failure::closing())
                } else {
                    picture::decode(&bytes, &place, &options)
                }
            });
            pictures.push(decoded.await.map_err(|error| Failure::internal(error.to_string()))??);
        }
        Ok(pictures)
    }

    /// Takes no work any more; what waits is told so.
    pub fn close(&self) {
        self.answerer.iter().for_each(Answerer::close);
        self.lookers.iter().for_each(Looker::close);
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
