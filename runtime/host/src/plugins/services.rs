//! What this host offers to plugins: its log and its thread budget.

use std::panic::{AssertUnwindSafe, catch_unwind};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RStr;
use tracing::Level;
use zoo_abi::{HostServices, HostServicesRef, level};
use zoo_core::sdk::SPEAKER;

/// The target of everything that plugins log; the field `plugin` is who speaks, `from` the target in the plugin.
pub const LOG_TARGET: &str = "zoo::plugin";

const TABLE: &WithMetadata<HostServices> =
    &WithMetadata::new(HostServices { log, log_enabled, progress, thread_budget, alloc_hint, step });

pub(super) fn services() -> HostServicesRef {
    HostServicesRef(TABLE.static_as_prefix())
}

/// A subscriber of the application may panic; nothing may unwind into a plugin.
fn contained<T: Default>(f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_default()
}

extern "C" fn log(l: u32, target: RStr<'_>, message: RStr<'_>) {
    let (target, message) = (target.as_str(), message.as_str());
    // Plugins of an older kit do not say their name; the crate that speaks comes nearest to it.
    let (plugin, from) =
        target.split_once(SPEAKER).unwrap_or_else(|| (target.split("::").next().unwrap_or_default(), target));
    contained(|| match l {
        level::ERROR => tracing::event!(target: LOG_TARGET, Level::ERROR, plugin, from, "{message}"),
        level::WARN => tracing::event!(target: LOG_TARGET, Level::WARN, plugin, from, "{message}"),
        level::INFO => tracing::event!(target: LOG_TARGET, Level::INFO, plugin, from, "{message}"),
        level::DEBUG => tracing::event!(target: LOG_TARGET, Level::DEBUG, plugin, from, "{message}"),
        _ => tracing::event!(target: LOG_TARGET, Level::TRACE, plugin, from, "{message}"),
    });
}

extern "C" fn log_enabled(l: u32, _target: RStr<'_>) -> bool {
    contained(|| match l {
        level::ERROR => tracing::enabled!(target: LOG_TARGET, Level::ERROR),
        level::WARN => tracing::enabled!(target: LOG_TARGET, Level::WARN),
        level::INFO => tracing::enabled!(target: LOG_TARGET, Level::INFO),
        level::DEBUG => tracing::enabled!(target: LOG_TARGET, Level::DEBUG),
        _ => tracing::enabled!(target: LOG_TARGET, Level::TRACE),
    })
}

extern "C" fn progress(id: RStr<'_>, done: u64, total: u64) {
    let id = id.as_str();
    contained(|| tracing::event!(target: LOG_TARGET, Level::DEBUG, id, done, total, "progress"));
}

extern "C" fn thread_budget() -> u32 {
    contained(|| u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX)).max(1)
}

extern "C" fn step(call: u64, done: u64, total: u64) -> bool {
    contained(|| super::calls::step(call, done, total))
}

extern "C" fn alloc_hint(_bytes: u64) -> bool {
    true
}
