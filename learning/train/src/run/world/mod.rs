//! Several processes that learn together: each takes its share of the batches of a step, and gradients are summed.
//!
//! **The one decision.** A recipe says what a step is, and not who computes it: the batches of a step are dealt to the
//! processes in turn, so one recipe comes to the same parameters, up to the rounding of sums, with any number of them, and
//! a run goes on with another number. Whatever a process must know of another one goes through the first, which adds
//! gradients in the order of the processes, so that all have the same bits, and the same ones in every run.

mod link;
mod place;

use std::io;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::link::Link;
use self::place::Place;
use crate::{Error, Result};

/// How long processes wait for one another to begin.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long for what somebody says who just connected.
const MANNERS: Duration = Duration::from_secs(10);

/// The processes of a run.
pub(super) struct World {
    place: Option<Place>,
    /// Of the first, those to the others in their order; of these, that to the first.
    links: Vec<Link>,
}

/// What a process says when it comes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    program: String,
    recipe: String,
    size: usize,
    rank: usize,
}

/// What the first answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer<T> {
    Go(T),
    /// Why the run ends.
    End(String),
}

/// What the environment says of several processes, in words for whoever waits; nothing where there is one.
///
/// # Errors
/// [`Error::Processes`] where it makes no sense.
pub fn several() -> Result<Option<String>> {
    let words = |place: Place| {
        let name = place.name(place.rank);
        match place.rank {
            0 => format!("{name} waits for the others at port {}", place.port),
            _ => format!("{name} goes to the first one at {}:{}", place.host, place.port),
        }
    };
    Ok(Place::read(|name| std::env::var(name).ok())?.map(words))
}

impl World {
    /// One process.
    pub fn alone() -> Self {
        Self { place: None, links: Vec::new() }
    }

    /// Those that the environment speaks of, once all are there; `recipe` tells a run from others.
    ///
    /// # Errors
    /// [`Error::Processes`]: an environment that makes no sense, processes that do not come, or are of another run.
    pub fn join(recipe: &str) -> Result<Self> {
        match Place::read(|name| std::env::var(name).ok())? {
            None => Ok(Self::alone()),
            Some(place) => {
                let links =
                    if place.rank == 0 { gather(&place, recipe)? } else { vec![find(&place, recipe)?] };
                Ok(Self { place: Some(place), links })
            }
        }
    }

    /// Which of the processes this is, from 0. The first writes.
    pub fn rank(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.rank)
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.place.as_ref().map_or(1, |place| place.size)
    }

    /// Whether this one writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// What each process says, in their order, in each of them.
    pub fn gather<T: Serialize + DeserializeOwned>(&mut self, own: T) -> Result<Vec<T>> {
        let Some(place) = &self.place else { return Ok(vec![own]) };
        if place.rank > 0 {
            let link = &mut self.links[0];
            let text = encode(&own)?;
            // What the first says counts, also where it no longer listens.
            let sent = link.send(&text);
            let answer = link.receive().map_err(|error| lost(place, 0, &sent.err().unwrap_or(error)))?;
            return match decode::<Answer<Vec<T>>>(&answer)? {
                Answer::Go(all) => Ok(all),
                Answer::End(message) => Err(Error::Processes(message)),
            };
        }
        let mut all = vec![own];
        for (k, link) in self.links.iter_mut().enumerate() {
            let said = link.receive().map_err(|error| lost(place, k + 1, &error));
            match said.and_then(|said| decode(&said)) {
                Ok(said) => all.push(said),
                Err(error) => return Err(self.end(error)),
            }
        }
        let text = encode(&Answer::Go(&all))?;
        let sent = self
            .links
            .iter_mut()
            .enumerate()
            .try_for_each(|(k, link)| link.send(&text).map_err(|error| lost(place, k + 1, &error)));
        sent.map_err(|error| self.end(error))?;
        Ok(all)
    }

    /// Whether it is so in any of them.
    pub fn any(&mut self, own: bool) -> Result<bool> {
        Ok(self.gather(own)?.contains(&true))
    }

    /// Puts into `values` the sum of those of all processes: the same bits in each of them.
    pub fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        if place.rank > 0 {
            let link = &mut self.links[0];
            let sent = link.send_numbers(values);
            let answer = link.receive_numbers(values, |value, sum| *value = sum);
            return match answer.map_err(|error| lost(place, 0, &sent.err().unwrap_or(error)))? {
                None => Ok(()),
                Some(message) => Err(ended(&message)),
            };
        }
        let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "it sends no gradients");
        let mut turn = || {
            for (k, link) in self.links.iter_mut().enumerate() {
                let received = link.receive_numbers(values, |sum, value| *sum += value);
                let received = received.and_then(|instead| instead.map_or(Ok(()), |_| Err(unexpected())));
                received.map_err(|error| lost(place, k + 1, &error))?;
            }
            for (k, link) in self.links.iter_mut().enumerate() {
                link.send_numbers(values).map_err(|error| lost(place, k + 1, &error))?;
            }
            Ok(())
        };
        turn().map_err(|error| self.end(error))
    }

    /// Tells those that are left why the run ends.
    fn end(&mut self, error: Error) -> Error {
        let message = match &error {
            Error::Processes(message) => message.clone(),
            other => other.to_string(),
        };
        if let Ok(text) = encode(&Answer::<()>::End(message)) {
            // Whoever does not hear it sees the connection end.
            self.links.iter_mut().for_each(|link| drop(link.send(&text)));
        }
        error
    }
}

