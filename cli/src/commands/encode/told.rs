//! What is said while work goes on: each thing once.

use std::cell::{Cell, RefCell};

use zoo_pipeline::find::Passed;
use zoo_pipeline::read::Item;
use zoo_pipeline::{Failure, Watch};
use zoo_terminal::{Context, Progress, counted};

/// Names that stand for more of their kind.
const NAMED: usize = 3;

/// Shows how far work has come, and what went wrong.
pub(in crate::commands) struct Told<'a, 'c> {
    context: &'a Context<'c>,
    progress: Progress,
    /// Of a single input that fails, the message of the command says everything.
    alone: bool,
    last: RefCell<String>,
    repeated: Cell<usize>,
}

impl<'a, 'c> Told<'a, 'c> {
    /// Of the command `name`, about so many inputs.
    pub fn new(context: &'a Context<'c>, name: &'static str, inputs: usize) -> Self {
        Self {
            context,
            progress: context.progress(name, inputs as u64),
            alone: inputs == 1,
            last: RefCell::default(),
            repeated: Cell::new(0),
        }
    }

    /// What is being worked on.
    pub fn message(&self, message: &str) {
        self.progress.message(message);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.end_repetition();
        self.progress.finish();
    }

    fn end_repetition(&self) {
        let repeated = self.repeated.replace(0);
        if repeated > 0 {
            let line = format!("the same of {} more", counted(repeated, "input"));
            self.progress.suspend(|| self.context.complain(&line));
        }
    }
}

impl Watch for Told<'_, '_> {
    fn part(&self, name: &str) {
        self.progress.message(name);
    }

    fn failed(&self, failure: &Failure) {
        if self.alone {
            return;
        }
        let error = failure.error.to_string();
        if *self.last.borrow() == error {
            return self.repeated.set(self.repeated.get() + 1);
        }
        self.end_repetition();
        self.progress.suspend(|| self.context.complain(&failure.to_string()));
        *self.last.borrow_mut() = error;
    }

    fn kept(&self, item: &Item) {
        for note in &item.notes {
            self.progress.suspend(|| self.context.note(&format!("{}: {note}", item.name)));
        }
    }

    fn done(&self, inputs: u64) {
        self.progress.advance(inputs);
    }
}

/// A line for each reason to pass files over.
pub(in crate::commands) fn passed_over(passed: &[Passed], context: &Context<'_>) {
    for Passed { reason, paths } in passed {
        let named: Vec<_> = paths.iter().take(NAMED).map(zoo_core::path_text).collect();
        let more = if paths.len() > NAMED { ", …" } else { "" };
        let files = counted(paths.len(), "file");
        context.note(&format!("passed over {files}: {reason} ({}{more})", named.join(", ")));
    }
}
