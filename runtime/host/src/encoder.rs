//! One encoder, ready to look at images.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value};
use zoo_core::{
    CallOptions, Cost, EmbeddingInfo, Encoder, EncoderDescriptor, FeatureMap, FeatureRequest, Fit, Grid,
    ImageBatch, Layers, Origin, Preprocess,
};
use zoo_preprocess::{DecodeOptions, Decoded, prepare_batch};

use crate::opening::Opening;
use crate::{HostError, finite};

/// What is wanted of an encoder; whatever is absent is as in its registry row.
#[derive(Debug, Clone, Default)]
pub struct EncoderRequest {
    /// Id, alias or tower name.
    pub id: String,
    /// A weight file or folder that replaces the row's.
    pub weights: Option<PathBuf>,
    /// Architecture numbers that replace the row's, key by key.
    pub arch_override: Option<Map<String, Value>>,
    /// Layers; several are concatenated on channels.
    pub layers: Option<Vec<i32>>,
    /// Whether the final norm is applied. Layers that are given without it are taken as they are.
    pub norm: Option<bool>,
    /// Also return the prefix tokens.
    pub prefix: bool,
    /// Tokens after resampling; a square.
    pub tokens: Option<usize>,
    /// Side of the image in pixels.
    pub resolution: Option<usize>,
    /// Options of each call, by name, as they are written.
    pub options: BTreeMap<String, String>,
    /// One vector for each image, instead of feature maps.
    pub vectors: bool,
}

impl EncoderRequest {
    /// The encoder of this name as its row has it.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }
}

/// A request and its row, resolved.
#[derive(Debug, Clone)]
pub(crate) struct EncoderPlan {
    pub id: String,
    pub layers: Vec<i32>,
    pub norm: bool,
    pub prefix: bool,
    pub tokens: Option<usize>,
    pub preprocess: Preprocess,
    pub untrained: bool,
    pub options: CallOptions,
    pub vectors: bool,
}

/// Where an encoder computes, and how images are decoded for it.
pub(crate) struct Setting {
    pub device: Device,
    pub fast_resize: bool,
}

/// An encoder with its pixel pipeline and its choice of outputs: open, or opened for as long as it looks.
pub struct EncoderSession {
    pub(crate) label: String,
    plan: EncoderPlan,
    opening: Opening,
    descriptor: EncoderDescriptor,
    /// The vector that it gives, where it was opened for one.
    embedding: Option<EmbeddingInfo>,
    /// None where it is dropped after each look.
    staying: Option<Box<dyn Encoder>>,
    /// Held by whoever has an encoder open that is dropped again: two at once would take the memory of two.
    turn: Arc<Mutex<()>>,
    device: Device,
    fast_resize: bool,
}

/// An encoder while it looks.
enum Present<'a> {
    Staying(&'a dyn Encoder),
    Dropped { encoder: Box<dyn Encoder>, _turn: MutexGuard<'a, ()> },
}

impl Present<'_> {
    fn get(&self) -> &dyn Encoder {
        match self {
            Self::Staying(encoder) => *encoder,
            Self::Dropped { encoder, .. } => encoder.as_ref(),
        }
    }
}

/// What an encoder saw, as one tensor: of an encoder that was opened for vectors, these, as maps of one cell.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// f32 `[B, N, C]` on the CPU, row-major on `grid`; several layers are concatenated on channels.
    pub tokens: Tensor,
    /// Grid of `tokens`, after resampling.
    pub grid: Grid,
    /// f32 `[B, P, C]` on the CPU, when asked for and when the encoder has prefix tokens.
    pub prefix: Option<Tensor>,
    /// The layers that were taken and their grids before resampling.
    pub layers: Vec<(usize, Grid)>,
    /// One per image.
    pub origins: Vec<Origin>,
}

