//! What the server counts, as Prometheus reads it. Names are those of text-embeddings-inference where it has them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What a request asked for, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    path: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: String,
}

/// Counters that all parts share.
#[derive(Clone)]
pub struct Measures {
    registry: Arc<Registry>,
    requests: Family<Request, Counter>,
    seconds: Histogram,
    passes: Family<Named, Histogram>,
    waiting: Family<Named, Gauge>,
    read: Counter<u64, AtomicU64>,
    written: Counter<u64, AtomicU64>,
}

impl Default for Measures {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("te");
        let requests = Family::default();
        registry.register("request", "Requests that are answered, by path and status", requests.clone());
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 18));
        registry.register(
            "request_duration",
            "Seconds from a request to its answer's begin",
            seconds.clone(),
        );
        let passes = Family::new_with_constructor(batches as fn() -> Histogram);
        registry.register("batch_next_size", "Pictures in a pass of an encoder", passes.clone());
        let waiting = Family::default();
        registry.register("queue_size", "Requests that wait", waiting.clone());
        let (read, written) = (Counter::default(), Counter::default());
        registry.register("prompt_tokens", "Positions of prompts that the model has read", read.clone());
        registry.register("generated_tokens", "Tokens that the model has written", written.clone());
        Self { registry: Arc::new(registry), requests, seconds, passes, waiting, read, written }
    }
}

fn batches() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 9))
}

impl Measures {
    /// A request is answered.
    pub fn request(&self, path: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Request { path: path.to_owned(), status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// An encoder looks at so many pictures at once.
    pub fn pass(&self, encoder: &str, pictures: usize) {
        self.passes.get_or_create(&Named { name: encoder.to_owned() }).observe(pictures as f64);
    }

    /// So many wait for `name`.
    pub fn waiting(&self, name: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.get_or_create(&Named { name: name.to_owned() }).set(count);
    }

    /// The model has read and written so many tokens.
    pub fn tokens(&self, read: usize, written: usize) {
        self.read.inc_by(read as u64);
        self.written.inc_by(written as u64);
    }

    /// All of it, in OpenMetrics' text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
