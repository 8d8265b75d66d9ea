//! No panic leaves a plugin: every exported function runs inside [`guard`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use abi_stable::std_types::{RErr, ROk};
use zoo_abi::FfiResult;

use super::failure::to_wire;
use crate::{Error, Result};

/// Where recent panics of this library happened, by message. A panic inside a thread pool is seen by the hook on
/// one thread and caught on another, so a thread-local would not do.
static RECENT: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// How many panics are remembered between the hook and the guard.
const REMEMBERED: usize = 16;

/// Runs `f`; an error or a panic becomes an error value.
pub fn guard<T>(plugin: &str, f: impl FnOnce() -> Result<T>) -> FfiResult<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => ROk(value),
        Ok(Err(error)) => RErr(to_wire(error)),
        Err(payload) => {
            let message = text(payload);
            let location = locate(&message).unwrap_or_else(|| "unknown place".into());
            RErr(to_wire(Error::Panic { plugin: plugin.to_owned(), location, message }))
        }
    }
}

/// Replaces this library's panic hook, which is not the host's: panics are remembered and logged, not printed.
pub(super) fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let message = describe(info.payload());
        let location = info.location().map_or_else(|| "unknown place".into(), ToString::to_string);
        tracing::debug!("panic at {location}: {message}");
        let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == REMEMBERED {
            recent.remove(0);
        }
        recent.push((message, location));
    }));
}

fn locate(message: &str) -> Option<String> {
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let at = recent.iter().rposition(|(m, _)| m == message)?;
    Some(recent.remove(at).1)
}

/// The message of a payload. `panic!` with arguments may still carry a `&str`, as constants are folded.
fn describe(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no message)".to_owned())
}

fn text(payload: Box<dyn Any + Send>) -> String {
    let message = describe(&*payload);
    // A payload of the author's own type may panic when dropped, here outside any guard.
    if !payload.is::<&str>() && !payload.is::<String>() {
        std::mem::forget(payload);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::super::failure::from_wire;
    use super::*;

    fn caught(f: impl FnOnce() -> Result<()>) -> String {
        from_wire(&guard("p", f).into_result().unwrap_err()).to_string()
    }

    #[test]
    fn panics_of_every_kind_become_errors() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let seven = std::hint::black_box(7);
        assert!(caught(|| panic!("plain")).ends_with("plain"));
        assert!(caught(|| panic!("number {seven}")).ends_with("number 7"));
        assert!(caught(|| std::panic::panic_any(Bomb)).ends_with("(no message)"));
        assert_eq!(caught(|| Err(Error::Cancelled)), "cancelled");
    }
}