impl EncoderSession {
    /// Reads the weights; it stays open.
    pub(crate) fn open(plan: EncoderPlan, opening: Opening, setting: Setting) -> Result<Self, HostError> {
        let encoder = opening.encoder()?;
        let descriptor = encoder.descriptor().clone();
        let embedding = match plan.vectors {
            true => Some(encoder.embedding().cloned().ok_or_else(|| {
                zoo_core::Error::unsupported(&plan.id, "one vector for each image; it gives feature maps")
            })?),
            false => None,
        };
        let session = Self::closed(plan, opening, descriptor, setting, Arc::default());
        Ok(Self { staying: Some(encoder), embedding, ..session })
    }

    /// One that is opened to look and then dropped. All that share `turn` do so one after the other.
    pub(crate) fn closed(
        plan: EncoderPlan,
        opening: Opening,
        descriptor: EncoderDescriptor,
        setting: Setting,
        turn: Arc<Mutex<()>>,
    ) -> Self {
        let Setting { device, fast_resize } = setting;
        let label = plan.id.clone();
        Self { label, plan, opening, descriptor, embedding: None, staying: None, turn, device, fast_resize }
    }

    /// The same, open to stay; `trainable` with its weights as variables.
    pub(crate) fn opened(&self, trainable: bool) -> Result<Self, HostError> {
        let setting = Setting { device: self.device.clone(), fast_resize: self.fast_resize };
        let mut opening = self.opening.clone();
        opening.options.trainable = trainable;
        let opened = Self::open(self.plan.clone(), opening, setting)?;
        Ok(Self { label: self.label.clone(), ..opened })
    }

    /// What opens it.
    pub(crate) fn opening(&self) -> &Opening {
        &self.opening
    }

