//! Feature maps and the request for them.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::options::CallOptions;
use crate::{Error, Result};

/// A grid of `h` rows and `w` columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grid {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Grid {
    /// An `n × n` grid.
    pub const fn square(n: usize) -> Self {
        Self { h: n, w: n }
    }

    /// The square grid of `tokens` cells.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the nearest squares when `tokens` is none.
    pub fn of_tokens(tokens: usize) -> Result<Self> {
        let side = tokens.isqrt();
        if tokens > 0 && side * side == tokens {
            return Ok(Self::square(side));
        }
        let (low, high) = (side.max(1).pow(2), (side + 1).pow(2));
        Err(Error::invalid(format!("{tokens} tokens are no square grid; the nearest are {low} and {high}")))
    }

    /// Number of cells.
    pub const fn cells(self) -> usize {
        self.h * self.w
    }
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}", self.h, self.w)
    }
}

/// Which layers a request wants, with the index rules of timm's `feature_take_indices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// Every layer.
    All,
    /// The last `n`.
    Last(usize),
    /// These, counted from 0, negative from the end: -1 is the last block, before any final norm.
    Indices(Vec<i32>),
}

impl Layers {
    /// The 0-based layer numbers for an encoder of `depth` layers, in the order asked for.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the index and the legal range.
    pub fn resolve(&self, depth: usize) -> Result<Vec<usize>> {
        match self {
            Self::All => Ok((0..depth).collect()),
            Self::Last(n) if (1..=depth).contains(n) => Ok((depth - n..depth).collect()),
            Self::Last(n) => Err(Error::invalid(format!("the last {n} of {depth} layers do not exist"))),
            Self::Indices(indices) if indices.is_empty() => Err(Error::invalid("no layer was asked for")),
            Self::Indices(_) if depth == 0 => Err(Error::invalid("this encoder has no layers to ask for")),
            Self::Indices(indices) => indices
                .iter()
                .map(|&i| {
                    let layer = if i < 0 { i64::from(i) + depth as i64 } else { i64::from(i) };
                    usize::try_from(layer).ok().filter(|&l| l < depth).ok_or_else(|| {
                        Error::invalid(format!(
                            "layer {i} is out of range: this encoder has {depth} layer{}, -{depth}..={}",
                            if depth == 1 { "" } else { "s" },
                            depth - 1
                        ))
                    })
                })
                .collect(),
        }
    }
}

/// Which feature maps, in which form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureRequest {
    /// The layers.
    pub layers: Layers,
    /// Apply the encoder's final norm to each map (timm's `norm=True`). Without effect where the descriptor
    /// says that there is none.
    pub norm: bool,
    /// Return the prefix tokens (cls, registers) too.
    pub prefix: bool,
}

impl FeatureRequest {
    /// One layer, patch tokens only.
    pub fn layer(index: i32, norm: bool) -> Self {
        Self { layers: Layers::Indices(vec![index]), norm, prefix: false }
    }
}

/// What an encoder saw at one layer.
#[derive(Debug, Clone)]
pub struct FeatureMap {
    /// Patch tokens `[B, h·w, C]`, row-major.
    pub tokens: Tensor,
    /// Prefix tokens `[B, P, C]` in the order of [`crate::EncoderDescriptor::prefix`], when asked for.
    pub prefix: Option<Tensor>,
    /// Grid of `tokens`.
    pub grid: Grid,
    /// 0-based layer.
    pub layer: usize,
    /// Whether the final norm was applied.
    pub normed: bool,
}

/// Images as one vector each.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// `[B, D]`, as long as the network makes them: whoever compares them divides by their lengths.
    pub vectors: Tensor,
    /// What was asked for beside them.
    pub maps: Vec<FeatureMap>,
}

/// The part of an input image that one batch row shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Index of the image among the caller's inputs.
    pub image: usize,
    /// Width and height in pixels of the original, before padding and resizing.
    pub size: (u32, u32),
    /// Crop of the original that this row shows, `[x, y, width, height]` in its pixels; the whole image if
    /// none.
    pub crop: Option<[u32; 4]>,
    /// Whether the crop was padded to a square before resizing, so that part of the grid shows padding.
    pub padded: bool,
}

/// Images ready for an encoder.
#[derive(Debug, Clone)]
pub struct ImageBatch {
    pixels: Tensor,
    origins: Vec<Origin>,
    options: CallOptions,
}

impl ImageBatch {
    /// Pairs `pixels` `[B, 3, H, W]` with one origin per row.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the counts or the rank do not fit.
    pub fn new(pixels: Tensor, origins: Vec<Origin>) -> Result<Self> {
        match pixels.dims() {
            [b, 3, _, _] if *b == origins.len() => {
                Ok(Self { pixels, origins, options: CallOptions::default() })
            }
            dims => Err(Error::invalid(format!(
                "pixels must be [B, 3, H, W] with one origin per row; got {dims:?} and {} origins",
                origins.len()
            ))),
        }
    }

    /// The same, to be looked at with these options.
    #[must_use]
    pub fn with_options(self, options: CallOptions) -> Self {
        Self { options, ..self }
    }

    /// Options of the call that looks at it.
    pub fn options(&self) -> &CallOptions {
        &self.options
    }

    /// `[B, 3, H, W]`.
    pub fn pixels(&self) -> &Tensor {
        &self.pixels
    }

    /// One per batch row.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }
}

/// A feature map that knows its images: nothing later has to guess about shape or padding.
#[derive(Debug, Clone)]
pub struct Features {
    map: FeatureMap,
    origins: Vec<Origin>,
}

impl Features {
    /// Checks that grid, batch and origins agree.
    ///
    /// # Errors
    /// [`Error::Internal`] when they do not: an encoder broke its promise.
    pub fn new(map: FeatureMap, origins: Vec<Origin>) -> Result<Self> {
        match map.tokens.dims() {
            [b, n, _] if *b == origins.len() && *n == map.grid.cells() => Ok(Self { map, origins }),
            dims => Err(Error::Internal(format!(
                "feature map {dims:?} does not fit grid {} and {} images",
                map.grid,
                origins.len()
            ))),
        }
    }

    /// Patch tokens `[B, h·w, C]`.
    pub fn tokens(&self) -> &Tensor {
        &self.map.tokens
    }

    /// Prefix tokens `[B, P, C]`, when asked for.
    pub fn prefix(&self) -> Option<&Tensor> {
        self.map.prefix.as_ref()
    }

    /// Grid of the tokens.
    pub fn grid(&self) -> Grid {
        self.map.grid
    }

    /// Channel count.
    pub fn channels(&self) -> usize {
        self.map.tokens.dims().last().copied().unwrap_or(0)
    }

    /// 0-based layer.
    pub fn layer(&self) -> usize {
        self.map.layer
    }

    /// One per batch row.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The map without its origins.
    pub fn into_map(self) -> FeatureMap {
        self.map
    }
}
