//! What calls took, by the clock and in processor time, beside criterion's own figures.

use std::cell::Cell;
use std::time::{Duration, Instant};

use zoo_measure::processor_time;

/// Calls until now, warming up included, but not the very first, which may pack weights.
#[derive(Default)]
pub struct Spent {
    calls: Cell<u64>,
    clock: Cell<Duration>,
    busy: Cell<f64>,
}

impl Spent {
    /// Calls `run` so many times; for `iter_custom`.
    pub fn run<R>(&self, times: u64, mut run: impl FnMut() -> R) -> Duration {
        if self.calls.get() == 0 {
            drop(run());
        }
        let (begun, busy) = (Instant::now(), processor_time());
        (0..times).for_each(|_| drop(run()));
        let took = begun.elapsed();
        self.calls.set(self.calls.get() + times);
        self.clock.set(self.clock.get() + took);
        self.busy.set(self.busy.get() + processor_time() - busy);
        took
    }

    /// Seconds of a call by the clock; none when the filter left it out.
    pub fn seconds(&self) -> Option<f64> {
        (self.calls.get() > 0).then(|| self.clock.get().as_secs_f64() / self.calls.get() as f64)
    }

    /// Says how much processor time an image took, of so many in a call.
    pub fn say(&self, batch: usize) {
        if self.calls.get() > 0 {
            let milliseconds = 1e3 * self.busy.get() / (self.calls.get() * batch as u64) as f64;
            println!("                        {milliseconds:.3} ms of processor time an image");
        }
    }
}
