//! An encoder row with everything that a name or a member of an ensemble adds to it.

use zoo_core::{Grid, Preprocess};

use crate::compose::LayerShape;
use crate::rows::{EncoderRow, Member, OneOrMany};
use crate::tower::Tower;

/// An encoder, at a resolution, with its outputs chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection<'a> {
    /// The encoder.
    pub row: &'a EncoderRow,
    /// Side of its image in pixels.
    pub resolution: usize,
    /// Tokens after resampling; as many as the grid of the last chosen layer has, if none.
    pub tokens: Option<usize>,
    /// Layers, concatenated on channels; negative from the end.
    pub layers: Vec<i32>,
    /// Whether the final norm is applied.
    pub norm: bool,
}

/// A part of a selection that the encoder does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Key of a [`Member`] that is to blame: `resolution`, `tokens` or `layers`.
    pub key: &'static str,
    /// What does not work, and what would.
    pub message: String,
}

impl<'a> Selection<'a> {
    /// What the row itself selects.
    pub fn of(row: &'a EncoderRow) -> Self {
        Self {
            row,
            resolution: row.resolution,
            tokens: row.select.tokens,
            layers: row.select.layers.clone(),
            norm: row.select.norm,
        }
    }

    /// The pixel pipeline at this resolution.
    pub fn preprocess(&self) -> Preprocess {
        self.row.preprocess_at(self.resolution)
    }

    /// The chosen layers, as far as the row knows them, in order.
    pub fn layer_shapes(&self) -> Vec<LayerShape> {
        let shape = |&layer: &i32| {
            let channels = *self.row.channels.at(layer)?;
            let side = self.resolution.checked_div(*self.row.stride.at(layer)?)?;
            Some(LayerShape { layer, grid: Grid::square(side), channels })
        };
        self.layers.iter().filter_map(shape).collect()
    }

    /// Channels of the feature map: those of the chosen layers together.
    pub fn channels(&self) -> usize {
        self.layer_shapes().iter().map(|shape| shape.channels).sum()
    }

    /// Grid of the feature map after resampling.
    pub fn grid(&self) -> Grid {
        match self.tokens {
            Some(tokens) => Grid::square(tokens.isqrt()),
            None => self.layer_shapes().last().map_or(Grid::square(0), |shape| shape.grid),
        }
    }

    pub(crate) fn with_tower(mut self, tower: &Tower<'_>) -> Result<Self, Fault> {
        if tower.multi_stage {
            let OneOrMany::Many(stages) = &self.row.channels else {
                return Err(Fault {
                    key: "layers",
                    message: "has no stages that `-multi-stage` could join".into(),
                });
            };
            self.layers = (0..stages.len()).filter_map(|i| i32::try_from(i).ok()).collect();
        }
        self.resolution = tower.resolution.unwrap_or(self.resolution);
        self.tokens = tower.tokens.or(self.tokens);
        Ok(self)
    }

    pub(crate) fn with_member(mut self, member: &Member) -> Self {
        self.resolution = member.resolution.unwrap_or(self.resolution);
        self.tokens = member.tokens.or(self.tokens);
        self.norm = member.norm.unwrap_or(self.norm);
        if let Some(layers) = &member.layers {
            self.layers.clone_from(layers);
        }
        self
    }

    /// Whether the encoder can do this, as far as its row tells.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.layers.is_empty() {
            return Err(Fault { key: "layers", message: "no layer is chosen".into() });
        }
        let known =
            |layer: &&i32| self.row.channels.at(**layer).is_some() && self.row.stride.at(**layer).is_some();
        if let Some(layer) = self.layers.iter().find(|layer| !known(layer)) {
            let depth = self.row.channels.as_slice().len().max(self.row.stride.as_slice().len());
            let message =
                format!("layer {layer} is out of range: there are {depth}, -{depth}..={}", depth - 1);
            return Err(Fault { key: "layers", message });
        }
        self.check_resolution()?;
        if let Some(Err(error)) = self.tokens.map(Grid::of_tokens) {
            return Err(Fault { key: "tokens", message: error.to_string() });
        }
        Ok(())
    }

    fn check_resolution(&self) -> Result<(), Fault> {
        let fault = |message| Err(Fault { key: "resolution", message });
        let (size, stride) = (self.resolution, self.row.stride.as_slice().iter().copied().max().unwrap_or(1));
        if size < stride {
            return fault(format!("{size} pixels are less than one cell of {stride}"));
        }
        if u32::try_from(size).is_err() {
            return fault(format!("{size} pixels are more than an image can have"));
        }
        // Stages halve their grid: each has a whole number of cells only if the last one has. A single grid of
        // patches leaves the rest of the image out.
        if matches!(self.row.stride, OneOrMany::Many(_)) && !size.is_multiple_of(stride) {
            let (low, high) = (size / stride * stride, (size / stride + 1).saturating_mul(stride));
            return fault(format!(
                "{size} pixels are no multiple of {stride}; the nearest are {low} and {high}"
            ));
        }
        Ok(())
    }
}
