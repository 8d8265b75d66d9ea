//! From a list of files to batches, read ahead of the computation.

mod ahead;
mod batches;
mod image;
mod pixels;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use zoo_core::path_text;
use zoo_preprocess::DecodeOptions;

use crate::find::{Contents, Input};
use ahead::Ahead;
use batches::Batches;

pub use batches::{Batch, Item, Work};
pub use image::image;
pub use pixels::{PixelRows, rows as pixel_rows};

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The image.
    #[error(transparent)]
    Image(#[from] zoo_preprocess::Error),
    /// A decoder that panicked.
    #[error("{name}: the decoder failed on this image; please report it")]
    Decoder {
        /// The image.
        name: String,
    },
    /// The bytes of an image could not be had where it is kept.
    #[error("{name}: {what}")]
    Source {
        /// The image.
        name: String,
        /// What the source said.
        what: String,
    },
    /// A file of normalised pixels.
    #[error("{}: {what}", path_text(path))]
    Pixels {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// How inputs are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Most rows in a batch.
    pub batch: NonZeroUsize,
    /// Threads that decode.
    pub threads: NonZeroUsize,
    /// How images are decoded.
    pub decode: DecodeOptions,
}

impl Reading {
    /// `batch` and `threads` of 0 are 1.
    pub fn new(batch: usize, threads: usize, decode: DecodeOptions) -> Self {
        let some = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        Self { batch: some(batch), threads: some(threads), decode }
    }
}

/// The first row that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Which input.
    pub input: usize,
    /// Which row of it, where it is a file with several.
    pub row: usize,
}

/// Where images come from: files, or whatever else holds them.
pub trait Pictures: Sync {
    /// Decodes one; called from several threads.
    ///
    /// # Errors
    /// Why it cannot be had or decoded.
    fn open(&self, input: &Input, options: &DecodeOptions) -> Result<zoo_preprocess::Decoded, ReadError>;
}

/// Images that are files of their own, or stand on standard input.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl Pictures for Files {
    fn open(&self, input: &Input, options: &DecodeOptions) -> Result<zoo_preprocess::Decoded, ReadError> {
        Ok(image(&input.path, options)?)
    }
}

/// Gives `each` everything that `inputs` hold from `start` on, in order, until it breaks off. While it is busy with a
/// batch, what the next one needs is decoded, on [`Reading::threads`]. Memory is bounded: a batch ahead, or an image
/// for each thread if that is more.
pub fn read(
    pictures: &dyn Pictures,
    inputs: &[Input],
    reading: &Reading,
    start: Position,
    each: impl FnMut(Work) -> ControlFlow<()>,
) {
    read_with(inputs, reading, start, |input| open(pictures, input, &reading.decode), each);
}

/// An image, an error, or nothing where the input holds something else.
type Opened = Option<Result<zoo_preprocess::Decoded, ReadError>>;

fn read_with(
    inputs: &[Input],
    reading: &Reading,
    start: Position,
    open: impl Fn(&Input) -> Opened + Sync,
    mut each: impl FnMut(Work) -> ControlFlow<()>,
) {
    // Whatever goes wrong with one image must not end the thread that decodes others.
    let open = |input: &Input| {
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| open(input)));
        let failed = |_| Some(Err(ReadError::Decoder { name: path_text(&input.path).into_owned() }));
        opened.unwrap_or_else(failed)
    };
    let ahead = Ahead::of_batches(reading.batch.get(), reading.threads.get());
    let wanted = inputs.get(start.input..).unwrap_or_default();
    ahead.run(wanted, open, |opened| {
        // Who breaks off wants nothing more.
        let _ = Batches::new(inputs, start, opened, reading.batch.get()).try_for_each(&mut each);
    });
}

/// Decodes an image. Files of pixels are not read ahead: they need no decoding, and one may hold a thousand images.
fn open(pictures: &dyn Pictures, input: &Input, options: &DecodeOptions) -> Opened {
    match input.contents {
        Contents::Image => Some(pictures.open(input, options)),
        Contents::Pixels => None,
    }
}

#[cfg(test)]
mod tests;
