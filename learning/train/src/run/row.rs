//! Samples one behind the other in one row, which nothing of any of them can tell.

use candle_core::Tensor;
use zoo_core::{ImageBlock, PlacedImage};
use zoo_data::{Flaw, FlawKind};
use zoo_language::tokens::{IGNORE_LABEL, IMAGE_ID, Tokenized};

use super::learner::Sample;
use crate::recipe::Long;
use crate::{Error, Result};

/// Samples one behind the other.
#[derive(Default)]
pub(super) struct Row {
    pub ids: Vec<u32>,
    pub parts: Vec<RowPiece>,
    pub positions: Vec<u32>,
    pub images: Vec<PlacedImage>,
    /// Where something is asked, and the token that follows there.
    pub asked: Vec<u32>,
    pub targets: Vec<u32>,
    pub cut: usize,
    pub flaws: Vec<Flaw>,
}

/// A part of a row.
pub(super) enum RowPiece {
    /// Of the embedded ids.
    Text { from: usize, length: usize },
    /// `[n, H]`.
    Image(Tensor),
}

impl Row {
    /// Positions.
    pub fn length(&self) -> usize {
        self.positions.len()
    }

    /// One more sample, of at most `limit` positions; `block` is its image and the place of that in the batch.
    pub fn push(
        &mut self,
        sample: &Sample,
        block: Option<(ImageBlock, usize)>,
        limit: usize,
        long: Long,
    ) -> Result<()> {
        let start = self.length();
        let Tokenized { ids, labels } = &sample.tokens;
        let shown = block.as_ref().map_or(Ok(0), |(block, _)| block.tokens.dim(0))?;
        let whole = ids.len() + shown.saturating_sub(usize::from(block.is_some()));
        if whole > limit && long == Long::LeaveOut {
            self.flaws.push(Flaw {
                place: sample.place.clone(),
                kind: FlawKind::TooLong,
                message: format!("{whole} positions with its image, of at most {limit}"),
            });
            return Ok(());
        }
        let mut pieces: Vec<RowPiece> = Vec::new();
        let (mut place, mut text, mut placed) = (0, Vec::new(), None);
        let (mut asked, mut targets) = (Vec::new(), Vec::new());
        for (&id, &label) in ids.iter().zip(labels) {
            if place >= limit {
                self.cut += 1;
                break;
            }
            if id == IMAGE_ID {
                let Some((block, image)) = &block else {
                    return Err(Error::Internal(format!("{}: a place for an image and none", sample.place)));
                };
                let length = block.tokens.dim(0)?;
                if place + length > limit {
                    self.flaws.push(Flaw {
                        place: sample.place.clone(),
                        kind: FlawKind::TooLong,
                        message: format!("its image ends beyond position {limit}"),
                    });
                    return Ok(());
                }
                placed = Some(PlacedImage::new(block, *image, 0, start + place));
                pieces.push(RowPiece::Image(block.tokens.clone()));
                place += length;
                continue;
            }
            if label != IGNORE_LABEL && place > 0 {
                asked.push((start + place - 1) as u32);
                targets.push(number(label)?);
            }
            let from = self.ids.len() + text.len();
            match pieces.last_mut() {
                Some(RowPiece::Text { length, .. }) => *length += 1,
                _ => pieces.push(RowPiece::Text { from, length: 1 }),
            }
            text.push(number(id)?);
            place += 1;
        }
        if targets.is_empty() {
            self.flaws.push(Flaw {
                place: sample.place.clone(),
                kind: FlawKind::NothingTrained,
                message: format!("nothing of an answer is left within {limit} positions"),
            });
            return Ok(());
        }
        self.ids.extend(text);
        self.parts.extend(pieces);
        self.positions.extend(0..place as u32);
        self.images.extend(placed);
        self.asked.extend(asked);
        self.targets.extend(targets);
        Ok(())
    }
}

fn number(id: i64) -> Result<u32> {
    u32::try_from(id).map_err(|_| Error::Internal(format!("token id {id}")))
}
