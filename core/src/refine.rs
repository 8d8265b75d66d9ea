//! In-LLM aggregation: the hook that lets a connector look at its images again between decoder layers.

use candle_core::Tensor;

use crate::features::Grid;
use crate::fusion::{Cells, Fused, ImageBlock};
use crate::llm::LayerHook;
use crate::traits::Connector;
use crate::{Error, Result};

/// An [`ImageBlock`] and the place in a batch of sequences where its tokens begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedImage {
    /// Row of the batch of sequences.
    pub sequence: usize,
    /// Position of the block's first token in that sequence.
    pub start: usize,
    /// Which image of the [`Fused`] batch.
    pub image: usize,
    /// As in the block.
    pub grid: Grid,
    /// As in the block.
    pub newline: bool,
}

impl PlacedImage {
    /// The block of image `image`, standing in sequence `sequence` from position `start` on.
    pub fn new(block: &ImageBlock, image: usize, sequence: usize, start: usize) -> Self {
        Self { sequence, start, image, grid: block.grid, newline: block.newline }
    }

    /// The position after the block's last token.
    pub fn end(&self) -> usize {
        self.start + ImageBlock::length(self.grid, self.newline)
    }
}

/// Refines the cells of every placed image after the decoder layers that the connector's descriptor names
/// ([`crate::ConnectorDescriptor::refine_after`]). Newline and text positions pass through untouched, bit for
/// bit. For prefill only: later tokens see the refined states through the KV cache.
///
/// Blocks are found by where they really stand, so that any prompt, padding side and number of images works.
/// (Cambrian-1's own code assumes a prefix of constant length; for its prompts both are the same.)
pub struct ImageRefiner<'a> {
    connector: &'a dyn Connector,
    fused: &'a Fused,
    /// Sorted by sequence and start.
    images: Vec<PlacedImage>,
}

impl<'a> ImageRefiner<'a> {
    /// A hook for `images`, which `connector` fused into `fused`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when two blocks overlap or an image is not in `fused`.
    pub fn new(connector: &'a dyn Connector, fused: &'a Fused, mut images: Vec<PlacedImage>) -> Result<Self> {
        images.sort_by_key(|i| (i.sequence, i.start));
        let batch = fused.tokens.dim(0)?;
        if let Some(stray) = images.iter().find(|i| i.image >= batch) {
            return Err(Error::invalid(format!("image {} of a batch of {batch}", stray.image)));
        }
        for pair in images.windows(2) {
            if pair[0].sequence == pair[1].sequence && pair[1].start < pair[0].end() {
                return Err(Error::invalid(format!(
                    "images {} and {} overlap in sequence {}: {}..{} and {}..{}",
                    pair[0].image,
                    pair[1].image,
                    pair[0].sequence,
                    pair[0].start,
                    pair[0].end(),
                    pair[1].start,
                    pair[1].end()
                )));
            }
        }
        Ok(Self { connector, fused, images })
    }

    /// The block `[length, H]` of one image with its cells refined.
    fn refined(&self, step: usize, image: &PlacedImage, block: &Tensor) -> Result<Tensor> {
        let Grid { h, w } = image.grid;
        let lines = block.reshape((h, w + usize::from(image.newline), ()))?;
        let hidden = lines.narrow(1, 0, w)?.flatten_to(1)?;
        let cells = Cells { hidden, grid: image.grid, row: image.image };
        let refined = self.connector.refine(step, &cells, self.fused)?;
        if refined.dims() != cells.hidden.dims() || refined.dtype() != block.dtype() {
            return Err(Error::Internal(format!(
                "{}: refining {:?} {:?} gave {:?} {:?}",
                self.connector.descriptor().id,
                cells.hidden.dims(),
                block.dtype(),
                refined.dims(),
                refined.dtype()
            )));
        }
        if !image.newline {
            return Ok(refined);
        }
        let refined = refined.reshape((h, w, ()))?;
        Ok(Tensor::cat(&[&refined, &lines.narrow(1, w, 1)?], 1)?.flatten_to(1)?)
    }
}

impl LayerHook for ImageRefiner<'_> {
    fn after(&self) -> Vec<usize> {
        self.connector.descriptor().refine_after.clone()
    }

    fn call(&mut self, step: usize, _: usize, hidden: Tensor) -> Result<Tensor> {
        let (batch, length, _) = hidden.dims3()?;
        if let Some(stray) = self.images.iter().find(|i| i.sequence >= batch || i.end() > length) {
            return Err(Error::invalid(format!(
                "image {} at {}..{} of sequence {} does not fit into {batch} sequences of {length}",
                stray.image,
                stray.start,
                stray.end(),
                stray.sequence
            )));
        }
        let mut sequences = Vec::with_capacity(batch);
        for sequence in 0..batch {
            let states = hidden.get(sequence)?;
            let mut parts = Vec::new();
            let mut seen = 0;
            for image in self.images.iter().filter(|i| i.sequence == sequence) {
                parts.push(states.narrow(0, seen, image.start - seen)?);
                let block = states.narrow(0, image.start, image.end() - image.start)?;
                parts.push(self.refined(step, image, &block)?);
                seen = image.end();
            }
            parts.push(states.narrow(0, seen, length - seen)?);
            // candle cannot concatenate empty tensors.
            parts.retain(|part| part.elem_count() > 0);
            sequences.push(Tensor::cat(&parts, 0)?);
        }
        Ok(Tensor::stack(&sequences, 0)?)
    }
}
