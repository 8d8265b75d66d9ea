//! Work that is done before its result is asked for.
//!
//! Threads take the items in turn, each with a short queue of its own, and the results are taken from the queues in the
//! same turn: they come in order, and a thread that is ahead waits. So memory is bounded by construction, without a
//! count that could be wrong.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;

/// How far to go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ahead {
    /// How many work at the same time.
    pub threads: usize,
    /// How many results each may leave lying besides the one that it holds.
    pub queued: usize,
}

impl Ahead {
    /// A batch ahead, or an item for each of `cores` if that is more.
    pub fn of_batches(batch: usize, cores: usize) -> Self {
        let threads = cores.max(1);
        Self { threads, queued: batch.div_ceil(threads).saturating_sub(1) }
    }

    /// Calls `with` on what `make` gives for each of `items`, in order. Threads begin at once, and end when all is made
    /// or `with` is done. Where `make` panics, so does asking for what it would have given.
    pub fn run<I: Sync, T: Send, R>(
        self,
        items: &[I],
        make: impl Fn(&I) -> T + Sync,
        with: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
    ) -> R {
        let (threads, make) = (self.threads.min(items.len()), &make);
        std::thread::scope(|scope| {
            let start = |thread| {
                let (sender, receiver) = sync_channel(self.queued);
                let own = items.iter().skip(thread).step_by(threads);
                // An error says that nobody will ask again.
                let worker = scope.spawn(move || own.map(make).try_for_each(|made| sender.send(made)));
                (receiver, Some(worker))
            };
            let mut queues: Vec<_> = (0..threads).map(start).collect();
            with(&mut (0..items.len()).map_while(|index| {
                let (queue, worker) = &mut queues[index % threads];
                let made = queue.recv().ok();
                if made.is_none()
                    && let Some(Err(panic)) = worker.take().map(|worker| worker.join())
                {
                    resume_unwind(panic);
                }
                made
            }))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    /// What both sides have done so far. Who waits for the other side to do its part waits this long at most, then
    /// fails.
    #[derive(Default)]
    pub struct Meeting {
        /// Items begun and items asked for.
        done: Mutex<(usize, usize)>,
        changed: Condvar,
    }

    impl Meeting {
        /// What is done then.
        pub fn note(&self, change: impl FnOnce(&mut (usize, usize))) -> (usize, usize) {
            let mut done = self.done.lock().unwrap();
            change(&mut done);
            self.changed.notify_all();
            *done
        }

        pub fn wait(&self, until: impl Fn((usize, usize)) -> bool) {
            let done = self.done.lock().unwrap();
            let limit = Duration::from_secs(60);
            let done = *self.changed.wait_timeout_while(done, limit, |done| !until(*done)).unwrap().0;
            assert!(until(done), "nobody came: (begun, asked for) stay at {done:?}");
        }
    }

    /// Items that are begun but not yet asked for, at most.
    fn most(ahead: Ahead) -> usize {
        ahead.threads * (ahead.queued + 1)
    }

    /// Uses each of 23 items only when as many as may be were begun beyond it, of which never one too many is.
    #[track_caller]
    fn check(ahead: Ahead) {
        let (meeting, items) = (Meeting::default(), Vec::from_iter(0..23));
        let begin = |&item: &usize| {
            let (begun, asked) = meeting.note(|(begun, _)| *begun += 1);
            assert!(begun <= asked + most(ahead), "{begun} begun when {asked} were asked for");
            item
        };
        ahead.run(&items, begin, |made| {
            for &item in &items {
                meeting.note(|(_, asked)| *asked += 1);
                assert_eq!(made.next(), Some(item));
                // This item is in use: the other side must go on meanwhile. It says itself when it goes too far.
                let beyond = (item + 1 + most(ahead)).min(items.len());
                meeting.wait(|(begun, _)| begun >= beyond);
            }
            assert_eq!(made.next(), None);
        });
    }

    #[test]
    fn items_are_begun_while_others_are_in_use_but_no_more_than_agreed() {
        for threads in [1, 2, 5, 40] {
            for queued in [0, 1, 3] {
                check(Ahead { threads, queued });
            }
        }
    }

    #[test]
    fn nobody_works_for_results_that_nobody_takes() {
        let (begun, ahead) = (AtomicUsize::new(0), Ahead { threads: 3, queued: 1 });
        let begin = |&item: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            item
        };
        let first = ahead.run(&Vec::from_iter(0..1000), begin, |made| made.next());
        assert_eq!(first, Some(0));
        assert!(begun.into_inner() <= 1 + most(ahead));
    }

    #[test]
    fn a_panic_is_that_of_whoever_asks() {
        let begin = |&item: &usize| if item == 5 { resume_unwind(Box::new(item)) } else { item };
        for (threads, queued) in [(1, 0), (2, 3), (4, 0), (40, 1)] {
            let (ahead, taken) = (Ahead { threads, queued }, AtomicUsize::new(0));
            let count = |_| _ = taken.fetch_add(1, Ordering::Relaxed);
            let run = || ahead.run(&Vec::from_iter(0..9), begin, |made| made.for_each(count));
            let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!((panic.downcast_ref::<usize>(), taken.into_inner()), (Some(&5), 5));
        }
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert_eq!(Ahead { threads: 2, queued: 0 }.run(&[], |item: &u8| *item, |made| made.count()), 0);
    }

    #[test]
    fn the_next_batch_fits_and_every_core_has_work() {
        let of = |batch, cores| Ahead::of_batches(batch, cores);
        assert_eq!(of(1, 2), Ahead { threads: 2, queued: 0 });
        assert_eq!(of(8, 2), Ahead { threads: 2, queued: 3 });
        assert_eq!(of(9, 2), Ahead { threads: 2, queued: 4 });
        assert_eq!(of(4, 16), Ahead { threads: 16, queued: 0 });
        assert_eq!([of(1, 2), of(8, 2), of(9, 2), of(4, 16)].map(most), [2, 8, 10, 16]);
    }
}
