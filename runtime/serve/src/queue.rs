//! Where requests wait for a worker: first come, first served, and no more of them than there are places.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Something that waits.
pub trait Job {
    /// Whether somebody still waits for it.
    fn wanted(&self) -> bool;
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// So many wait, which is the limit.
    Full(usize),
    /// Nobody works here any more.
    Closed,
}

/// Jobs in the order in which they came.
#[derive(Debug)]
pub struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    places: usize,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    closed: bool,
}

impl<J: Job> Queue<J> {
    /// With so many places, at least one.
    pub fn new(places: usize) -> Self {
        let state = Mutex::new(State { jobs: VecDeque::new(), closed: false });
        Self { state, changed: Condvar::new(), places: places.max(1) }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // No code that could panic runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds all of `jobs`, or none.
    ///
    /// # Errors
    /// [`Refused`]. Those that nobody waits for any more make room first.
    pub fn push(&self, jobs: Vec<J>) -> Result<(), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.jobs.len() + jobs.len() > self.places {
            state.jobs.retain(Job::wanted);
        }
        // More than there are places goes in where nobody waits: it would find room at no other time.
        if state.jobs.len() + jobs.len() > self.places && !state.jobs.is_empty() {
            return Err(Refused::Full(state.jobs.len()));
        }
        state.jobs.extend(jobs);
        self.changed.notify_all();
        Ok(())
    }

    /// The next jobs that somebody waits for, at most `most`: waits for the first as long as it takes, and for others
    /// `patience` after it. None once the queue is closed.
    pub fn take(&self, most: usize, patience: Duration) -> Option<Vec<J>> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            state.jobs.retain(Job::wanted);
            if !state.jobs.is_empty() {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + patience;
        while state.jobs.len() < most && !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = state.jobs.len().min(most.max(1));
        Some(state.jobs.drain(..count).collect())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state().jobs.len()
    }

    /// Nothing is taken or given any more; what waits is dropped.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let dropped = std::mem::take(&mut state.jobs);
        self.changed.notify_all();
        drop(state);
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Numbered(u32, bool);

    impl Job for Numbered {
        fn wanted(&self) -> bool {
            self.1
        }
    }

    fn jobs(numbers: &[u32]) -> Vec<Numbered> {
        numbers.iter().map(|&number| Numbered(number, true)).collect()
    }

    #[test]
    fn the_first_come_is_the_first_served_and_no_more_wait_than_there_are_places() {
        let queue = Queue::new(3);
        queue.push(jobs(&[1, 2])).unwrap();
        assert_eq!(queue.push(jobs(&[3, 4])), Err(Refused::Full(2)));
        queue.push(jobs(&[5])).unwrap();
        assert_eq!(queue.take(2, Duration::ZERO), Some(jobs(&[1, 2])));
        assert_eq!(queue.take(2, Duration::ZERO), Some(jobs(&[5])));
        queue.push(jobs(&[6, 7, 8, 9])).unwrap();
        assert_eq!(queue.waiting(), 4, "an empty queue takes a large request");
    }

    #[test]
    fn who_left_makes_room_and_is_not_served() {
        let queue = Queue::new(1);
        queue.push(vec![Numbered(1, false)]).unwrap();
        queue.push(jobs(&[2])).unwrap();
        assert_eq!(queue.take(5, Duration::ZERO), Some(jobs(&[2])));
    }

    #[test]
    fn a_batch_waits_for_company_and_a_closed_queue_for_nobody() {
        let queue = Arc::new(Queue::new(8));
        let other = Arc::clone(&queue);
        let worker = std::thread::spawn(move || {
            let first = other.take(2, Duration::from_secs(600));
            (first, other.take(2, Duration::from_secs(600)))
        });
        queue.push(jobs(&[1])).unwrap();
        queue.push(jobs(&[2])).unwrap();
        while queue.waiting() > 0 {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(worker.join().unwrap(), (Some(jobs(&[1, 2])), None));
        assert_eq!(queue.push(jobs(&[3])), Err(Refused::Closed));
    }
}
