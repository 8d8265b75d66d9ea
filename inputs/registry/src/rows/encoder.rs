//! `[[encoder]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zoo_core::{FeatureRequest, Layers, Preprocess};

use super::{Kind, OneOrMany, Pixels, Row, TextRow, Weights};

/// What an encoder learnt from, after the classes of Cambrian-1 (arXiv 2406.16860, appendix F.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Supervision {
    /// Pairs of images and texts.
    Language,
    /// Agreement between views of an image.
    SelfSupervisedContrastive,
    /// Filling in hidden pixels.
    SelfSupervisedMasked,
    /// Predicting hidden parts in feature space.
    SelfSupervisedPredictive,
    /// Masks of objects.
    Segmentation,
    /// Depth maps.
    Depth,
    /// Making images.
    Generative,
    /// Class labels.
    ClassLabel,
}

/// What stands in the way of using weights, besides naming their makers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// The licence forbids commercial use.
    NonCommercial,
    /// The licence allows research only.
    Research,
    /// The licence has conditions of its own, which should be read.
    Custom,
    /// The hub gives them to accounts that have accepted terms.
    Gated,
}

impl Term {
    /// In words: `non-commercial`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NonCommercial => "non-commercial",
            Self::Research => "research only",
            Self::Custom => "own terms",
            Self::Gated => "gated",
        }
    }
}

/// Which output of an encoder is its feature map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, for example `{ layers = [-1], norm = true }`")]
pub struct Select {
    /// Layers, negative from the end: -1 is the last block, before any final norm. Several are resampled to one
    /// grid and concatenated on channels.
    pub layers: Vec<i32>,
    /// Whether the encoder's final norm is applied.
    pub norm: bool,
    /// Tokens after resampling; as many as the grid of the last chosen layer has, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Whether `mm_vision_select_layer` of a model's configuration names the layer instead. Of the towers of
    /// Cambrian-1 and LLaVA only CLIP reads it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub configured: bool,
}

impl Select {
    /// The same as a request, patch tokens only.
    pub fn request(&self) -> FeatureRequest {
        FeatureRequest { layers: Layers::Indices(self.layers.clone()), norm: self.norm, prefix: false }
    }
}

/// An encoder with its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderRow {
    /// Unique name: lower-case letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// The plugin that implements it, `[a-z0-9_-]+`.
    pub plugin: String,
    /// Which of the plugin's architectures.
    pub architecture: String,
    /// Architecture numbers, as the plugin defines them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arch: Map<String, Value>,
    /// What it learnt from.
    pub supervision: Supervision,
    /// Licence of the weights, as an SPDX identifier where there is one.
    pub licence: String,
    /// What the licence or the hub asks for before these weights are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Term>,
    /// Other names it is known by: timm, open_clip, Hugging Face.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Tower names of Cambrian-1 configurations, without their `-res…`, `-interp…` and `-multi-stage` suffixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub towers: Vec<String>,
    /// Side in pixels of the image it is given unless something else is asked for.
    pub resolution: usize,
    /// Pixels per cell of the feature grid: one number, or one per layer from the first.
    pub stride: OneOrMany<usize>,
    /// Channels: one number, or one per layer from the first.
    pub channels: OneOrMany<usize>,
    /// How many numbers its weights are, of what the features need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Billions of multiply-accumulates for one image of `resolution`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gmacs: Option<f64>,
    /// Which output is its feature map unless something else is asked for.
    pub select: Select,
    /// How its pixels are made.
    pub preprocess: Pixels,
    /// Where its weights come from.
    pub weights: Weights,
    /// The text tower of its model, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextRow>,
}

impl EncoderRow {
    /// The licence and its terms: `CC-BY-NC-4.0 (non-commercial)`.
    pub fn licence_words(&self) -> String {
        match self.terms.iter().map(|term| term.words()).collect::<Vec<_>>() {
            terms if terms.is_empty() => self.licence.clone(),
            terms => format!("{} ({})", self.licence, terms.join(", ")),
        }
    }

    /// The pixel pipeline for images of `resolution × resolution`.
    pub fn preprocess_at(&self, resolution: usize) -> Preprocess {
        // Sizes are checked to fit when the row is read; a request beyond them saturates and fails there.
        let pixels = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.preprocess.at(pixels(self.resolution)).at(pixels(resolution))
    }
}

impl EncoderRow {
    /// [`EncoderRow::preprocess_at`] for one vector of the image: where there is a text tower, as its makers prepare images
    /// that are compared with texts.
    pub fn vector_preprocess_at(&self, resolution: usize) -> Preprocess {
        let pixels = self.preprocess_at(resolution);
        match &self.text {
            None => pixels,
            Some(text) => Preprocess {
                fit: text.fit,
                filter: text.filter.unwrap_or(pixels.filter),
                then: None,
                ..pixels
            },
        }
    }
}

impl Row for EncoderRow {
    const KIND: Kind = Kind::Encoder;

    fn id(&self) -> &str {
        &self.id
    }

    fn plugin(&self) -> Option<(&str, &str)> {
        Some((&self.plugin, &self.architecture))
    }

    fn other_names(&self) -> impl Iterator<Item = (String, &str)> {
        [("aliases", &self.aliases), ("towers", &self.towers)].into_iter().flat_map(|(key, names)| {
            names.iter().enumerate().map(move |(i, name)| (format!("{key}.{i}"), name.as_str()))
        })
    }
}
