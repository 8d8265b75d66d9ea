//! How far a model's work has come, as every program shows it.

use std::cell::RefCell;

use zoo_host::{ModelProgress, Phase};

use crate::context::Context;
use crate::progress::Progress;

/// Shows the phases of a model's work as bars.
pub struct ModelPhases<'a, 'c> {
    context: &'a Context<'c>,
    bar: RefCell<Option<Progress>>,
}

impl<'a, 'c> ModelPhases<'a, 'c> {
    /// Shows nothing yet.
    pub fn new(context: &'a Context<'c>) -> Self {
        Self { context, bar: RefCell::new(None) }
    }
}

impl ModelProgress for ModelPhases<'_, '_> {
    fn begins(&self, phase: Phase, parts: usize) {
        let what = match phase {
            Phase::Open => "load",
            Phase::Look => "look",
        };
        *self.bar.borrow_mut() = Some(self.context.progress(what, parts as u64));
    }

    fn part(&self, name: &str) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.message(name);
            bar.advance(1);
        }
    }

    fn ends(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish();
        }
    }
}
