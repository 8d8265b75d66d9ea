//! Text embeddings with image tokens between them.

use candle_core::{Device, Tensor};
use zoo_core::{ImageBlock, LanguageModel, PlacedImage};

use crate::tokens::{IMAGE_ID, Tokenized};
use crate::{Error, Result};

/// A prompt as the language model reads it.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// `[1, T, H]`, `T` with all image tokens.
    pub embeddings: Tensor,
    /// Where each image stands, for [`zoo_core::ImageRefiner`].
    pub images: Vec<PlacedImage>,
}

impl Assembled {
    /// Embeds the text of `prompt` and puts the tokens of `blocks[i]`, `[n, H]`, where its `i`-th image stands;
    /// they are cast to the dtype of the embeddings.
    ///
    /// # Errors
    /// [`Error::Conversation`] when prompt and blocks differ in the number of images, or the prompt has no text.
    pub fn new(
        model: &dyn LanguageModel,
        device: &Device,
        prompt: &Tokenized,
        blocks: &[ImageBlock],
    ) -> Result<Self> {
        let places = prompt.images().len();
        if places != blocks.len() {
            return Err(Error::Conversation(format!(
                "the prompt has {places} places for images and {} images are given",
                blocks.len()
            )));
        }
        let mut parts: Vec<Tensor> = Vec::new();
        let (mut images, mut length, mut dtype) = (Vec::new(), 0, None);
        for (index, stretch) in prompt.ids.split(|id| *id == IMAGE_ID).enumerate() {
            if let Some(block) = index.checked_sub(1).and_then(|image| blocks.get(image)) {
                images.push(PlacedImage::new(block, index - 1, 0, length));
                length += block.tokens.dim(0)?;
                parts.push(block.tokens.clone());
            }
            // candle can neither embed nor concatenate nothing.
            if !stretch.is_empty() {
                let ids = stretch.iter().map(|&id| u32::try_from(id)).collect::<Result<Vec<_>, _>>();
                let ids =
                    ids.map_err(|_| Error::Conversation("a token id of the prompt is negative".into()))?;
                length += ids.len();
                let embedded = model.embed(&Tensor::new(ids, device)?.unsqueeze(0)?)?.squeeze(0)?;
                dtype = Some(embedded.dtype());
                parts.push(embedded);
            }
        }
        if parts.is_empty() {
            return Err(Error::Conversation("the prompt has no text".into()));
        }
        let dtype = match dtype {
            Some(dtype) => dtype,
            // Nothing but images: any token tells what embeddings are.
            None => model.embed(&Tensor::new(&[[0_u32]], device)?)?.dtype(),
        };
        let parts = parts.iter().map(|part| part.to_dtype(dtype)).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Self { embeddings: Tensor::cat(&parts, 0)?.unsqueeze(0)?, images })
    }
}
