//! What the caller of a forward pass wants besides its result: to stop it, to see how far it is, to seed what is random
//! in it, to have what is inside blocks computed twice rather than kept.
//!
//! **The one decision.** It is a scope, not an argument: whoever asks enters it once, blocks look at it between two of
//! them, and nothing in between has to hand it on. Through the dynamic door the scope is entered again on the other
//! side, where the host is asked. A pass that nobody watches pays for a look at a thread-local value per block.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//! use zoo_core::{CallContext, Error, step};
//!
//! let pass = || (0..12).try_for_each(|block| step(block, 12));
//! let stop = Arc::new(AtomicBool::new(true));
//! assert!(pass().is_ok());
//! assert!(matches!(CallContext::new().cancelled_by(stop).scope(pass), Err(Error::Cancelled)));
//! ```

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

/// Told that so many blocks of so many are over; says whether to go on.
type Watch = Arc<dyn Fn(usize, usize) -> bool + Send + Sync>;

/// What belongs to all forward passes that are asked for in its scope. Cheap to clone.
#[derive(Clone, Default)]
pub struct CallContext {
    cancel: Option<Arc<AtomicBool>>,
    watch: Option<Watch>,
    seed: u64,
    recomputes: bool,
}

thread_local! {
    static CURRENT: RefCell<CallContext> = RefCell::default();
}

impl CallContext {
    /// Nobody watches, and the seed is 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes give up with [`Error::Cancelled`] once `flag` is true, at the next block.
    #[must_use]
    pub fn cancelled_by(self, flag: Arc<AtomicBool>) -> Self {
        Self { cancel: Some(flag), ..self }
    }

    /// `watch` is told between blocks how many are over, of how many: those of one group of images, or of one range of a
    /// language model's layers. A pass gives up with [`Error::Cancelled`] when it answers no.
    #[must_use]
    pub fn watched_by(self, watch: impl Fn(usize, usize) -> bool + Send + Sync + 'static) -> Self {
        Self { watch: Some(Arc::new(watch)), ..self }
    }

    /// The seed of whatever is random in a pass. 0 is inference, where nothing is.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether blocks of a pass with gradients keep nothing but their inputs and are computed a second time when their
    /// gradients are: less memory for more arithmetic.
    #[must_use]
    pub fn recomputing(self, recomputes: bool) -> Self {
        Self { recomputes, ..self }
    }

    /// The context of the pass that runs on this thread. Whoever goes on on other threads enters it there.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The seed of whatever is random.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// See [`CallContext::recomputing`].
    #[must_use]
    pub fn recomputes(&self) -> bool {
        self.recomputes
    }

    /// The flag that ends passes, for who can look at it alone.
    #[must_use]
    pub fn cancel(&self) -> Option<&Arc<AtomicBool>> {
        self.cancel.as_ref()
    }

    /// Whether anybody wants to hear of blocks.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.cancel.is_some() || self.watch.is_some()
    }

    /// Does `work` in this context, on this thread. The one before comes back afterwards, after a panic as well.
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        struct Before(CallContext);
        impl Drop for Before {
            fn drop(&mut self) {
                CURRENT.set(std::mem::take(&mut self.0));
            }
        }
        let _before = Before(CURRENT.replace(self.clone()));
        work()
    }

    /// Tells whoever watches that `done` blocks of `total` are over.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the caller has lost interest.
    pub fn step(&self, done: usize, total: usize) -> Result<()> {
        // Who watches may be the one who stops.
        let goes_on =
            !self.stopped() && self.watch.as_ref().is_none_or(|watch| watch(done, total)) && !self.stopped();
        if goes_on { Ok(()) } else { Err(Error::Cancelled) }
    }

    fn stopped(&self) -> bool {
        self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext").field("listens", &self.listens()).field("seed", &self.seed).finish()
    }
}

/// [`CallContext::step`] of the pass that runs on this thread: to be called between two blocks.
///
/// # Errors
/// [`Error::Cancelled`] when the caller has lost interest.
pub fn step(done: usize, total: usize) -> Result<()> {
    let context = CURRENT.with_borrow(|current| current.listens().then(|| current.clone()));
    context.map_or(Ok(()), |context| context.step(done, total))
}

/// Whether what this thread computes is still wanted: to be asked between two pieces of work that are no blocks of one pass,
/// such as two images or two parts that are opened.
///
/// # Errors
/// [`Error::Cancelled`] when the caller has lost interest.
pub fn wanted() -> Result<()> {
    CURRENT.with_borrow(|current| if current.stopped() { Err(Error::Cancelled) } else { Ok(()) })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn scopes_nest_and_end() {
        assert_eq!(CallContext::current().seed(), 0);
        CallContext::new().with_seed(1).scope(|| {
            CallContext::new().with_seed(2).scope(|| assert_eq!(CallContext::current().seed(), 2));
            let panics = || CallContext::new().with_seed(3).scope(|| panic!("inside"));
            assert!(std::panic::catch_unwind(panics).is_err());
            assert_eq!(CallContext::current().seed(), 1);
            std::thread::scope(|s| s.spawn(|| assert_eq!(CallContext::current().seed(), 0)).join()).unwrap();
        });
        assert_eq!(CallContext::current().seed(), 0);
    }

    #[test]
    fn a_pass_is_watched_and_ends_where_somebody_says_so() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let context = |last: usize, flag: &Arc<AtomicBool>| {
            let (seen, stop) = (seen.clone(), flag.clone());
            CallContext::new().cancelled_by(flag.clone()).watched_by(move |done, total| {
                seen.lock().unwrap().push((done, total));
                stop.store(done >= last, Ordering::Relaxed);
                true
            })
        };
        let pass = || (1..=3).try_for_each(|done| step(done, 3));
        let flag = Arc::new(AtomicBool::new(false));
        context(9, &flag).scope(pass).unwrap();
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [(1, 3), (2, 3), (3, 3)]);
        assert!(matches!(context(2, &flag).scope(pass), Err(Error::Cancelled)));
        assert!(matches!(context(9, &flag).scope(wanted), Err(Error::Cancelled)) && wanted().is_ok());
        assert_eq!(*seen.lock().unwrap(), [(1, 3), (2, 3)]);
        assert!(matches!(CallContext::new().watched_by(|_, _| false).scope(pass), Err(Error::Cancelled)));
        pass().unwrap();
    }
}
