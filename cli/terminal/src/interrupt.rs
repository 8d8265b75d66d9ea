//! Signals that tell the program to end: Ctrl-C, TERM, HUP. The first one ends what can be ended in an orderly way, such as
//! an answer that is being written or a long run; a second one, and the first one for everything else, ends the program. No
//! temporary file outlives either.

use std::sync::atomic::{AtomicBool, Ordering};

use zoo_pipeline::write::remove_temporaries;

/// Exit code of a program that a signal ended.
pub const STOPPED: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// From now on a signal ends the program tidily.
pub fn tidy() {
    // Fails only if the handler is there already.
    let _ = ctrlc::set_handler(|| {
        let again = ASKED.swap(true, Ordering::Relaxed);
        if again || !WATCHED.load(Ordering::Relaxed) {
            remove_temporaries();
            std::process::exit(STOPPED.into());
        }
    });
}

/// Waits for somebody, who may take for ever: a signal then ends the program at once.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    let watched = WATCHED.swap(false, Ordering::Relaxed);
    let out = wait();
    WATCHED.store(watched, Ordering::Relaxed);
    out
}

/// A flag that a signal sets from now on, cleared. A second signal before it is cleared again ends the program, as
/// reading a long prompt cannot be interrupted.
pub fn flag() -> &'static AtomicBool {
    tidy();
    ASKED.store(false, Ordering::Relaxed);
    WATCHED.store(true, Ordering::Relaxed);
    &ASKED
}
