//! Whether anybody still waits for a result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zoo_core::CallContext;

/// The worker's side: asked before the work, between its blocks, and between two tokens.
#[derive(Debug, Clone)]
pub struct Interest(Arc<AtomicBool>);

/// The client's side: dropped with the request, and with the connection that it came through.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

/// Both sides of one request.
pub fn interest() -> (Interest, Waiting) {
    let lost = Arc::new(AtomicBool::new(false));
    (Interest(Arc::clone(&lost)), Waiting(lost))
}

impl Interest {
    /// Whether nobody waits any more.
    pub fn lost(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Nobody shall wait any more.
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The flag, as generators take it.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// In its scope forward passes end when nobody waits any more.
    pub fn context(&self) -> CallContext {
        CallContext::new().cancelled_by(Arc::clone(&self.0))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
