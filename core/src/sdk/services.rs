//! The plugin's side of what a host offers: its log and its thread budget.

use std::sync::OnceLock;

use abi_stable::std_types::RStr;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use zoo_abi::{HostServicesRef, level};

use crate::CallContext;

/// Set once, by the first `init`.
static HOST: OnceLock<HostServicesRef> = OnceLock::new();

/// Stands between the name of a plugin and what its events are about, where both are told to a host. No path of Rust
/// has it.
pub const SPEAKER: char = '@';

/// Takes the host's services: events of the plugin `name` go to its log, the compute pool keeps to its budget. Further
/// calls change nothing.
pub(super) fn connect(host: HostServicesRef, name: &'static str) {
    if HOST.set(host).is_err() {
        return;
    }
    super::guard::install_hook();
    // Both fail only if the author's own code was faster; then that choice stands.
    let _ = tracing::subscriber::set_global_default(Forward { host, name });
    let threads = host.thread_budget()().max(1) as usize;
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

/// The context of a call of this number: the host is asked between blocks, if it can be and somebody listens.
pub(super) fn context(call: u64, seed: u64) -> CallContext {
    let context = CallContext::new().with_seed(seed);
    match HOST.get().and_then(|host| host.step()) {
        Some(step) if call != 0 => {
            context.watched_by(move |done, total| step(call, done as u64, total as u64))
        }
        _ => context,
    }
}

/// Tells the host how far a long job is. Without effect through the static door.
pub fn progress(id: &str, done: u64, total: u64) {
    if let Some(host) = HOST.get() {
        host.progress()(RStr::from(id), done, total);
    }
}

/// Whether the host has room for an allocation of this many bytes. Always, through the static door.
pub fn may_allocate(bytes: u64) -> bool {
    HOST.get().is_none_or(|host| host.alloc_hint()(bytes))
}

/// Sends every event to the host. Spans are not forwarded.
struct Forward {
    host: HostServicesRef,
    name: &'static str,
}

fn number(l: Level) -> u32 {
    match l {
        Level::ERROR => level::ERROR,
        Level::WARN => level::WARN,
        Level::INFO => level::INFO,
        Level::DEBUG => level::DEBUG,
        Level::TRACE => level::TRACE,
    }
}

impl Subscriber for Forward {
    /// The host may change its mind about levels, so nothing is cached per call site.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && self.host.log_enabled()(number(*metadata.level()), RStr::from(metadata.target()))
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let metadata = event.metadata();
        let target = format!("{}{SPEAKER}{}", self.name, metadata.target());
        self.host.log()(number(*metadata.level()), RStr::from(target.as_str()), RStr::from(line.0.as_str()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// `message key=value key=value`.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        let gap = if self.0.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{gap}{value:?}"),
            name => write!(self.0, "{gap}{name}={value:?}"),
        };
    }
}
