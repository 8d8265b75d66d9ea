//! What a run says of itself in its folder: `log.jsonl`, TensorBoard's file, and the curves.

use std::path::{Path, PathBuf};

use super::curves;
use super::events::Events;
use super::log::{Log, Step};
use crate::Result;

/// The log of a run in all its forms.
pub struct Journal {
    out: PathBuf,
    log: Log,
    events: Events,
    steps: Vec<Step>,
}

impl Journal {
    /// Goes on in the folder `out` of a run behind what its log said `before`, line by line.
    pub(super) fn open(out: &Path, before: Vec<(String, Step)>) -> Result<Self> {
        let log = Log::open(out, &before)?;
        let steps: Vec<Step> = before.into_iter().map(|(_, step)| step).collect();
        Ok(Self { events: Events::open(out, &steps)?, out: out.to_owned(), log, steps })
    }

    /// Goes on in the folder `out` after step `step`: what it says of later ones, which will be done again, is dropped.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn after(out: &Path, step: usize) -> Result<Self> {
        Self::open(out, Log::read(out, step))
    }

    /// Writes a step down.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn step(&mut self, step: &Step) -> Result<()> {
        self.log.line(&self.out, step)?;
        self.events.step(step)?;
        self.steps.push(step.clone());
        Ok(())
    }

    /// Draws the curves of all steps.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn draw(&self) -> Result<()> {
        curves::draw(&self.out, &self.steps)
    }
}
