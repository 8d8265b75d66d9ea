//! What is opened when it is first asked for, and by one thread only.

use std::sync::{Mutex, OnceLock, PoisonError};

use crate::HostError;

/// A value that is made at most once. Whoever asks while it is being made waits: two language models at once would
/// take the memory of two.
#[derive(Debug)]
pub(super) struct Once<T> {
    value: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), making: Mutex::new(()) }
    }
}

impl<T> Once<T> {
    /// The value, made by `open` if there is none yet. After an error the next one tries again.
    pub fn get_or_open(&self, open: impl FnOnce() -> Result<T, HostError>) -> Result<&T, HostError> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        // It guards no data: a thread that panicked while it opened has left nothing behind.
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let made = open()?;
        Ok(self.value.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn many_threads_make_one() {
        const THREADS: usize = 8;
        let (once, made, at_once) = (Once::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let start = Barrier::new(THREADS);
        let ask = || {
            start.wait();
            let open = || {
                assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                std::thread::yield_now();
                at_once.fetch_sub(1, Ordering::SeqCst);
                // The first one fails: another thread then tries.
                match made.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(HostError::Internal("not yet".into())),
                    number => Ok(number),
                }
            };
            once.get_or_open(open).ok().copied()
        };
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.load(Ordering::SeqCst), 2, "one failed, one was made");
        assert_eq!(all.iter().filter(|got| got.is_none()).count(), 1);
        assert!(all.iter().flatten().all(|number| *number == 1));
    }
}