    fn present(&self) -> Result<Present<'_>, HostError> {
        if let Some(encoder) = &self.staying {
            return Ok(Present::Staying(encoder.as_ref()));
        }
        // It guards no data: who panicked while it was held has left nothing behind.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Present::Dropped { encoder: self.opening.encoder()?, _turn })
    }

    /// Registry id.
    pub fn id(&self) -> &str {
        &self.plan.id
    }

    /// Its name among the members of its ensemble: the id, numbered (`clip-2`) where an encoder looks twice, as
    /// at two resolutions.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the plugin says of it.
    pub fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    /// The vector that it gives, where it was opened for one.
    pub fn embedding(&self) -> Option<&EmbeddingInfo> {
        self.embedding.as_ref()
    }

    /// The pixel pipeline at the resolution in use.
    pub fn preprocess(&self) -> &Preprocess {
        &self.plan.preprocess
    }

    /// Tokens after resampling, where that was asked for.
    pub fn tokens(&self) -> Option<usize> {
        self.plan.tokens
    }

    /// How to decode the images that it will look at: in full, or with [`crate::Options::fast_resize`] as small as
    /// serves it.
    pub fn decode_options(&self) -> DecodeOptions {
        // The size of a padded image is that of its longer side.
        let padded = self.plan.preprocess.fit == Fit::Pad;
        let reduce_for = (self.fast_resize && padded).then_some(self.plan.preprocess.size);
        DecodeOptions { reduce_for, ..DecodeOptions::default() }
    }

    /// Whether its weights come from a seed and not from training.
    pub fn untrained(&self) -> bool {
        self.plan.untrained
    }

    /// The request that goes to the encoder.
    pub fn request(&self) -> FeatureRequest {
        FeatureRequest {
            layers: Layers::Indices(self.plan.layers.clone()),
            norm: self.plan.norm,
            prefix: self.plan.prefix,
        }
    }

    /// Options of each call.
    pub fn options(&self) -> &CallOptions {
        &self.plan.options
    }

    /// Cost of one call on `batch` images at the resolution in use; none while it is not open.
    pub fn cost(&self, batch: usize) -> Option<Cost> {
        let side = self.plan.preprocess.size as usize;
        Some(self.encoder()?.cost(batch, side, side))
    }

    /// The encoder itself; none where it is opened only to look.
    pub fn encoder(&self) -> Option<&dyn Encoder> {
        self.staying.as_deref()
    }

    /// Decoded images to normalised pixels on the encoder's device.
    ///
    /// # Errors
    /// [`HostError::Image`] for an image that cannot be prepared, [`HostError::Core`] when the device is full.
    pub fn prepare(&self, images: &[Decoded]) -> Result<ImageBatch, HostError> {
        Ok(prepare_batch(images, &self.plan.preprocess)?.to_batch(&self.device)?)
    }

    /// Looks at images.
    ///
    /// # Errors
    /// [`HostError::Core`] for illegal sizes or layers, and for what the encoder reports; [`HostError::NotFinite`] for
    /// features that hold NaN or infinity.
    pub fn encode(&self, batch: &ImageBatch) -> Result<Encoded, HostError> {
        self.encode_with(self.present()?.get(), batch)
    }

    /// Prepares images and looks at them, `at_once` of them in one pass: memory grows with these, what is seen does not
    /// depend on them.
    ///
    /// # Errors
    /// As [`EncoderSession::prepare`] and [`EncoderSession::encode`]; [`zoo_core::Error::Cancelled`] between two passes.
    pub fn see(&self, images: &[Decoded], at_once: usize) -> Result<Encoded, HostError> {
        let present = self.present()?;
        let mut passes = Vec::new();
        for images in images.chunks(at_once.max(1)) {
            zoo_core::wanted()?;
            passes.push(self.encode_with(present.get(), &self.prepare(images)?)?);
        }
        Encoded::together(&passes)
    }

    fn encode_with(&self, encoder: &dyn Encoder, batch: &ImageBatch) -> Result<Encoded, HostError> {
        let on_device;
        let batch = if batch.pixels().device().same_device(&self.device) {
            batch
        } else {
            on_device = ImageBatch::new(batch.pixels().to_device(&self.device)?, batch.origins().to_vec())?
                .with_options(batch.options().to_device(&self.device)?);
            &on_device
        };
        let options = self.plan.options.clone().with(batch.options());
        let batch = &batch.clone().with_options(options);
        if self.embedding.is_some() {
            let vectors = encoder.embed(batch.pixels(), None, batch.options())?.vectors;
            let tokens = vectors.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.unsqueeze(1)?;
            finite::check(|| format!("the vectors of `{}`", self.id()), &tokens)?;
            let (grid, origins) = (Grid::square(1), batch.origins().to_vec());
            return Ok(Encoded { tokens, grid, prefix: None, layers: Vec::new(), origins });
        }
        let features = encoder.features(batch, &self.request())?;
        let maps: Vec<FeatureMap> = features.into_iter().map(zoo_core::Features::into_map).collect();
        let seen = join(maps, self.plan.tokens, batch.origins().to_vec())?;
        for tensor in std::iter::once(&seen.tokens).chain(&seen.prefix) {
            finite::check(|| format!("the features of `{}`", self.id()), tensor)?;
        }
        Ok(seen)
    }

    /// Whether what is asked of the encoder is something that it has, before it looks at anything.
    pub(crate) fn check(&self, request: &EncoderRequest) -> Result<(), HostError> {
        let said = self.descriptor();
        let side = self.plan.preprocess.size as usize;
        self.plan.options.check(self.id(), &said.options, [1, side, side])?;
        for layer in self.request().layers.resolve(said.layers.len())? {
            said.grid(layer, side, side)?;
        }
        self.plan.tokens.map(Grid::of_tokens).transpose()?;
        // A size that somebody chose; that of a row is what its weights were trained with, whatever is left over.
        let finest = said.layers.iter().map(|layer| layer.stride).min().unwrap_or(1).max(1);
        if request.resolution.is_some() && side != said.native && !side.is_multiple_of(finest) {
            let (below, above) = (side / finest * finest, side.next_multiple_of(finest));
            return Err(HostError::Core(zoo_core::Error::invalid(format!(
                "{}: of {side} pixels the last {} would not be seen, as its patches are {finest} pixels wide; take \
                 {below} or {above}",
                self.id(),
                side - below
            ))));
        }
        Ok(())
    }
}

