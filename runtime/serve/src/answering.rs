//! The model at work: one answer at a time, in the order in which questions came.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zoo_core::{LayerHook, NoHook};
use zoo_host::{HostError, ModelSession, Sight};
use zoo_language::generate::{Control, Finish, Generator, Options};
use zoo_language::tokens::Tokenized;

use crate::Failure;
use crate::interest::Interest;
use crate::measures::Measures;
use crate::picture::Picture;
use crate::queue::{Job, Queue, Refused};

/// Pictures whose tokens are kept, so that a conversation about one looks at it once.
const KEPT: usize = 16;

/// What a client hears of its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// More of its text.
    Piece(String),
    /// All of it was said.
    End {
        /// Why no more follows.
        finish: Finish,
        /// Positions of the prompt, those of pictures included.
        prompt: usize,
        /// Tokens of the answer.
        written: usize,
    },
    /// There is no answer, or no more of it.
    Failed(Failure),
}

/// What is asked.
#[derive(Debug)]
pub struct Question {
    /// [`ModelSession::prompt`] of a conversation.
    pub prompt: Tokenized,
    /// Those that it speaks of.
    pub pictures: Vec<Picture>,
    /// How the answer is written.
    pub options: Options,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    interest: Interest,
    reply: UnboundedSender<Said>,
}

impl Job for Asked {
    fn wanted(&self) -> bool {
        !self.interest.lost()
    }
}

/// What serves the model.
pub struct Answerer {
    session: Arc<ModelSession>,
    queue: Arc<Queue<Asked>>,
    worker: Option<JoinHandle<()>>,
}

impl Answerer {
    /// Starts its thread; so many questions may wait.
    ///
    /// # Errors
    /// Of the system, which has no thread to give.
    pub fn start(session: ModelSession, places: usize, measures: Measures) -> std::io::Result<Self> {
        let (session, queue) = (Arc::new(session), Arc::new(Queue::new(places)));
        let (mind, taken) = (Arc::clone(&session), Arc::clone(&queue));
        let worker = std::thread::Builder::new().name("answer".into()).spawn(move || {
            let mut worker = Worker { session: &mind, seen: Vec::new(), measures: &measures };
            while let Some(asked) = taken.take(1, Duration::ZERO) {
                asked.into_iter().for_each(|asked| worker.answer(&asked));
            }
        })?;
        Ok(Self { session, queue, worker: Some(worker) })
    }

    /// The model.
    pub fn session(&self) -> &ModelSession {
        &self.session
    }

    /// Questions that wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Asks; the answer comes piece by piece.
    ///
    /// # Errors
    /// [`Failure::busy`], [`Failure::closing`].
    pub fn ask(&self, question: Question, interest: Interest) -> Result<UnboundedReceiver<Said>, Failure> {
        // Not more than the tokens that were asked for; whoever reads slowly holds up nobody.
        let (reply, said) = unbounded_channel();
        self.queue.push(vec![Asked { question, interest, reply }]).map_err(|refused| match refused {
            Refused::Full(waiting) => Failure::busy(waiting, 5),
            Refused::Closed => Failure::closing(),
        })?;
        Ok(said)
    }

    /// Takes nothing any more; what waits is told so.
    pub fn close(&self) {
        self.queue.close();
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has told so itself.
            let _ = worker.join();
        }
    }
}

struct Worker<'a> {
    session: &'a ModelSession,
    /// What was seen last, the newest at the end.
    seen: Vec<(Vec<[u8; 32]>, Sight)>,
    measures: &'a Measures,
}

impl Worker<'_> {
    fn answer(&mut self, asked: &Asked) {
        let said = asked.interest.context().scope(|| self.write(asked));
        let last = said.unwrap_or_else(|error| Said::Failed(error.into()));
        // Who left does not hear it.
        let _ = asked.reply.send(last);
    }

    fn write(&mut self, asked: &Asked) -> Result<Said, HostError> {
        let Asked { question, interest, reply } = asked;
        let (session, measures) = (self.session, self.measures);
        let sight = self.sight(&question.pictures)?;
        let assembled = session.assemble(&question.prompt, sight)?;
        let mut refiner = session.hook(sight, &assembled)?;
        let hook: &mut dyn LayerHook = match &mut refiner {
            Some(refiner) => refiner,
            None => &mut NoHook,
        };
        let mut piece = |piece: &str| {
            if reply.send(Said::Piece(piece.to_owned())).is_err() {
                interest.end();
            }
        };
        let control = Control { cancel: interest.flag(), piece: &mut piece };
        let generator = Generator::new(session.llm()?, session.tokenizer());
        let written = generator.run(&assembled.embeddings, hook, &question.options, control)?;
        let (prompt, count) = (assembled.embeddings.dim(1)?, written.ids.len());
        measures.tokens(prompt, count);
        Ok(Said::End { finish: written.finish, prompt, written: count })
    }

    /// Looks at the pictures of a conversation, unless they are those of one before.
    fn sight(&mut self, pictures: &[Picture]) -> Result<&Sight, HostError> {
        let key: Vec<[u8; 32]> = pictures.iter().map(|picture| picture.digest).collect();
        let place = match self.seen.iter().position(|(known, _)| *known == key) {
            Some(place) => place,
            None => {
                let decoded: Vec<_> =
                    pictures.iter().map(|picture| picture.decoded.as_ref().clone()).collect();
                let sight = self.session.look(&decoded, &())?;
                if self.seen.len() >= KEPT {
                    self.seen.remove(0);
                }
                self.seen.push((key, sight));
                self.seen.len() - 1
            }
        };
        let found = self.seen.remove(place);
        self.seen.push(found);
        let last = self.seen.last().map(|(_, sight)| sight);
        last.ok_or_else(|| HostError::Internal("what was seen is gone".into()))
    }
}
