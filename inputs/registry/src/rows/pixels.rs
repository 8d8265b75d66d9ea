//! The pixel pipeline of an encoder, as a row spells it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zoo_core::{Filter, Fit, Preprocess, ResizeCrop};

/// From a decoded image to normalised pixels, but for the size, which is the row's resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, for example `{ pad = [122, 116, 104], normalise = \"clip\" }`"
)]
pub struct Pixels {
    /// RGB colour of the bars that make the image square.
    pub pad: [u8; 3],
    /// Mean and standard deviation: a name, or `{ mean = […], std = […] }`.
    pub normalise: Normalise,
    /// Filter of the resize.
    #[serde(default)]
    pub filter: Filter,
    /// Second resize and centre crop, at the row's native resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<ResizeCrop>,
    /// Mean and standard deviation are in 0..255.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
}

impl Pixels {
    /// The whole pipeline for a native size of `size` pixels.
    pub fn at(&self, size: u32) -> Preprocess {
        let (mean, std) = self.normalise.mean_std();
        Preprocess {
            size,
            pad: self.pad,
            fit: Fit::Pad,
            filter: self.filter,
            then: self.then.clone(),
            raw: self.raw,
            mean,
            std,
        }
    }
}

/// Mean and standard deviation per channel R, G, B.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Statistics of CLIP's training images.
    Clip,
    /// Statistics of ImageNet.
    Imagenet,
    /// 0.5 and 0.5: pixels in -1..1.
    Half,
    /// 0 and 1: pixels as they are.
    None,
    /// Any other numbers.
    #[serde(untagged)]
    Custom(MeanStd),
}

/// Numbers of [`Normalise::Custom`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanStd {
    /// Means.
    pub mean: [f32; 3],
    /// Standard deviations.
    pub std: [f32; 3],
}

impl Normalise {
    const NAMED: [(&'static str, Self); 4] =
        [("clip", Self::Clip), ("imagenet", Self::Imagenet), ("half", Self::Half), ("none", Self::None)];

    /// The numbers.
    pub const fn mean_std(self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::Clip => {
                ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1])
            }
            Self::Imagenet => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Self::Half => ([0.5; 3], [0.5; 3]),
            Self::None => ([0.0; 3], [1.0; 3]),
            Self::Custom(MeanStd { mean, std }) => (mean, std),
        }
    }
}

impl<'de> Deserialize<'de> for Normalise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NormaliseVisitor)
    }
}

struct NormaliseVisitor;

impl<'de> Visitor<'de> for NormaliseVisitor {
    type Value = Normalise;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Normalise::NAMED.map(|(name, _)| format!("\"{name}\"")).join(", ");
        write!(f, "{names} or {{ mean = […], std = […] }}")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Normalise::NAMED
            .into_iter()
            .find_map(|(name, statistics)| (name == value).then_some(statistics))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        MeanStd::deserialize(MapAccessDeserializer::new(map)).map(Normalise::Custom)
    }
}

impl JsonSchema for Normalise {
    fn schema_name() -> Cow<'static, str> {
        "Normalise".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = Self::NAMED.map(|(name, _)| name);
        let custom = generator.subschema_for::<MeanStd>();
        json_schema!({
            "description": "Mean and standard deviation per channel R, G, B.",
            "anyOf": [{ "type": "string", "enum": names }, custom],
        })
    }
}
