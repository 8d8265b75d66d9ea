//! Ctrl-C ends the answer that is being written; a second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// A flag that Ctrl-C sets from now on, cleared. A second Ctrl-C before it is cleared again ends the program, as
/// reading a long prompt cannot be interrupted.
pub fn flag() -> &'static AtomicBool {
    // Fails only if the handler is there already: from an answer before this one.
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    ASKED.store(false, Ordering::Relaxed);
    &ASKED
}
