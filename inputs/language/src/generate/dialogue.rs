//! Prompts that begin like the one before: turns of a conversation.

use std::sync::atomic::Ordering;

use candle_core::{DType, Device};
use zoo_core::{Cache, Connector, Fused, ImageBlock, ImageRefiner, LayerHook, NoHook};

use super::run::{Prefilled, positions};
use super::writing::Writing;
use super::{Assembled, Control, Finish, Generated, Generator, Options};
use crate::tokens::{IMAGE_ID, Tokenized};
use crate::{Error, Result};

/// Positions that are read in one call of the model, unless an image is longer.
const CHUNK: usize = 512;

/// A prompt, with what stands in the places of its images.
#[derive(Clone, Copy)]
pub struct Prompt<'a> {
    /// Ids, with [`IMAGE_ID`] for each image.
    pub tokens: &'a Tokenized,
    /// One per image.
    pub blocks: &'a [ImageBlock],
    /// What made the blocks, where it also looks inside the language model. Each block is one image of the batch.
    pub refine: Option<(&'a dyn Connector, &'a Fused)>,
}

/// How much of a prompt had to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Positions that were in the cache already.
    pub kept: usize,
    /// All positions of the prompt.
    pub length: usize,
}

/// What stands at one or, for an image, several positions of the cache.
enum Entry {
    Token(u32),
    Image(ImageBlock),
}

impl Entry {
    fn length(&self) -> usize {
        match self {
            Self::Token(_) => 1,
            Self::Image(block) => ImageBlock::length(block.grid, block.newline),
        }
    }

    fn is(&self, other: &Self) -> Result<bool> {
        match (self, other) {
            (Self::Token(a), Self::Token(b)) => Ok(a == b),
            (Self::Image(a), Self::Image(b)) => same(a, b),
            _ => Ok(false),
        }
    }
}

/// Whether two blocks are the same tensor, or equal number by number.
fn same(a: &ImageBlock, b: &ImageBlock) -> Result<bool> {
    if (a.grid, a.newline, a.tokens.dims()) != (b.grid, b.newline, b.tokens.dims())
        || a.tokens.dtype() != b.tokens.dtype()
    {
        return Ok(false);
    }
    if a.tokens.id() == b.tokens.id() {
        return Ok(true);
    }
    Ok(a.tokens.ne(&b.tokens)?.to_dtype(DType::U32)?.sum_all()?.to_scalar::<u32>()? == 0)
}

/// A language model that remembers what it read and wrote.
///
/// Every prompt is given whole. Of its tokens and images, those that the cache begins with are kept and the rest is
/// read, in chunks; so an edited history, another image or an answer that is tokenised differently when it is part of
/// a prompt cost the reading from there on, and never a wrong answer. An image is kept or read as a whole, in one
/// chunk, because a connector refines its cells together.
pub struct Dialogue<'a> {
    generator: &'a Generator<'a>,
    device: Device,
    cache: Cache,
    known: Vec<Entry>,
    chunk: usize,
}

impl<'a> Dialogue<'a> {
    /// A dialogue in which nothing was said, computing on `device`.
    ///
    /// # Errors
    /// The model's, when it cannot make a cache.
    pub fn new(generator: &'a Generator<'a>, device: &Device) -> Result<Self> {
        let cache = generator.model.cache(1)?;
        Ok(Self { generator, device: device.clone(), cache, known: Vec::new(), chunk: CHUNK })
    }

    /// Reads at most so many positions at a time (1 at least), images aside.
    #[must_use]
    pub fn with_chunk(self, positions: usize) -> Self {
        Self { chunk: positions.max(1), ..self }
    }

