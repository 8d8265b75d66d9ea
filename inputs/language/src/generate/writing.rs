//! One answer while it is being written.

use std::sync::atomic::{AtomicBool, Ordering};

use super::stop::StopFilter;
use super::text::TextStream;
use super::{Finish, Generated, Generator, Options};
use crate::Result;
use crate::sampling::Sampler;

/// What is written so far, and what may end it.
pub(super) struct Writing<'a> {
    options: &'a Options,
    stop_ids: Vec<u32>,
    sampler: Sampler,
    stream: TextStream<'a>,
    filter: StopFilter<'a>,
    ids: Vec<u32>,
    text: String,
}

impl<'a> Writing<'a> {
    pub fn new(generator: &'a Generator<'_>, options: &'a Options) -> Result<Self> {
        Ok(Self {
            options,
            stop_ids: generator.stop_ids(options),
            sampler: Sampler::new(options.sampling.clone(), generator.banned.clone())?,
            stream: TextStream::new(generator.tokenizer),
            filter: StopFilter::new(&options.stop_strings),
            ids: Vec::new(),
            text: String::new(),
        })
    }

    /// The tokens so far.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Why there is no next token, if so.
    pub fn over(&self, cancel: &AtomicBool) -> Option<Finish> {
        if cancel.load(Ordering::Relaxed) {
            return Some(Finish::Cancelled);
        }
        (self.ids.len() >= self.options.max_new_tokens).then_some(Finish::MaxTokens)
    }

    /// Chooses the next token, hands over what is certain, and says why the answer ends with it, if so.
    pub fn choose(&mut self, logits: &[f32], piece: &mut dyn FnMut(&str)) -> Result<Option<Finish>> {
        let id = self.sampler.next(logits, &self.ids)?;
        self.ids.push(id);
        if self.stop_ids.contains(&id) {
            return Ok(Some(Finish::StopId(id)));
        }
        let (certain, stop) = self.filter.push(&self.stream.push(id)?);
        give(&mut self.text, piece, &certain);
        Ok(stop.map(Finish::StopString))
    }

    /// The answer that ends for this reason.
    pub fn finish(mut self, finish: Finish, piece: &mut dyn FnMut(&str)) -> Result<Generated> {
        let finish = match finish {
            stopped @ Finish::StopString(_) => stopped,
            other => {
                let (certain, stop) = self.filter.push(&self.stream.finish()?);
                give(&mut self.text, piece, &certain);
                if stop.is_none() {
                    give(&mut self.text, piece, &self.filter.finish());
                }
                stop.map_or(other, Finish::StopString)
            }
        };
        Ok(Generated { ids: self.ids, text: self.text, finish })
    }
}

fn give(text: &mut String, piece: &mut dyn FnMut(&str), certain: &str) {
    if !certain.is_empty() {
        text.push_str(certain);
        piece(certain);
    }
}
