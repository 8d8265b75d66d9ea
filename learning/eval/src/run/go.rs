//! Asking all questions of a task that have no reply yet.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Answerer, Asking, Record, Reply, Seen, Shard, Store};
use crate::dataset::{Dataset, Item};
use crate::{Error, Result, text};

/// Pictures that are read and decoded ahead of their turn.
const AHEAD: usize = 4;

/// Questions in a row that an endpoint does not answer, after which the others are not asked.
const LOST: usize = 16;

/// A task that is being asked.
pub struct Run<'a> {
    /// Its questions.
    pub dataset: &'a Dataset,
    /// The folder of its replies.
    pub folder: &'a Path,
    /// The part of them that is asked.
    pub shard: Shard,
    /// How.
    pub asking: &'a Asking,
    /// Set when whoever waits wants it to end.
    pub stop: &'a AtomicBool,
}

/// Who watches.
pub trait Watch {
    /// `done` of `total` questions have a reply, as many of them from before.
    fn begins(&self, done: usize, total: usize);
    /// One more question has a reply, or failed.
    fn reply(&self, item: &Item, reply: Result<&Reply, &Error>);
}

/// A question without a reply.
#[derive(Debug)]
pub struct Failure {
    /// Where it stands in the data.
    pub place: String,
    /// Why.
    pub error: Error,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Replies that are stored.
    pub done: usize,
    /// Questions there are.
    pub total: usize,
    /// Questions without a reply.
    pub failures: Vec<Failure>,
    /// Whether it was stopped.
    pub stopped: bool,
    /// Whether the others were not asked, since the endpoint answered none of many in a row.
    pub lost: bool,
}

impl Run<'_> {
    /// Asks. A question that fails is told of and left out; asking again asks it again.
    ///
    /// # Errors
    /// What concerns all questions: the folder, the files.
    pub fn go(&self, answerer: &(dyn Answerer + Sync), watch: &dyn Watch) -> Result<Outcome> {
        let (mut store, done) = Store::open(self.folder, self.shard)?;
        let done: HashSet<u64> = done.into_iter().collect();
        let total = self.dataset.items.iter().filter(|item| self.shard.has(item.index)).count();
        watch.begins(done.len(), total);
        let mut outcome = Outcome { done: done.len(), total, ..Outcome::default() };
        let halted = AtomicBool::new(false);
        let over = || halted.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed);
        let together = answerer.together().max(1);
        let (questions, waiting) = sync_channel(AHEAD.max(together));
        let waiting = Mutex::new(waiting);
        let (answers, arriving) = sync_channel(AHEAD);
        std::thread::scope(|scope| -> Result<()> {
            let reading = scope.spawn(|| {
                let wanted = |item: &Item| self.shard.has(item.index) && !done.contains(&item.index);
                let questions = questions;
                self.dataset.pictures(wanted, |item, picture| {
                    let question = self.prepare(answerer, item, picture);
                    match questions.send((item, question)) {
                        Ok(()) if !over() => ControlFlow::Continue(()),
                        _ => ControlFlow::Break(()),
                    }
                })
            });
            for _ in 0..answerer.at_once().max(1) {
                let (waiting, answers) = (&waiting, answers.clone());
                scope.spawn(move || {
                    while let Some(group) = next(waiting, together) {
                        if over() {
                            continue; // so that whoever reads ahead is not left waiting
                        }
                        for answered in self.answered(answerer, group) {
                            if answers.send(answered).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
            drop(answers);
            let (mut kept, mut in_a_row) = (Ok(()), 0);
            for (item, answered) in arriving {
                if kept.is_err() {
                    continue; // the threads end by themselves
                }
                match answered {
                    Ok((reply, _)) if reply.finish == "cancelled" => halted.store(true, Ordering::Relaxed),
                    Ok((reply, digest)) => {
                        kept = store.add(&record(item, &reply, digest));
                        outcome.done += usize::from(kept.is_ok());
                        in_a_row = 0;
                        watch.reply(item, Ok(&reply));
                    }
                    Err(error) => {
                        watch.reply(item, Err(&error));
                        in_a_row += usize::from(matches!(error, Error::Endpoint { .. }));
                        if in_a_row >= LOST {
                            outcome.lost = true;
                            halted.store(true, Ordering::Relaxed);
                        }
                        outcome.failures.push(Failure { place: item.place.clone(), error });
                    }
                }
                if kept.is_err() {
                    halted.store(true, Ordering::Relaxed);
                }
            }
            let read =
                reading.join().unwrap_or_else(|_| Err(Error::Input("reading the pictures broke off".into())));
            kept.and(read)
        })?;
        store.finish()?;
        outcome.stopped = over() && !outcome.lost;
        Ok(outcome)
    }

    /// The answers to some questions; those whose picture is wrong have none.
    fn answered<'i>(&self, answerer: &(dyn Answerer + Sync), group: Vec<Asked<'i>>) -> Vec<Answered<'i>> {
        let (mut out, mut asked, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for (item, question) in group {
            match question {
                Ok(question) => {
                    asked.push((item, question.seen));
                    digests.push((item, question.digest));
                }
                Err(error) => out.push((item, Err(error))),
            }
        }
        let replies = answerer.answer_all(asked, self.asking);
        let replied = digests.into_iter().zip(replies);
        out.extend(replied.map(|((item, digest), reply)| (item, reply.map(|reply| (reply, digest)))));
        out
    }

    fn prepare(
        &self,
        answerer: &(dyn Answerer + Sync),
        item: &Item,
        picture: Result<Option<Vec<u8>>>,
    ) -> Result<Question> {
        let Some(bytes) = picture? else { return Ok(Question { seen: None, digest: None }) };
        let digest = Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let seen = match self.asking.blind {
            true => None,
            false => {
                let seen = answerer.prepare(bytes);
                Some(seen.map_err(|message| Error::Input(format!("{}: the picture: {message}", item.place)))?)
            }
        };
        Ok(Question { seen, digest: Some(digest) })
    }
}

struct Question {
    seen: Option<Seen>,
    digest: Option<String>,
}

/// The reply to a question with the digest of its picture, or why there is none.
type Answered<'a> = (&'a Item, Result<(Reply, Option<String>)>);

/// A question, or what is wrong with its picture.
type Asked<'a> = (&'a Item, Result<Question>);

/// The next questions, `most` of them where there are as many; none at the end.
fn next<'a>(waiting: &Mutex<Receiver<Asked<'a>>>, most: usize) -> Option<Vec<Asked<'a>>> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let mut group = vec![waiting.recv().ok()?];
    while group.len() < most
        && let Ok(asked) = waiting.recv()
    {
        group.push(asked);
    }
    Some(group)
}

fn record(item: &Item, reply: &Reply, picture: Option<String>) -> Record {
    Record {
        index: item.index,
        id: item.id.clone(),
        prompt: item.prompt.clone(),
        reply: text::strip(&reply.text).to_owned(),
        finish: reply.finish.clone(),
        tokens: reply.tokens,
        choices: reply.choices.clone(),
        picture,
        target: item.target.clone(),
        corrected: item.corrected.clone(),
        columns: item.columns.clone(),
    }
}
