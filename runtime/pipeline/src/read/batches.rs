//! Puts what was opened together.

use std::collections::VecDeque;

use zoo_core::path_text;
use zoo_preprocess::{Decoded, Note};

use super::pixels::{PixelRows, pixels};
use super::{Opened, Position, ReadError};
use crate::Failure;
use crate::find::Input;

/// One row of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    /// Which input it came from.
    pub input: usize,
    /// Name in messages and metadata.
    pub name: String,
    /// Which row of a file with several.
    pub row: Option<usize>,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// What was lost or decided while reading it.
    pub notes: Vec<Note>,
}

/// What is computed at once.
#[derive(Debug)]
pub enum Batch {
    /// Images.
    Images(Vec<Item>, Vec<Decoded>),
    /// Normalised pixels `[B, 3, H, W]`, and what stands beside them.
    Pixels(Vec<Item>, PixelRows),
}

impl Batch {
    /// What its rows are, in order.
    pub fn items(&self) -> &[Item] {
        match self {
            Self::Images(items, _) | Self::Pixels(items, _) => items,
        }
    }

    /// Its rows without what they hold.
    pub fn into_items(self) -> Vec<Item> {
        match self {
            Self::Images(items, _) | Self::Pixels(items, _) => items,
        }
    }

    /// Each row as a batch of its own.
    pub fn singles(self) -> Vec<Self> {
        match self {
            Self::Images(items, images) => items
                .into_iter()
                .zip(images)
                .map(|(item, image)| Self::Images(vec![item], vec![image]))
                .collect(),
            Self::Pixels(items, pixels) => {
                let single = |(row, item)| Some(Self::Pixels(vec![item], pixels.rows(row, 1).ok()?));
                items.into_iter().enumerate().filter_map(single).collect()
            }
        }
    }

    /// Number of input files that end with it.
    pub fn files(&self) -> u64 {
        match self {
            Self::Images(items, _) => items.len() as u64,
            // A file of pixels counts when its first rows are done.
            Self::Pixels(items, _) => u64::from(items.first().is_some_and(|i| i.row.unwrap_or(0) == 0)),
        }
    }
}

/// Something to do.
#[derive(Debug)]
pub enum Work {
    /// Rows to compute.
    Batch(Batch),
    /// An input that cannot be read, and which it is.
    Bad(usize, Failure),
}

/// The works that inputs make, in order.
pub(super) struct Batches<'a, I> {
    inputs: std::iter::Skip<std::iter::Enumerate<std::slice::Iter<'a, Input>>>,
    start: Position,
    opened: I,
    batch: usize,
    items: Vec<Item>,
    images: Vec<Decoded>,
    /// To be handed out before anything else is opened.
    ready: VecDeque<Work>,
}

impl<'a, I: Iterator<Item = Opened>> Batches<'a, I> {
    /// `opened` gives something for each of `inputs` from `start` on.
    pub fn new(inputs: &'a [Input], start: Position, opened: I, batch: usize) -> Self {
        Self {
            inputs: inputs.iter().enumerate().skip(start.input),
            start,
            opened,
            batch,
            items: Vec::new(),
            images: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// The images that wait for others.
    fn flush(&mut self) {
        if !self.images.is_empty() {
            let (items, images) = (std::mem::take(&mut self.items), std::mem::take(&mut self.images));
            self.ready.push_back(Work::Batch(Batch::Images(items, images)));
        }
    }
}

impl<I: Iterator<Item = Opened>> Iterator for Batches<'_, I> {
    type Item = Work;

    fn next(&mut self) -> Option<Work> {
        while self.ready.is_empty() {
            let Some(((index, input), opened)) = self.inputs.next().zip(self.opened.next()) else {
                self.flush();
                break;
            };
            let works = match opened {
                Some(Ok(image)) => {
                    self.items.push(Item {
                        input: index,
                        name: path_text(&input.path).into_owned(),
                        row: None,
                        size: image.size,
                        notes: image.notes.clone(),
                    });
                    self.images.push(image);
                    if self.images.len() == self.batch {
                        self.flush();
                    }
                    continue;
                }
                Some(Err(error)) => vec![bad(index, input, error)],
                None => match pixels(&input.path) {
                    Ok(tensor) => {
                        let first = if index == self.start.input { self.start.row } else { 0 };
                        split(index, input, &tensor, first, self.batch)
                    }
                    Err(error) => vec![bad(index, input, error)],
                },
            };
            // Images that were read before a file of another kind keep their place.
            self.flush();
            self.ready.extend(works);
        }
        self.ready.pop_front()
    }
}

fn bad(index: usize, input: &Input, error: ReadError) -> Work {
    Work::Bad(index, Failure::new(path_text(&input.path), error))
}

/// The rows of a file of pixels from `first` on.
fn split(index: usize, input: &Input, all: &PixelRows, first: usize, batch: usize) -> Vec<Work> {
    let &[rows, _, height, width] = all.pixels.dims() else { return Vec::new() };
    let size = (width as u32, height as u32);
    let name = path_text(&input.path);
    (first..rows)
        .step_by(batch)
        .map(|start| {
            let length = batch.min(rows - start);
            let items = (start..start + length)
                .map(|row| Item {
                    input: index,
                    name: if rows == 1 { name.clone().into_owned() } else { format!("{name}[{row}]") },
                    row: (rows > 1).then_some(row),
                    size,
                    notes: Vec::new(),
                })
                .collect();
            match all.rows(start, length) {
                Ok(part) => Work::Batch(Batch::Pixels(items, part)),
                Err(error) => {
                    bad(index, input, ReadError::Pixels { path: input.path.clone(), what: error.to_string() })
                }
            }
        })
        .collect()
}
