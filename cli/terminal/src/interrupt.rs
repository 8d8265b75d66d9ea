//! Signals that tell the program to end: Ctrl-C, TERM, HUP. The first one ends what can be ended in an orderly way, such as
//! an answer that is being written or a long run; a second one, and the first one for everything else, ends the program. No
//! temporary file outlives either.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use zoo_core::CallContext;
use zoo_pipeline::write::remove_temporaries;

/// Exit code of a program that a signal ended.
pub const STOPPED: u8 = 130;

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// From now on a signal ends the program tidily.
pub fn tidy() {
    // Fails only if the handler is there already.
    let _ = ctrlc::set_handler(|| {
        if ends() {
            remove_temporaries();
            std::process::exit(STOPPED.into());
        }
    });
}

/// A signal came: whether it ends the program.
fn ends() -> bool {
    let again = ASKED.swap(true, Ordering::Relaxed);
    again || !WATCHED.load(Ordering::Relaxed)
}

/// Waits for somebody, who may take for ever: a signal then ends the program at once. One that came before was meant for
/// the work before, which is over.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    ASKED.store(false, Ordering::Relaxed);
    let watched = WATCHED.swap(false, Ordering::Relaxed);
    let out = wait();
    WATCHED.store(watched, Ordering::Relaxed);
    out
}

/// The flag that a signal sets from now on. Whoever asks again gets it as it is: a signal that came between two pieces of
/// work, such as two answers, is not lost. A second signal ends the program, whatever goes on.
pub fn flag() -> &'static AtomicBool {
    tidy();
    if !WATCHED.swap(true, Ordering::Relaxed) {
        ASKED.store(false, Ordering::Relaxed);
    }
    &ASKED
}

/// In its scope a forward pass, too, ends between two blocks once [`flag`] is set.
pub fn context() -> CallContext {
    CallContext::new().cancelled_by(ASKED.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, as there is one program.
    #[test]
    fn a_signal_is_heard_by_the_work_that_it_is_meant_for() {
        assert!(ends(), "nobody watches");
        let stop = flag();
        let asked = || stop.load(Ordering::Relaxed);
        assert!(!asked() && context().scope(zoo_core::wanted).is_ok());
        assert!(!ends() && asked(), "the first one is for the work");
        assert!(context().scope(zoo_core::wanted).is_err());
        // Between two answers.
        flag();
        assert!(asked());
        assert!(ends(), "the second one is for the program");
        // Whoever waits for a line is done with the answer before.
        waiting(|| assert!(!asked() && ends()));
        waiting(|| ());
        assert!(!asked() && !ends() && asked());
    }
}
