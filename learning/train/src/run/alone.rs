//! Whether a run is the work of one process. Whoever starts several that are to share it says so in the environment, as
//! torchrun, srun and Kubeflow do; each of them would train the whole by itself, so the run is refused.

use crate::{Error, Result};

/// Refuses an environment that speaks of several processes.
pub(super) fn check() -> Result<()> {
    of(std::env::var("WORLD_SIZE").ok().as_deref())
}

fn of(size: Option<&str>) -> Result<()> {
    match size.map(|size| (size, size.trim().parse::<usize>())) {
        None | Some((_, Ok(0 | 1))) => Ok(()),
        Some((_, Ok(size))) => Err(Error::Processes(format!(
            "WORLD_SIZE is {size}, and this program trains in one process; unset WORLD_SIZE"
        ))),
        Some((text, Err(_))) => {
            Err(Error::Processes(format!("WORLD_SIZE is `{text}`, which is no number; unset WORLD_SIZE")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_processes_are_refused() {
        for alone in [None, Some("1"), Some(" 1 "), Some("0")] {
            assert!(of(alone).is_ok(), "{alone:?}");
        }
        for (size, expected) in [("4", "WORLD_SIZE is 4, and"), ("four", "WORLD_SIZE is `four`")] {
            let message = of(Some(size)).unwrap_err().to_string();
            assert!(message.contains(expected), "{size}: {message}");
        }
    }
}
