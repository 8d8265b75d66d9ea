//! The place of a process among the others of its run, as torchrun, srun and Kubeflow tell it: in the environment.

use super::Error;
use crate::Result;

/// The place of a process among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Which this is, from 0.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// Where the first of them waits for the others.
    pub host: String,
    pub port: u16,
    /// Whether all are on one machine, as far as whoever started them says so.
    pub near: bool,
}

impl Place {
    /// From what `variable` says; nothing where the process is alone.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let said = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|t| !t.is_empty());
        let number = |name: &str| -> Result<Option<usize>> {
            let number = |text: String| {
                let wrong = || Error::Processes(format!("{name} is `{text}`, which is no number"));
                text.parse().map_err(|_| wrong())
            };
            said(name).map(number).transpose()
        };
        let size = number("WORLD_SIZE")?.unwrap_or(1);
        if size <= 1 {
            return Ok(None);
        }
        let silent = |name: &str| {
            let message = format!(
                "WORLD_SIZE is {size}, and {name} says nothing; torchrun sets it, and so can you (docs/training.md), \
                 or unset WORLD_SIZE to train in one process"
            );
            Error::Processes(message)
        };
        let rank = number("RANK")?.ok_or_else(|| silent("RANK"))?;
        if rank >= size {
            let message = format!("RANK is {rank}, of {size} processes, which are counted from 0");
            return Err(Error::Processes(message));
        }
        let host = said("MASTER_ADDR").ok_or_else(|| silent("MASTER_ADDR"))?;
        let port = number("MASTER_PORT")?.ok_or_else(|| silent("MASTER_PORT"))?;
        // torchrun listens at this port itself, and says so.
        let taken =
            said("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let port = u16::try_from(port + usize::from(taken)).ok().filter(|port| *port > 0);
        let port =
            port.ok_or_else(|| Error::Processes("MASTER_PORT is a number from 1 to 65535".to_owned()))?;
        let near = number("LOCAL_WORLD_SIZE")? == Some(size);
        Ok(Some(Self { rank, size, host, port, near }))
    }

    /// What messages call process `rank`.
    pub fn name(&self, rank: usize) -> String {
        format!("process {rank} of {}", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Place>> {
        let pairs: Vec<(&str, &str)> =
            text.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        Place::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn places_are_those_of_the_environment() {
        for alone in ["", "WORLD_SIZE=1 RANK=0", "WORLD_SIZE=0", "RANK=3", "WORLD_SIZE= RANK=1"] {
            assert_eq!(read(alone).unwrap(), None, "{alone}");
        }
        let four = "WORLD_SIZE=4 RANK=2 LOCAL_RANK=0 MASTER_ADDR=node-0 MASTER_PORT=29500";
        let place = Place { rank: 2, size: 4, host: "node-0".to_owned(), port: 29500, near: false };
        assert_eq!(read(four).unwrap(), Some(place.clone()));
        let torchrun = format!("{four} LOCAL_WORLD_SIZE=4 TORCHELASTIC_USE_AGENT_STORE=True");
        assert_eq!(read(&torchrun).unwrap(), Some(Place { port: 29501, near: true, ..place }));
        for (text, expected) in [
            ("WORLD_SIZE=4", "RANK says nothing"),
            ("WORLD_SIZE=four", "WORLD_SIZE is `four`"),
            ("WORLD_SIZE=4 RANK=4", "RANK is 4, of 4"),
            ("WORLD_SIZE=4 RANK=0 MASTER_PORT=1", "MASTER_ADDR says nothing"),
            ("WORLD_SIZE=4 RANK=0 MASTER_ADDR=a", "MASTER_PORT says nothing"),
            ("WORLD_SIZE=4 RANK=0 MASTER_ADDR=a MASTER_PORT=65536", "from 1 to 65535"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
