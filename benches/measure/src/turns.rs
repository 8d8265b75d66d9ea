//! Runs in turns.

use crate::Summary;

/// Lets `contestants` run in turns for so many rounds, each round begun by another one, and gives the seconds of each
/// turn by contestant. A turn calls `run(contestant)`, which gives seconds, until `least` seconds are over, and
/// counts as its median call. `stop` is asked before every turn; what was measured until then is given.
///
/// # Errors
/// The first of `run`.
pub fn rounds<E>(
    contestants: usize,
    rounds: usize,
    least: f64,
    mut run: impl FnMut(usize) -> Result<f64, E>,
    mut stop: impl FnMut() -> bool,
) -> Result<Vec<Vec<f64>>, E> {
    let mut times = vec![Vec::with_capacity(rounds); contestants];
    for round in 0..rounds {
        for turn in 0..contestants {
            if stop() {
                return Ok(times);
            }
            let contestant = (round + turn) % contestants;
            let mut calls = vec![run(contestant)?];
            while calls.iter().sum::<f64>() < least {
                calls.push(run(contestant)?);
            }
            times[contestant].extend(Summary::of(&calls).map(|summary| summary.median));
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_in_every_round_and_another_one_begins() {
        let mut order = Vec::new();
        let run = |who| {
            order.push(who);
            Ok::<_, ()>(who as f64)
        };
        let times = rounds(3, 2, 0.0, run, || false).unwrap();
        assert_eq!(order, [0, 1, 2, 1, 2, 0]);
        assert_eq!(times, [[0.0; 2], [1.0; 2], [2.0; 2]]);
    }

    #[test]
    fn short_calls_are_repeated_and_count_as_their_median() {
        let mut seconds = [0.2, 0.9, 0.4].into_iter();
        let times = rounds(1, 1, 1.5, |_| seconds.next().ok_or(()), || false).unwrap();
        assert_eq!(times, [[0.4]]);
    }

    #[test]
    fn stopping_keeps_what_was_measured_and_an_error_does_not() {
        let mut left = 3;
        let stop = || {
            left -= 1;
            left < 0
        };
        let times = rounds(2, 5, 0.0, |_| Ok::<_, ()>(1.0), stop).unwrap();
        assert_eq!(times.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(rounds(1, 1, 0.0, |_| Err("full"), || false), Err("full"));
    }
}
