//! Which failures pass by themselves, and how long to wait for that.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::{Error, Progress, Result};

/// Failures in a row before giving up.
const TRIES: u32 = 5;

/// Longest wait that a server's `Retry-After` is obeyed for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A failed try.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Trying again gives the same answer.
    Final(Error),
    /// Trying again may help.
    Passing {
        error: Error,
        /// What the server asked for in `Retry-After`.
        wait: Option<Duration>,
        /// Bytes arrived before it failed, so that the count of failures starts anew.
        progressed: bool,
    },
}

impl Fault {
    pub(crate) fn passing(error: Error) -> Self {
        Self::Passing { error, wait: None, progressed: false }
    }

    /// What a client's error means. A connection that broke is tried again. One that cannot be made at all is so
    /// only when there was one before (`connected`): without network the user is told at once.
    pub(crate) fn network(url: &str, source: &ureq::Error, connected: bool) -> Self {
        let (why, passing) = match source {
            ureq::Error::Io(e) => (e.to_string(), may_pass(e.kind(), connected)),
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => (source.to_string(), connected),
            ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => (source.to_string(), true),
            _ => (source.to_string(), false),
        };
        let error = Error::Network { url: url.to_owned(), why };
        if passing { Self::passing(error) } else { Self::Final(error) }
    }
}

fn may_pass(kind: ErrorKind, connected: bool) -> bool {
    match kind {
        ErrorKind::InvalidData => false, // a certificate that is not trusted
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::TimedOut => true,
        _ => connected, // refused, unreachable, no such host
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Statuses that a server sends when it is busy or being restarted.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Calls `attempt` until it succeeds, fails for good, or fails [`TRIES`] times without progress in between.
pub(crate) fn retry<T>(
    backoff: Duration,
    progress: &dyn Progress,
    mut attempt: impl FnMut() -> Result<T, Fault>,
) -> Result<T> {
    let mut failures = 0;
    loop {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let (error, wait) = match attempt() {
            Ok(value) => return Ok(value),
            Err(Fault::Final(error)) => return Err(error),
            Err(Fault::Passing { error, wait, progressed }) => {
                failures = if progressed { 1 } else { failures + 1 };
                (error, wait)
            }
        };
        if failures == TRIES {
            return Err(error);
        }
        let own = backoff.saturating_mul(1 << (failures - 1));
        let wait = wait.map_or(own, |asked| asked.max(own)).min(LONGEST_WAIT);
        let why = match &error {
            Error::Network { why, .. } => why.clone(),
            Error::Status { status, .. } => format!("HTTP {status}"),
            error => error.to_string(),
        };
        progress.note(&format!("{why}; trying again in {:.1} s", wait.as_secs_f32()));
        pause(wait, progress)?;
    }
}

/// Sleeps in short steps, so that a cancellation is noticed.
pub(crate) fn pause(time: Duration, progress: &dyn Progress) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quiet;

    fn failing(progressed: bool) -> Fault {
        Fault::Passing { error: Error::Cancelled, wait: None, progressed }
    }

    #[test]
    fn gives_up_after_five_failures_in_a_row() {
        let mut calls = 0;
        let result: Result<()> = retry(Duration::ZERO, &Quiet, || {
            calls += 1;
            Err(failing(false))
        });
        assert!(result.is_err());
        assert_eq!(calls, 5);
    }

    #[test]
    fn progress_starts_the_count_anew() {
        let mut calls = 0;
        let result: Result<u32> = retry(Duration::ZERO, &Quiet, || {
            calls += 1;
            if calls == 20 { Ok(calls) } else { Err(failing(true)) }
        });
        assert_eq!(result.unwrap(), 20);
    }

    #[test]
    fn unreachable_is_final_at_first_and_passing_later() {
        let passes = |source: ureq::Error, connected| {
            matches!(Fault::network("u", &source, connected), Fault::Passing { .. })
        };
        let io = |kind: ErrorKind| ureq::Error::Io(kind.into());
        assert!(!passes(ureq::Error::HostNotFound, false) && passes(ureq::Error::HostNotFound, true));
        assert!(!passes(io(ErrorKind::Other), false) && passes(io(ErrorKind::Other), true));
        assert!(passes(io(ErrorKind::ConnectionReset), false));
        assert!(!passes(io(ErrorKind::InvalidData), true), "an untrusted certificate stays untrusted");
    }
}
