//! What threads did, rather than how long they were there.

use std::sync::LazyLock;
use std::time::Instant;

/// Seconds that the threads of this process have run on a core, so that other work on the machine counts little; without
/// Linux's accounts those of the clock. What a thread did is forgotten when it ends.
pub fn processor_time() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let threads = || -> Option<f64> {
        let of = |thread: std::fs::DirEntry| -> Option<f64> {
            std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        let threads = std::fs::read_dir("/proc/self/task").ok()?;
        threads.map(|thread| of(thread.ok()?)).sum::<Option<f64>>()
    };
    threads().map_or_else(|| START.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts() {
        let (begun, clock) = (processor_time(), Instant::now());
        let mut sum = 0u64;
        while processor_time() - begun < 0.02 {
            sum = (0..100_000).fold(sum, |sum, x| std::hint::black_box(sum ^ x));
            assert!(clock.elapsed().as_secs() < 60, "a minute of work that is none: {sum}");
        }
    }
}
