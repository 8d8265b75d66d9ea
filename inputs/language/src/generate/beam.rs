//! Beam search.
//!
//! The procedure is that of `generate(num_beams=k, do_sample=False)` of transformers, with its default heuristic
//! for when to stop: once no beam, at its present length, scores better than the worst of `k` finished answers.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use zoo_core::LayerHook;

use super::{Finish, Generated, Generator, Options};
use crate::sampling::score_log_probabilities;
use crate::{Error, Result};

/// How wide to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beams {
    /// Answers that are followed at the same time; 1 or more.
    pub count: usize,
    /// Scores are divided by the length to this power: above 0 favours long answers, below 0 short ones.
    pub length_penalty: f64,
    /// Whether the search ends as soon as `count` answers are finished, without asking if others could be better.
    pub early_stopping: bool,
}

impl Beams {
    /// A search of this width with transformers' defaults: length penalty 1, no early stopping.
    pub fn new(count: usize) -> Self {
        Self { count, length_penalty: 1.0, early_stopping: false }
    }
}

/// An answer that beam search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The answer.
    pub generated: Generated,
    /// Its log-likelihood over its length to the power of [`Beams::length_penalty`].
    pub score: f64,
}

/// A beginning of an answer.
struct Beam {
    ids: Vec<u32>,
    /// Sum of log-probabilities.
    score: f64,
}

/// One more token after one of the beams.
struct Candidate {
    beam: usize,
    id: u32,
    score: f64,
}

impl Generator<'_> {
    /// The [`Beams::count`] best answers to a prompt of `embeddings` `[1, T, H]`, best first. A repetition penalty
    /// applies to log-probabilities, as in transformers; other sampling makes no sense here.
    ///
    /// # Errors
    /// As [`Generator::run`]; [`Error::Sampling`] for a count of 0 or a temperature above 0; the model's, if it
    /// cannot reorder its cache.
    pub fn beam_search(
        &self,
        embeddings: &Tensor,
        hook: &mut dyn LayerHook,
        options: &Options,
        beams: &Beams,
        cancel: &AtomicBool,
    ) -> Result<Vec<Hypothesis>> {
        options.sampling.validate()?;
        if beams.count == 0 || options.sampling.temperature != 0.0 {
            return Err(Error::Sampling(format!(
                "a search of {} beams at temperature {}; it needs one beam or more and temperature 0",
                beams.count, options.sampling.temperature
            )));
        }
        let length = self.room(embeddings, 1)?;
        let room = self.model.descriptor().max_positions - length + 1;
        let mut search = Search::new(self, options, beams, room);
        if search.most == 0 {
            return Ok(Vec::new());
        }
        let mut cache = self.model.cache(1)?;
        let mut logits = self.prefill(embeddings, &mut cache, hook, 1)?;
        while let Some(parents) = search.step(&logits)? {
            if cancel.load(Ordering::Relaxed) {
                return search.finish(Some(Finish::Cancelled));
            }
            self.model.select_rows(&mut cache, &parents)?;
            let last = search
                .running
                .iter()
                .map(|beam| (beam.ids.last().copied().unwrap_or_default(), length + beam.ids.len() - 1));
            let last: Vec<_> = last.collect();
            logits = match self.decode(&last, embeddings.device(), &mut cache) {
                Err(error) if error.is_cancelled() => return search.finish(Some(Finish::Cancelled)),
                rows => rows?,
            };
        }
        search.finish(None)
    }
}

struct Search<'a> {
    generator: &'a Generator<'a>,
    options: &'a Options,
    beams: &'a Beams,
    stop_ids: Vec<u32>,
    /// Stop strings that are no tokens.
    stop_texts: Vec<&'a str>,
    /// Most tokens.
    most: usize,
    /// Why an answer of that length ends.
    full: Finish,
    running: Vec<Beam>,
    /// Scores with the length penalty, best first.
    finished: Vec<(f64, Vec<u32>, Finish)>,
    /// Whether a running beam may still beat a finished answer.
    hopeful: bool,
}

impl<'a> Search<'a> {
    fn new(generator: &'a Generator<'a>, options: &'a Options, beams: &'a Beams, room: usize) -> Self {
        let texts = options.stop_strings.iter().map(String::as_str);
        Self {
            generator,
            options,
            beams,
            stop_ids: generator.stop_ids(options),
            stop_texts: texts.filter(|t| !t.is_empty() && generator.tokenizer.id(t).is_none()).collect(),
            most: options.max_new_tokens.min(room),
            full: if options.max_new_tokens > room { Finish::ContextFull } else { Finish::MaxTokens },
            running: vec![Beam { ids: Vec::new(), score: 0.0 }],
            finished: Vec::new(),
            hopeful: true,
        }
    }