    /// Positions in the cache.
    pub fn length(&self) -> usize {
        self.known.iter().map(Entry::length).sum()
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// As [`Dialogue::new`].
    pub fn reset(&mut self) -> Result<()> {
        self.known.clear();
        self.cache = self.generator.model.cache(1)?;
        Ok(())
    }

    /// Writes the answer to `prompt`, as [`Generator::run`] would without any memory. `progress` is told how far the
    /// reading is: positions in the cache, and positions of the prompt.
    ///
    /// # Errors
    /// [`Error::ContextLimit`] before anything is read, [`Error::Conversation`] for a prompt whose images do not
    /// fit it, [`Error::Sampling`], and whatever the model or the connector say. The dialogue can be used afterwards.
    pub fn answer(
        &mut self,
        prompt: &Prompt<'_>,
        options: &Options,
        progress: &mut dyn FnMut(usize, usize),
        control: Control<'_>,
    ) -> Result<(Generated, Reading)> {
        let generator = self.generator;
        let writing = Writing::new(generator, options)?;
        let entries = entries(prompt)?;
        let length = entries.iter().map(Entry::length).sum();
        generator.fits(length)?;
        let mut common = self.common(&entries)?;
        // The logits after the last entry are not in the cache: it is read again.
        common = common.min(entries.len().saturating_sub(1));
        self.known.truncate(common);
        let reading = Reading { kept: self.length(), length };
        if let Some(finish) = writing.over(control.cancel) {
            return Ok((writing.finish(finish, control.piece)?, reading));
        }
        let mut rest = entries.into_iter().skip(common).peekable();
        let mut image = self.known.iter().filter(|entry| matches!(entry, Entry::Image(_))).count();
        let mut logits = Vec::new();
        progress(reading.kept, length);
        while rest.peek().is_some() {
            if control.cancel.load(Ordering::Relaxed) {
                return Ok((writing.finish(Finish::Cancelled, control.piece)?, reading));
            }
            let (mut chunk, mut size) = (Vec::new(), 0);
            while let Some(entry) = rest.next_if(|next| size == 0 || size + next.length() <= self.chunk) {
                size += entry.length();
                chunk.push(entry);
            }
            logits = match self.read(&chunk, image, prompt.refine, rest.peek().is_none()) {
                Err(error) if error.is_cancelled() => {
                    return Ok((writing.finish(Finish::Cancelled, control.piece)?, reading));
                }
                read => read?,
            };
            image += chunk.iter().filter(|entry| matches!(entry, Entry::Image(_))).count();
            self.known.extend(chunk);
            progress(self.length(), length);
        }
        let mut place = Prefilled { length, device: &self.device, cache: &mut self.cache };
        let generated = generator.write(writing, logits, &mut place, control)?;
        // The last token was written and not read.
        let read = generated.ids.len().saturating_sub(1);
        self.known.extend(generated.ids[..read].iter().map(|&id| Entry::Token(id)));
        Ok((generated, reading))
    }

    /// Number of entries that the cache and `entries` begin with.
    fn common(&self, entries: &[Entry]) -> Result<usize> {
        for (index, (known, entry)) in self.known.iter().zip(entries).enumerate() {
            if !known.is(entry)? {
                return Ok(index);
            }
        }
        Ok(self.known.len().min(entries.len()))
    }

    /// Reads `chunk` behind what is known; its first image is number `image` of the prompt. The logits after its
    /// last position, if they are `wanted`.
    fn read(
        &mut self,
        chunk: &[Entry],
        image: usize,
        refine: Option<(&dyn Connector, &Fused)>,
        wanted: bool,
    ) -> Result<Vec<f32>> {
        let id = |entry: &Entry| match entry {
            Entry::Token(id) => i64::from(*id),
            Entry::Image(_) => IMAGE_ID,
        };
        let tokens = Tokenized { ids: chunk.iter().map(id).collect(), labels: Vec::new() };
        let block = |entry: &Entry| match entry {
            Entry::Image(block) => Some(block.clone()),
            Entry::Token(_) => None,
        };
        let blocks: Vec<ImageBlock> = chunk.iter().filter_map(block).collect();
        let model = self.generator.model;
        let Assembled { embeddings, mut images } = Assembled::new(model, &self.device, &tokens, &blocks)?;
        // Places are those within the chunk, numbers those of the whole prompt.
        images.iter_mut().for_each(|placed| placed.image += image);
        let mut refiner = match refine {
            Some((connector, fused)) if !images.is_empty() => {
                Some(ImageRefiner::new(connector, fused, images)?)
            }
            _ => None,
        };
        let hook: &mut dyn LayerHook = match &mut refiner {
            Some(refiner) => refiner,
            None => &mut NoHook,
        };
        let length = embeddings.dim(1)?;
        let positions = positions(self.length(), length, &self.device)?;
        let hidden = model.prefill(&embeddings, &positions, &mut self.cache, hook)?;
        if !wanted {
            return Ok(Vec::new());
        }
        Ok(model.logits(&hidden.narrow(1, length - 1, 1)?)?.flatten_all()?.to_vec1()?)
    }
}

fn entries(prompt: &Prompt<'_>) -> Result<Vec<Entry>> {
    let places = prompt.tokens.images().len();
    if places != prompt.blocks.len() {
        return Err(Error::Conversation(format!(
            "the prompt has {places} places for images and {} images are given",
            prompt.blocks.len()
        )));
    }
    let mut blocks = prompt.blocks.iter();
    let entry = |id: &i64| match (*id, u32::try_from(*id)) {
        (IMAGE_ID, _) => blocks.next().cloned().map(Entry::Image),
        (_, Ok(id)) => Some(Entry::Token(id)),
        _ => None,
    };
    let entries: Option<Vec<_>> = prompt.tokens.ids.iter().map(entry).collect();
    let entries =
        entries.ok_or_else(|| Error::Conversation("a token id of the prompt is negative".into()))?;
    if entries.is_empty() {
        return Err(Error::Conversation("the prompt has no text".into()));
    }
    Ok(entries)
}
