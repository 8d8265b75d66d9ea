//! An encoder as numbers.

use serde::Deserialize;
use zoo_core::{Error, Grid, Result, Spec};

/// The keys of a registry row's `arch` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub embed_dim: usize,
    pub depth: usize,
    pub num_heads: usize,
    pub mlp_dim: usize,
    pub patch_size: usize,
    /// Side in pixels of the image that the position table was made for.
    pub image_size: usize,
    /// Side of a window in cells.
    #[serde(default = "window")]
    pub window_size: usize,
    /// Blocks that attend to all cells.
    pub global_attn_indexes: Vec<usize>,
    #[serde(default = "eps")]
    pub norm_eps: f64,
    /// Channels of the neck, where it is a layer.
    #[serde(default)]
    pub neck: Option<usize>,
}

fn window() -> usize {
    14
}

fn eps() -> f64 {
    1e-6
}

impl Config {
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self> {
        let config: Self = spec.arch()?;
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (name, number) in [
            ("embed_dim", self.embed_dim),
            ("depth", self.depth),
            ("num_heads", self.num_heads),
            ("mlp_dim", self.mlp_dim),
            ("patch_size", self.patch_size),
            ("image_size", self.image_size),
            ("window_size", self.window_size),
            ("neck", self.neck.unwrap_or(1)),
        ] {
            if !(1..=1 << 20).contains(&number) {
                return Err(format!("`{name}` = {number} is not in 1..={}", 1 << 20));
            }
        }
        let (channels, heads) = (self.embed_dim, self.num_heads);
        if !channels.is_multiple_of(heads) {
            return Err(format!("`embed_dim` = {channels} is no multiple of `num_heads` = {heads}"));
        }
        if self.image_size < self.patch_size {
            let (image, patch) = (self.image_size, self.patch_size);
            return Err(format!("`image_size` = {image} is smaller than `patch_size` = {patch}"));
        }
        match self.global_attn_indexes.iter().find(|block| **block >= self.depth) {
            Some(block) => Err(format!("`global_attn_indexes` names block {block} of {}", self.depth)),
            None => Ok(()),
        }
    }

    /// Grid of the position table.
    pub(crate) fn native_grid(&self) -> Grid {
        Grid::square(self.image_size / self.patch_size)
    }

    /// Side of the windows of a block, unless it attends to all cells.
    pub(crate) fn window(&self, block: usize) -> Option<usize> {
        (!self.global_attn_indexes.contains(&block)).then_some(self.window_size)
    }
}