    /// One token further, given the logits of every running beam. Returns the beam that each of the next ones goes
    /// on from, or nothing when the search is over.
    fn step(&mut self, logits: &[Vec<f32>]) -> Result<Option<Vec<usize>>> {
        let width = self.beams.count;
        let length = self.running.first().map_or(0, |beam| beam.ids.len()) + 1;
        let mut candidates = self.candidates(logits)?;
        // So many that `width` of them go on even if all stop tokens are among the best of each beam.
        candidates.truncate((1 + self.stop_ids.len()).max(2) * width);

        // As it is before this step: all answers that end in the same step are compared.
        let open = self.hopeful && !(self.finished.len() == width && self.beams.early_stopping);
        let mut next = Vec::with_capacity(width);
        let mut parents = Vec::with_capacity(width);
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let mut ids = self.running[candidate.beam].ids.clone();
            ids.push(candidate.id);
            match self.end(&ids)? {
                Some(finish) if rank < width && open => self.keep(candidate.score, ids, finish),
                Some(_) => {}
                None if next.len() < width => {
                    next.push(Beam { ids, score: candidate.score });
                    parents.push(candidate.beam);
                }
                None => {}
            }
        }
        let Some(best) = next.first() else { return Ok(None) };
        let full = self.finished.len() == width;
        if let (true, Some((worst, _, _))) = (full, self.finished.last()) {
            self.hopeful &= self.scored(best.score, length) > *worst;
        }
        self.running = next;
        Ok((self.hopeful && !(full && self.beams.early_stopping)).then_some(parents))
    }

    /// Every possible next token, best first; of equal ones, that of the first beam and the lowest id.
    fn candidates(&self, logits: &[Vec<f32>]) -> Result<Vec<Candidate>> {
        let mut all = Vec::new();
        for (beam, (running, logits)) in self.running.iter().zip(logits).enumerate() {
            let penalty = self.options.sampling.repetition_penalty;
            let scores = score_log_probabilities(logits, &running.ids, &self.generator.banned, penalty)?;
            let candidate = |(id, score)| Candidate { beam, id, score: running.score + score };
            all.extend((0..).zip(scores).filter(|(_, score)| score.is_finite()).map(candidate));
        }
        let order = |a: &Candidate, b: &Candidate| {
            b.score.total_cmp(&a.score).then(a.beam.cmp(&b.beam)).then(a.id.cmp(&b.id))
        };
        let kept = (1 + self.stop_ids.len()).max(2) * self.beams.count;
        if kept < all.len() {
            all.select_nth_unstable_by(kept, order);
            all.truncate(kept);
        }
        all.sort_unstable_by(order);
        Ok(all)
    }

    /// Why an answer of these tokens is finished, if it is.
    fn end(&self, ids: &[u32]) -> Result<Option<Finish>> {
        if let Some(id) = ids.last().filter(|id| self.stop_ids.contains(id)) {
            return Ok(Some(Finish::StopId(*id)));
        }
        if !self.stop_texts.is_empty() {
            let text = self.generator.tokenizer.decode(ids)?;
            if let Some(stop) = self.stop_texts.iter().find(|stop| text.contains(**stop)) {
                return Ok(Some(Finish::StopString((*stop).to_owned())));
            }
        }
        Ok((ids.len() >= self.most).then(|| self.full.clone()))
    }

    /// Takes a finished answer among the best.
    fn keep(&mut self, score: f64, ids: Vec<u32>, finish: Finish) {
        let score = self.scored(score, ids.len());
        let at = self.finished.partition_point(|(other, _, _)| *other >= score);
        self.finished.insert(at, (score, ids, finish));
        self.finished.truncate(self.beams.count);
    }

    fn scored(&self, score: f64, length: usize) -> f64 {
        score / (length as f64).powf(self.beams.length_penalty)
    }

    /// The finished answers; with a reason, also the running ones.
    fn finish(mut self, running: Option<Finish>) -> Result<Vec<Hypothesis>> {
        if let Some(finish) = running {
            for beam in std::mem::take(&mut self.running) {
                self.keep(beam.score, beam.ids, finish.clone());
            }
        }
        let hypothesis = |(score, ids, finish): (f64, Vec<u32>, Finish)| {
            let shown = ids.len() - usize::from(matches!(finish, Finish::StopId(_)));
            let mut text = self.generator.tokenizer.decode(&ids[..shown])?;
            if let Finish::StopString(stop) = &finish
                && let Some(at) = text.find(stop.as_str())
            {
                text.truncate(at);
            }
            Ok(Hypothesis { generated: Generated { ids, text, finish }, score })
        };
        std::mem::take(&mut self.finished).into_iter().map(hypothesis).collect()
    }
}
