//! A diffusion model as numbers: those of the `config.json` of each of its networks.

use serde::Deserialize;
use zoo_core::{Error, Result, Spec};

/// Levels of the UNet and of the VAE.
pub(crate) const LEVELS: usize = 4;
/// Pixels for each latent on an axis.
pub(crate) const LATENT: usize = 1 << (LEVELS - 1);
/// Image sizes are multiples of this: latents, halved at all levels but the last.
pub(crate) const STRIDE: usize = LATENT << (LEVELS - 1);
/// Channels of latents.
pub(crate) const LATENTS: usize = 4;
/// Positions of a prompt.
pub(crate) const PROMPT: usize = 77;

/// The keys of a registry row's `arch` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// `block_out_channels` of the UNet.
    pub unet_channels: [usize; LEVELS],
    /// Heads at each level; diffusers calls them `attention_head_dim`.
    pub unet_heads: [usize; LEVELS],
    /// `cross_attention_dim`, the width of the text encoder.
    pub context_dim: usize,
    /// `block_out_channels` of the VAE.
    pub vae_channels: [usize; LEVELS],
    /// Layers of the text encoder.
    pub text_depth: usize,
    pub text_heads: usize,
    pub text_mlp_dim: usize,
    /// Tokens of the text encoder, of which the last two begin and end a prompt.
    #[serde(default = "vocab")]
    pub text_vocab: usize,
    #[serde(default = "groups")]
    pub norm_groups: usize,
    /// Side in pixels of the image that is looked at.
    pub image_size: usize,
}

fn vocab() -> usize {
    49_408
}

fn groups() -> usize {
    32
}

impl Config {
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self> {
        let config: Self = spec.arch()?;
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let lists = [
            ("unet_channels", self.unet_channels),
            ("unet_heads", self.unet_heads),
            ("vae_channels", self.vae_channels),
        ];
        let lists = lists.into_iter().flat_map(|(name, numbers)| numbers.map(|number| (name, number)));
        let single = [
            ("context_dim", self.context_dim),
            ("text_depth", self.text_depth),
            ("text_heads", self.text_heads),
            ("text_mlp_dim", self.text_mlp_dim),
            ("text_vocab", self.text_vocab),
            ("norm_groups", self.norm_groups),
            ("image_size", self.image_size),
        ];
        if let Some((name, number)) = lists.chain(single).find(|(_, n)| !(1..=1 << 20).contains(n)) {
            return Err(format!("`{name}` holds {number}, which is not in 1..={}", 1 << 20));
        }
        for (channels, heads) in self.unet_channels.into_iter().zip(self.unet_heads) {
            if !channels.is_multiple_of(heads) {
                return Err(format!(
                    "{channels} of `unet_channels` do not fall into {heads} of `unet_heads`"
                ));
            }
        }
        for channels in self.unet_channels.into_iter().chain(self.vae_channels) {
            if !channels.is_multiple_of(self.norm_groups) {
                return Err(format!(
                    "{channels} channels do not fall into `norm_groups` = {}",
                    self.norm_groups
                ));
            }
        }
        if !self.unet_channels[0].is_multiple_of(2) {
            return Err(
                "the first of `unet_channels` is odd: time steps are pairs of cosines and sines".into()
            );
        }
        if !self.context_dim.is_multiple_of(self.text_heads) {
            let (width, heads) = (self.context_dim, self.text_heads);
            return Err(format!("`context_dim` = {width} is no multiple of `text_heads` = {heads}"));
        }
        if self.text_vocab < 2 {
            return Err("`text_vocab` has no tokens that begin and end a prompt".into());
        }
        if !self.image_size.is_multiple_of(STRIDE) {
            return Err(format!("`image_size` = {} is no multiple of {STRIDE}", self.image_size));
        }
        Ok(())
    }

    /// Width of the embedding of time steps.
    pub(crate) fn time(&self) -> usize {
        4 * self.unet_channels[0]
    }
}
