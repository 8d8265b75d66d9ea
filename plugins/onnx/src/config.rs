//! What a row says of a graph.

use serde::Deserialize;
use zoo_core::{Error, PrefixToken, Resolution, Result, Spec};

/// The keys of a registry row's `arch` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The input that takes the pixels; may be left out where there is only one.
    pub input: Option<String>,
    /// How it wants them.
    #[serde(default)]
    pub pixels: Order,
    /// The feature maps, one layer each.
    pub outputs: Vec<Output>,
    /// Side in pixels of the image that the weights were made for.
    pub image_size: usize,
    /// Other sizes, if any: multiples of so many pixels. The graph must have been exported with free height and width.
    pub multiple_of: Option<usize>,
    /// What stands before the cells, where outputs are tokens.
    #[serde(default)]
    pub prefix: Vec<PrefixToken>,
    /// Parameters and billions of multiply-accumulates at the native size, where somebody knows them.
    #[serde(default)]
    pub parameters: u64,
    #[serde(default)]
    pub gmacs: f64,
}

/// Order of the axes of pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// `[1, 3, H, W]`.
    #[default]
    Nchw,
    /// `[1, H, W, 3]`.
    Nhwc,
}

/// A feature map.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Output {
    pub name: String,
    pub channels: usize,
    /// Pixels of a cell.
    pub stride: usize,
    #[serde(default)]
    pub layout: Layout,
}

/// Order of the axes of a feature map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// `[1, C, h, w]`.
    #[default]
    Nchw,
    /// `[1, h, w, C]`.
    Nhwc,
    /// `[1, P + h · w, C]`, the prefix first.
    Tokens,
}

impl Config {
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self> {
        let config: Self = spec.arch()?;
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.outputs.is_empty() {
            return Err("`outputs` is empty: which outputs of the graph are feature maps?".into());
        }
        let sizes = self.outputs.iter().flat_map(|o| [("channels", o.channels), ("stride", o.stride)]);
        let sizes = sizes.chain([("image_size", self.image_size)]);
        if let Some((name, size)) = sizes.into_iter().find(|(_, n)| !(1..=1 << 20).contains(n)) {
            return Err(format!("`{name}` = {size} is not in 1..={}", 1 << 20));
        }
        if let Some(multiple) = self.multiple_of.filter(|m| *m == 0 || !self.image_size.is_multiple_of(*m)) {
            return Err(format!(
                "`image_size` = {} is no multiple of `multiple_of` = {multiple}",
                self.image_size
            ));
        }
        let maps = self.outputs.iter().find(|output| output.layout != Layout::Tokens);
        if let Some(map) = maps.filter(|_| !self.prefix.is_empty()) {
            return Err(format!("output `{}` is a map, which has no place for `prefix` tokens", map.name));
        }
        if !(self.gmacs.is_finite() && self.gmacs >= 0.0) {
            return Err(format!("`gmacs` = {}", self.gmacs));
        }
        Ok(())
    }

    pub(crate) fn resolution(&self) -> Resolution {
        self.multiple_of.map_or(Resolution::Fixed, Resolution::MultipleOf)
    }
}
