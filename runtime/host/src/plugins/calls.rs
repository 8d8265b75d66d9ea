//! The calls that are under way in plugins, by number, so that the blocks of a pass can be heard of on this side.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use zoo_core::CallContext;

/// A call that somebody listens to; no more once this is dropped.
pub(super) struct Live(u64);

fn live() -> &'static Mutex<HashMap<u64, CallContext>> {
    static LIVE: OnceLock<Mutex<HashMap<u64, CallContext>>> = OnceLock::new();
    LIVE.get_or_init(Mutex::default)
}

impl Live {
    /// Begins a call in this context; none if nobody would listen.
    pub fn begin(context: &CallContext) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if !context.listens() {
            return None;
        }
        let call = NEXT.fetch_add(1, Ordering::Relaxed);
        live().lock().unwrap_or_else(PoisonError::into_inner).insert(call, context.clone());
        Some(Self(call))
    }

    /// Its number, which is never 0.
    pub fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        live().lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Passes on that `done` blocks of `total` of a call are over; whether it goes on. A call that is over goes where it will.
pub(super) fn step(call: u64, done: u64, total: u64) -> bool {
    let context = live().lock().unwrap_or_else(PoisonError::into_inner).get(&call).cloned();
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    context.is_none_or(|context| context.step(size(done), size(total)).is_ok())
}
