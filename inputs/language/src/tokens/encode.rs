//! Ids and labels, segment by segment.

use serde::Deserialize;

use super::Tokenizer;
use crate::Result;
use crate::template::{Rendered, SegmentKind};

/// Stands for an image among token ids, as in LLaVA.
pub const IMAGE_ID: i64 = -200;
/// The label of a position that is not trained.
pub const IGNORE_LABEL: i64 = -100;

/// What happens to the first token after an image, normally the newline between the image and the question.
/// As a word in files: `keep` or `drop`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewlineAfterImage {
    /// It stays, as in training.
    #[default]
    Keep,
    /// It is dropped where the template writes its begin-of-text itself, as the reference does at inference: it
    /// expects a begin-of-text at the head of every stretch and cuts it off, but such a tokenizer adds none, and
    /// the newline goes instead. Published scores of Cambrian-1 8B were measured like this. With templates that
    /// leave begin-of-text to the tokenizer both choices are the same.
    Drop,
}

/// Token ids of a conversation and what each is trained to be. Both have the same length; an image is one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokenized {
    /// Ids, with [`IMAGE_ID`] for each image.
    pub ids: Vec<i64>,
    /// The id where it is trained, else [`IGNORE_LABEL`].
    pub labels: Vec<i64>,
}

impl Tokenized {
    /// Positions of the images.
    pub fn images(&self) -> Vec<usize> {
        self.ids.iter().enumerate().filter(|(_, id)| **id == IMAGE_ID).map(|(at, _)| at).collect()
    }

    /// Number of trained positions. A sample with none teaches nothing and should be reported, not skipped
    /// silently.
    pub fn trained(&self) -> usize {
        self.labels.iter().filter(|label| **label != IGNORE_LABEL).count()
    }

    fn push(&mut self, id: i64, trained: bool) {
        self.ids.push(id);
        self.labels.push(if trained { id } else { IGNORE_LABEL });
    }
}

/// Text between two images, with the end of each of its segments and whether that segment is trained.
#[derive(Default)]
struct Stretch {
    text: String,
    segments: Vec<(usize, bool)>,
}

impl Stretch {
    /// Whether the token beginning at byte `start` is trained. One that begins before an answer and reaches into
    /// it is not: the prompt already fixes it.
    fn trained(&self, start: usize) -> bool {
        let found = self.segments.iter().find(|(end, _)| start < *end).or(self.segments.last());
        found.is_some_and(|(_, trained)| *trained)
    }
}

pub(super) fn encode(
    tokenizer: &Tokenizer,
    rendered: &Rendered,
    newline: NewlineAfterImage,
) -> Result<Tokenized> {
    let mut stretches = vec![Stretch::default()];
    for segment in &rendered.segments {
        match (&segment.kind, stretches.last_mut()) {
            (SegmentKind::Text(text), Some(stretch)) => {
                stretch.text.push_str(text);
                stretch.segments.push((stretch.text.len(), segment.trained));
            }
            _ => stretches.push(Stretch::default()),
        }
    }
    let literal_bos = rendered.template.bos.is_some();
    let dropped = usize::from(literal_bos && newline == NewlineAfterImage::Drop);

    let mut out = Tokenized::default();
    if !literal_bos {
        tokenizer.prefix().iter().for_each(|&id| out.push(i64::from(id), false));
    }
    for (index, stretch) in stretches.iter().enumerate() {
        if index > 0 {
            out.push(IMAGE_ID, false);
        }
        let skipped = if index > 0 { dropped } else { 0 };
        for (id, start) in tokenizer.spans(&stretch.text)?.into_iter().skip(skipped) {
            out.push(i64::from(id), stretch.trained(start));
        }
    }
    Ok(out)
}
