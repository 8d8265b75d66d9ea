//! Several processes that learn together: each takes its share of the batches of a step, and gradients are summed.
//!
//! A recipe says what a step is, and not who computes it: the batches of a step are dealt to the processes in turn, so
//! the same recipe comes to the same parameters, up to the rounding of sums, with any number of them. Who starts them says
//! so in the environment, as torchrun, srun and Kubeflow do.

use crate::{Error, Result};

/// The processes of a run.
pub(super) trait World: Send {
    /// Which of them this is, from 0. The first writes.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;
    /// Puts into `values` the sum of those of all processes: the same bits in each of them.
    fn sum(&mut self, values: &mut [f32]) -> Result<()>;
}

/// One process.
pub(super) struct Alone;

impl World for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&mut self, _: &mut [f32]) -> Result<()> {
        Ok(())
    }
}

/// The processes that the environment speaks of.
pub(super) fn open() -> Result<Box<dyn World>> {
    match Place::read(|name| std::env::var(name).ok())? {
        None => Ok(Box::new(Alone)),
        Some(place) => join(&place),
    }
}

fn join(place: &Place) -> Result<Box<dyn World>> {
    Err(Error::Processes(format!(
        "WORLD_SIZE is {}, and this program trains in one process; unset WORLD_SIZE",
        place.size
    )))
}

/// The place of this process among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub rank: usize,
    pub size: usize,
    /// Host and port where the first process waits for the others.
    pub master: (String, u16),
}

impl Place {
    /// What `variable` says; nothing where there is one process.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |name: &str| match variable(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::Processes(format!("{name} is `{text}`, which is no number"))),
            },
        };
        let size = number("WORLD_SIZE")?.unwrap_or(1);
        if size <= 1 {
            return Ok(None);
        }
        let missing = |name: &str| {
            Error::Processes(format!("WORLD_SIZE is {size}, and {name} says nothing; both are needed"))
        };
        let rank = number("RANK")?.ok_or_else(|| missing("RANK"))?;
        if rank >= size {
            return Err(Error::Processes(format!("RANK is {rank}, of {size} processes, counted from 0")));
        }
        let host = variable("MASTER_ADDR").ok_or_else(|| missing("MASTER_ADDR"))?;
        let port = number("MASTER_PORT")?.ok_or_else(|| missing("MASTER_PORT"))?;
        // Each process is reached at a port of its own, from this one on.
        let last = u16::try_from(port + size + 1);
        let port = last.ok().and_then(|_| u16::try_from(port).ok());
        let port = port.ok_or_else(|| {
            Error::Processes(format!("MASTER_PORT and the {size} ports behind it must be below 65536"))
        })?;
        Ok(Some(Self { rank, size, master: (host, port) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_who_is_who() {
        let read = |text: &str| {
            let pairs: Vec<(&str, &str)> =
                text.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
            Place::read(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        for alone in ["", "WORLD_SIZE=1 RANK=0", "RANK=3"] {
            assert_eq!(read(alone).unwrap(), None, "{alone}");
        }
        let place = read("WORLD_SIZE=4 RANK=2 LOCAL_RANK=0 MASTER_ADDR=node-0 MASTER_PORT=29500").unwrap();
        assert_eq!(place, Some(Place { rank: 2, size: 4, master: ("node-0".to_owned(), 29500) }));
        for (text, expected) in [
            ("WORLD_SIZE=4", "RANK says nothing"),
            ("WORLD_SIZE=four", "WORLD_SIZE is `four`"),
            ("WORLD_SIZE=4 RANK=4", "RANK is 4, of 4"),
            ("WORLD_SIZE=4 RANK=0 MASTER_PORT=1", "MASTER_ADDR says nothing"),
            ("WORLD_SIZE=4 RANK=0 MASTER_ADDR=a MASTER_PORT=65535", "must be below 65536"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
