//! Drives a list of inputs through reading, looking and writing.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::find::Input;
use crate::look::{Look, LookError, Seen};
use crate::read::{Batch, Files, Item, Pictures, Position, Reading, Work, read};
use crate::write::Sink;
use crate::{Failure, WriteError};

/// What a caller wants to hear while work goes on. Everything is heard on the thread that called [`run`].
pub trait Watch {
    /// A part begins to compute.
    fn part(&self, _name: &str) {}
    /// An input gave nothing.
    fn failed(&self, _failure: &Failure) {}
    /// A row was kept.
    fn kept(&self, _item: &Item) {}
    /// So many inputs more are done.
    fn done(&self, _inputs: u64) {}
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {}

/// Who watches, and who may stop it.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Is told what happens.
    pub watch: &'a dyn Watch,
    /// Once it is set, no further batch begins.
    pub cancel: &'a AtomicBool,
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// Every input was dealt with.
    Complete,
    /// [`Control::cancel`] was set, or the context of the call lost interest.
    Cancelled,
    /// Nothing more could be kept.
    Stopped(WriteError),
}

impl From<WriteError> for End {
    fn from(error: WriteError) -> Self {
        Self::Stopped(error)
    }
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Inputs and rows that gave nothing, in order.
    pub failures: Vec<Failure>,
}

/// Reads what `sink` wants of `inputs`, computes with it, and keeps what comes out, in order. A batch that fails as a
/// whole is tried row by row, so that one bad image does not take the others with it.
pub fn run(
    inputs: &[Input],
    reading: &Reading,
    look: &dyn Look,
    sink: &mut dyn Sink,
    control: &Control<'_>,
) -> Outcome {
    run_from(&Files, inputs, reading, look, sink, control)
}

/// [`run`] for images that are kept elsewhere than in files of their own.
pub fn run_from(
    pictures: &dyn Pictures,
    inputs: &[Input],
    reading: &Reading,
    look: &dyn Look,
    sink: &mut dyn Sink,
    control: &Control<'_>,
) -> Outcome {
    let start = sink.start();
    let wanted: Vec<usize> = (start.input..inputs.len()).filter(|&input| sink.wants(input)).collect();
    let (chosen, start, wanted) = if wanted.len() == inputs.len().saturating_sub(start.input) {
        (Cow::Borrowed(inputs), start, None)
    } else {
        let chosen = wanted.iter().filter_map(|&input| inputs.get(input).cloned()).collect();
        let row = if wanted.first() == Some(&start.input) { start.row } else { 0 };
        (Cow::Owned(chosen), Position { input: 0, row }, Some(wanted))
    };
    let mut run = Run { wanted, look, sink, control, failures: Vec::new() };
    let mut end = End::Complete;
    read(pictures, &chosen, reading, start, |work| {
        if control.cancel.load(Ordering::Relaxed) {
            end = End::Cancelled;
            return ControlFlow::Break(());
        }
        match run.work(work) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                end = why;
                ControlFlow::Break(())
            }
        }
    });
    Outcome { end, failures: run.failures }
}

struct Run<'a> {
    /// Numbers of the inputs that are read, among all, if it is not all.
    wanted: Option<Vec<usize>>,
    look: &'a dyn Look,
    sink: &'a mut dyn Sink,
    control: &'a Control<'a>,
    failures: Vec<Failure>,
}

impl Run<'_> {
    /// Deals with a piece of work, or says why it is the last.
    fn work(&mut self, work: Work) -> Result<(), End> {
        match work {
            Work::Bad(input, failure) => {
                self.fail(self.number(input), None, failure)?;
                self.control.watch.done(1);
            }
            Work::Batch(batch) => {
                let files = batch.files();
                match self.look(&batch) {
                    Err(error) if error.is_cancelled() => return Err(End::Cancelled),
                    Err(_) if batch.items().len() > 1 => {
                        for single in batch.singles() {
                            let result = self.look(&single);
                            if result.as_ref().is_err_and(LookError::is_cancelled) {
                                return Err(End::Cancelled);
                            }
                            self.keep(single.into_items(), result)?;
                        }
                    }
                    result => self.keep(batch.into_items(), result)?,
                }
                self.control.watch.done(files);
            }
        }
        Ok(())
    }

    fn look(&self, batch: &Batch) -> Result<Seen, LookError> {
        self.look.look(batch, &|part| self.control.watch.part(part))
    }

    fn keep(&mut self, mut items: Vec<Item>, result: Result<Seen, LookError>) -> Result<(), WriteError> {
        items.iter_mut().for_each(|item| item.input = self.number(item.input));
        let seen = match result {
            Ok(seen) => seen,
            Err(error) => {
                // Only a batch of one comes here with an error.
                let Some(item) = items.pop() else { return Ok(()) };
                return self.fail(item.input, item.row, Failure::new(item.name, error));
            }
        };
        let failures = self.sink.put(&items, seen)?;
        for (row, item) in items.iter().enumerate() {
            if failures.iter().all(|(failed, _)| *failed != row) {
                self.control.watch.kept(item);
            }
        }
        for (_, failure) in failures {
            self.control.watch.failed(&failure);
            self.failures.push(failure);
        }
        Ok(())
    }

    fn fail(&mut self, input: usize, row: Option<usize>, failure: Failure) -> Result<(), WriteError> {
        self.sink.failed(input, row, &failure)?;
        self.control.watch.failed(&failure);
        self.failures.push(failure);
        Ok(())
    }

    fn number(&self, read: usize) -> usize {
        self.wanted.as_ref().and_then(|wanted| wanted.get(read).copied()).unwrap_or(read)
    }
}

#[cfg(test)]
mod tests;