impl Encoded {
    /// What one encoder saw in several passes, in their order.
    fn together(passes: &[Self]) -> Result<Self, HostError> {
        let Some(first) = passes.first() else {
            return Err(HostError::Internal("an encoder was given no image".into()));
        };
        let tokens: Vec<&Tensor> = passes.iter().map(|seen| &seen.tokens).collect();
        let prefix: Vec<&Tensor> = passes.iter().filter_map(|seen| seen.prefix.as_ref()).collect();
        let number = |(image, origin): (usize, &Origin)| Origin { image, ..origin.clone() };
        Ok(Self {
            tokens: Tensor::cat(&tokens, 0)?,
            prefix: if prefix.is_empty() { None } else { Some(Tensor::cat(&prefix, 0)?) },
            origins: passes.iter().flat_map(|seen| &seen.origins).enumerate().map(number).collect(),
            ..first.clone()
        })
    }
}

/// Several layers as one map: each resampled to the same grid, then concatenated on channels. The grid is that of
/// `tokens`, or of the last layer.
fn join(maps: Vec<FeatureMap>, tokens: Option<usize>, origins: Vec<Origin>) -> zoo_core::Result<Encoded> {
    let last =
        maps.last().ok_or_else(|| zoo_core::Error::Internal("an encoder returned no feature map".into()))?;
    let grid = tokens.map_or(Ok(last.grid), Grid::of_tokens)?;
    let layers = maps.iter().map(|m| (m.layer, m.grid)).collect();
    let host = |t: &Tensor| t.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous();
    let parts: Vec<(&Tensor, Grid)> = maps.iter().map(|m| (&m.tokens, m.grid)).collect();
    let tokens = zoo_nn::resample::joined(&parts, grid)?;
    let prefixes = maps
        .iter()
        .filter_map(|m| m.prefix.as_ref())
        .filter(|p| p.dim(1).is_ok_and(|n| n > 0))
        .map(host)
        .collect::<Result<Vec<_>, _>>()?;
    let prefix = if prefixes.is_empty() { None } else { Some(concat(prefixes)?) };
    Ok(Encoded { tokens, grid, prefix, layers, origins })
}

fn concat(mut tensors: Vec<Tensor>) -> zoo_core::Result<Tensor> {
    Ok(if tensors.len() == 1 { tensors.swap_remove(0) } else { Tensor::cat(&tensors, 2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(layer: usize, side: usize, channels: usize, value: f32) -> FeatureMap {
        let tokens = Tensor::full(value, (1, side * side, channels), &Device::Cpu).unwrap();
        FeatureMap { tokens, prefix: None, grid: Grid::square(side), layer, normed: false }
    }

    fn origin() -> Vec<Origin> {
        vec![Origin { image: 0, size: (8, 8), crop: None, padded: false }]
    }

    #[test]
    fn stages_meet_on_one_grid_in_their_order() {
        let out = join(vec![map(0, 8, 2, 1.0), map(1, 4, 3, 2.0)], Some(36), origin()).unwrap();
        assert_eq!(out.tokens.dims(), [1, 36, 5]);
        assert_eq!(out.layers, [(0, Grid::square(8)), (1, Grid::square(4))]);
        let first: Vec<f32> = out.tokens.get(0).unwrap().get(0).unwrap().to_vec1().unwrap();
        assert_eq!(first, [1.0, 1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn passes_are_put_together_in_their_order() {
        let pass = |value| join(vec![map(0, 2, 3, value)], None, origin()).unwrap();
        let all = Encoded::together(&[pass(1.0), pass(2.0)]).unwrap();
        assert_eq!(all.tokens.dims(), [2, 4, 3]);
        assert_eq!(all.tokens.get(1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [2.0; 12]);
        assert_eq!(all.origins.iter().map(|origin| origin.image).collect::<Vec<_>>(), [0, 1]);
        assert!(Encoded::together(&[]).is_err());
    }

    #[test]
    fn without_a_token_count_the_last_layer_gives_the_grid() {
        let out = join(vec![map(0, 8, 2, 1.0), map(1, 4, 3, 2.0)], None, origin()).unwrap();
        assert_eq!(out.grid, Grid::square(4));
        let message = join(vec![map(0, 8, 2, 1.0)], Some(37), origin()).unwrap_err().to_string();
        assert!(message.contains("36 and 49"), "{message}");
    }
}
