//! How many threads may work at the same time.

use std::num::NonZeroUsize;

/// Cores that this process may use.
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// `--threads`, else `RAYON_NUM_THREADS`; `None` where neither sets a limit.
pub fn limit(asked: Option<NonZeroUsize>) -> Option<NonZeroUsize> {
    asked.or_else(|| std::env::var("RAYON_NUM_THREADS").ok().and_then(|value| number(&value)))
}

/// [`limit`], else a thread for each of [`cores`].
pub fn allowed(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    limit(asked).unwrap_or_else(cores)
}

/// What the variable says to the pools of threads, to which 0 and what is no number are as nothing.
fn number(value: &str) -> Option<NonZeroUsize> {
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_counts_before_everything_else() {
        let three = NonZeroUsize::new(3);
        assert_eq!((limit(three), Some(allowed(three))), (three, three));
        assert_eq!(allowed(None), limit(None).unwrap_or(cores()));
    }

    #[test]
    fn the_variable_is_a_number_above_0() {
        assert_eq!(number("2"), NonZeroUsize::new(2));
        for nothing in ["", "0", "-1", "all", "2.5"] {
            assert_eq!(number(nothing), None, "{nothing:?}");
        }
    }
}
