//! One encoder or ensemble at work: pictures of several requests are looked at in one pass.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use zoo_host::{EncoderSession, Eyes, HostError};
use zoo_pipeline::look::{Rows, tensors};
use zoo_preprocess::Decoded;

use crate::Failure;
use crate::interest::Interest;
use crate::measures::Measures;
use crate::picture::Picture;
use crate::queue::{Job, Queue, Refused};

/// What was seen of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// As `zoo encode` keeps it ([`tensors`]).
    pub maps: Vec<Map>,
}

/// A tensor of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Its name.
    pub name: String,
    /// Tokens come first, then the numbers of a token.
    pub shape: Vec<usize>,
    /// Height and width in tokens, where they stand on a grid.
    pub grid: Option<(usize, usize)>,
    /// The numbers, row-major.
    pub values: Vec<f32>,
}

/// A picture that waits to be looked at.
#[derive(Debug)]
pub struct Look {
    picture: Picture,
    interest: Interest,
    reply: oneshot::Sender<Result<Sighting, Failure>>,
}

impl Job for Look {
    fn wanted(&self) -> bool {
        !self.interest.lost()
    }
}

/// How pictures are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Gathering {
    /// Most pictures in a pass.
    pub most: usize,
    /// How long the first waits for others.
    pub patience: Duration,
    /// How many may wait.
    pub places: usize,
}

/// What serves one encoder.
pub struct Looker {
    id: String,
    eyes: Arc<Eyes>,
    queue: Arc<Queue<Look>>,
    worker: Option<JoinHandle<()>>,
}

impl Looker {
    /// Starts its thread.
    ///
    /// # Errors
    /// Of the system, which has no thread to give.
    pub fn start(eyes: Eyes, gathering: Gathering, measures: Measures) -> std::io::Result<Self> {
        let (id, eyes) = (eyes.id().to_owned(), Arc::new(eyes));
        let queue = Arc::new(Queue::new(gathering.places));
        let (looking, taken, name) = (Arc::clone(&eyes), Arc::clone(&queue), id.clone());
        let worker = std::thread::Builder::new().name(format!("look {id}")).spawn(move || {
            while let Some(jobs) = taken.take(gathering.most, gathering.patience) {
                measures.pass(&name, jobs.len());
                pass(&looking, jobs);
            }
        })?;
        Ok(Self { id, eyes, queue, worker: Some(worker) })
    }

    /// Registry id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What looks.
    pub fn eyes(&self) -> &Eyes {
        &self.eyes
    }

    /// Pictures that wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// What is seen of each of `pictures`, in their order.
    ///
    /// # Errors
    /// [`Failure::busy`], [`Failure::closing`], and what the encoder says.
    pub async fn look(&self, pictures: Vec<Picture>, interest: &Interest) -> Result<Vec<Sighting>, Failure> {
        let (mut jobs, mut replies) = (Vec::new(), Vec::new());
        for picture in pictures {
            let (reply, answer) = oneshot::channel();
            jobs.push(Look { picture, interest: interest.clone(), reply });
            replies.push(answer);
        }
        self.queue.push(jobs).map_err(|refused| match refused {
            Refused::Full(waiting) => Failure::busy(waiting, 1),
            Refused::Closed => Failure::closing(),
        })?;
        let mut seen = Vec::new();
        for reply in replies {
            seen.push(reply.await.unwrap_or_else(|_| Err(Failure::closing()))?);
        }
        Ok(seen)
    }

    /// Takes nothing any more; what waits is told so.
    pub fn close(&self) {
        self.queue.close();
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has told so itself.
            let _ = worker.join();
        }
    }
}

/// One pass over the pictures of `jobs`. It ends early only when nobody waits for any of them.
fn pass(eyes: &Eyes, jobs: Vec<Look>) {
    let pictures: Vec<Decoded> = jobs.iter().map(|job| job.picture.decoded.as_ref().clone()).collect();
    let interests: Vec<Interest> = jobs.iter().map(|job| job.interest.clone()).collect();
    let context = zoo_core::CallContext::new()
        .watched_by(move |_, _| interests.iter().any(|interest| !interest.lost()));
    let seen = context.scope(|| sightings(eyes, &pictures));
    match seen {
        Ok(seen) => {
            for (job, sighting) in jobs.into_iter().zip(seen) {
                // Who left does not hear it.
                let _ = job.reply.send(Ok(sighting));
            }
        }
        // One picture that cannot be prepared is not the fault of those beside it.
        Err(_) if jobs.len() > 1 => jobs.into_iter().for_each(|job| pass(eyes, vec![job])),
        Err(error) => {
            let failure = Failure::from(error);
            jobs.into_iter().for_each(|job| drop(job.reply.send(Err(failure.clone()))));
        }
    }
}

fn sightings(eyes: &Eyes, pictures: &[Decoded]) -> Result<Vec<Sighting>, HostError> {
    let seen = eyes.look(pictures, &())?;
    let grid = |name: &str| {
        let of = |member: &EncoderSession| {
            name == "features" || name.strip_prefix("features.").is_some_and(|label| label == member.label())
        };
        let place = eyes.members().iter().position(of)?;
        seen.members.get(place).map(|encoded| (encoded.grid.h, encoded.grid.w))
    };
    let tensors = tensors(eyes, &seen)?;
    let of_row = |row: usize| {
        let map = |rows: &Rows| Map {
            name: rows.name.clone(),
            shape: rows.shape.clone(),
            grid: grid(&rows.name),
            values: rows.row(row).to_vec(),
        };
        Sighting { maps: tensors.iter().map(map).collect() }
    };
    Ok((0..pictures.len()).map(of_row).collect())
}