fn encode(said: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(said).map_err(|error| Error::Internal(error.to_string()))
}

fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let wrong = |error| Error::Processes(format!("a process says what is not understood: {error}"));
    serde_json::from_slice(text).map_err(wrong)
}

/// What the first says where something else was expected.
fn ended(message: &[u8]) -> Error {
    match decode::<Answer<()>>(message) {
        Ok(Answer::End(message)) => Error::Processes(message),
        Ok(Answer::Go(())) => Error::Internal("the first process is at another place of the run".to_owned()),
        Err(error) => error,
    }
}

/// What to say of a process whose connection ended.
fn lost(place: &Place, rank: usize, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "its connection ended".to_owned()
        }
        _ => error.to_string(),
    };
    Error::Processes(format!(
        "{} is gone ({why}), and the run ends in all of them; what it said last may tell why, and --resume goes on from \
         the last checkpoint",
        place.name(rank)
    ))
}

/// Why waiting ended.
enum Wait {
    Io(io::Error),
    Stopped(Error),
}

impl From<io::Error> for Wait {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn wanted() -> Result<(), Wait> {
    zoo_core::wanted().map_err(|error| Wait::Stopped(error.into()))
}

fn hello(place: &Place, recipe: &str, rank: usize) -> Hello {
    let program = env!("CARGO_PKG_VERSION").to_owned();
    Hello { program, recipe: recipe.to_owned(), size: place.size, rank }
}

/// The first process waits for the others.
fn gather(place: &Place, recipe: &str) -> Result<Vec<Link>> {
    let at = |error: &io::Error| {
        Error::Processes(format!(
            "cannot listen at port {} (MASTER_PORT) for the other processes: {error}",
            place.port
        ))
    };
    let listener = link::listen(place.port, place.near).map_err(|error| at(&error))?;
    let end = Instant::now() + PATIENCE;
    let mut links: Vec<Option<Link>> = (1..place.size).map(|_| None).collect();
    while links.iter().any(Option::is_none) {
        let came = match link::accept(&listener, end, wanted) {
            Ok(came) => came,
            Err(Wait::Io(error)) => return Err(at(&error)),
            Err(Wait::Stopped(error)) => return Err(error),
        };
        let Some((mut link, from)) = came else {
            let missing = (1..place.size).filter(|rank| links[rank - 1].is_none());
            let missing: Vec<String> = missing.map(|rank| rank.to_string()).collect();
            return Err(Error::Processes(format!(
                "of {} processes number {} did not come within {} minutes",
                place.size,
                missing.join(", "),
                PATIENCE.as_secs() / 60
            )));
        };
        // Whoever does not speak as a process of a run does is somebody else, and none of our business.
        let said = link.patience(Some(MANNERS)).and_then(|()| link.receive());
        let Some(said) = said.ok().and_then(|said| serde_json::from_slice::<Hello>(&said).ok()) else {
            continue;
        };
        let expected = hello(place, recipe, said.rank);
        let free = said.rank.checked_sub(1).and_then(|k| links.get_mut(k)).filter(|link| link.is_none());
        let refusal = match &free {
            _ if said.program != expected.program => {
                format!("it is Zoo {}, the first {}", said.program, expected.program)
            }
            _ if said.recipe != expected.recipe => {
                "its recipe is another one than that of the first".to_owned()
            }
            _ if said.size != expected.size => {
                format!("its WORLD_SIZE is {}, that of the first {}", said.size, expected.size)
            }
            None => format!("there is a process {} already", said.rank),
            Some(_) => {
                let go = link.send(&encode(&Answer::Go(()))?).and_then(|()| link.patience(None));
                if let (Ok(()), Some(free)) = (go, free) {
                    *free = Some(link);
                }
                continue;
            }
        };
        let message = format!("{} at {from} does not belong to this run: {refusal}", place.name(said.rank));
        // It hears why, and so do the others.
        let text = encode(&Answer::<()>::End(message.clone()))?;
        links.iter_mut().flatten().chain([&mut link]).for_each(|link| drop(link.send(&text)));
        return Err(Error::Processes(message));
    }
    Ok(links.into_iter().flatten().collect())
}

/// Another process goes to the first.
fn find(place: &Place, recipe: &str) -> Result<Link> {
    let at = |error: &io::Error| {
        Error::Processes(format!(
            "there is no first process at {}:{} (MASTER_ADDR, MASTER_PORT): {error}",
            place.host, place.port
        ))
    };
    let mut link = match link::connect(&place.host, place.port, Instant::now() + PATIENCE, wanted) {
        Ok(link) => link,
        Err(Wait::Io(error)) => return Err(at(&error)),
        Err(Wait::Stopped(error)) => return Err(error),
    };
    let text = encode(&hello(place, recipe, place.rank))?;
    let answer = link.send(&text).and_then(|()| link.receive()).map_err(|error| at(&error))?;
    match decode::<Answer<()>>(&answer)? {
        Answer::Go(()) => Ok(link),
        Answer::End(message) => Err(Error::Processes(message)),
    }
}
