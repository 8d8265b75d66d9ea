//! From pixels to tokens.

use candle_core::{DType, Device, Tensor, WithDType};
use half::bf16;
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};
use zoo_kernels::{Element, Patches, zeros};

use crate::dispatch;
use crate::linear::Linear;
use crate::values::{Slice, Values};

/// A convolution whose stride is its kernel, done as one matrix product over cut-out patches. Tensor: `proj`,
/// `[C, 3, patch, patch]`.
#[derive(Debug, Clone)]
pub struct PatchEmbed {
    proj: Linear,
    patch: usize,
    dtype: DType,
}

/// What else tokens are made of, in the dtype of the weights.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// `[1, P, C]`: tokens that go first, the same for every image.
    pub prefix: Option<&'a Tensor>,
    /// `[1, N, C]`: added to the patches.
    pub positions: Option<&'a Tensor>,
}

impl Surroundings<'_> {
    /// The patches `[B, N, C]` with what surrounds them, `[B, P + N, C]`, by candle.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when a shape does not fit.
    pub fn around(self, mut patches: Tensor) -> Result<Tensor> {
        if let Some(positions) = self.positions {
            patches = patches.broadcast_add(positions)?;
        }
        Ok(match self.prefix {
            Some(prefix) => Tensor::cat(&[prefix.repeat((patches.dim(0)?, 1, 1))?, patches], 1)?,
            None => patches,
        })
    }
}

impl PatchEmbed {
    /// Reads `proj` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, patch: usize, bias: bool) -> Result<Self> {
        let params = params.pp("proj");
        let inputs = 3 * patch * patch;
        let init = Init::fan_in(inputs);
        let weight = params.get("weight", (channels, 3, patch, patch), init)?.reshape((channels, inputs))?;
        Self::of(&params, weight, patch, bias)
    }

    /// As [`PatchEmbed::load`] of a `proj` that is stored as the matrix `[C, 3 · patch²]`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load_matrix(params: &Params, channels: usize, patch: usize, bias: bool) -> Result<Self> {
        let params = params.pp("proj");
        let inputs = 3 * patch * patch;
        let weight = params.get("weight", (channels, inputs), Init::fan_in(inputs))?;
        Self::of(&params, weight, patch, bias)
    }

    fn of(params: &Params, weight: Tensor, patch: usize, bias: bool) -> Result<Self> {
        let (channels, inputs) = weight.dims2()?;
        let init = Init::fan_in(inputs);
        let bias = if bias { Some(params.get("bias", channels, init)?) } else { None };
        Ok(Self { proj: Linear::new(weight, bias), patch, dtype: params.dtype() })
    }

    /// The grid of the patches of `pixels` `[B, 3, H, W]`. Rows and columns beyond the last whole patch are not seen,
    /// as with an unpadded convolution.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when there are no four axes.
    pub fn grid(&self, pixels: &Tensor) -> Result<Grid> {
        let (_, _, height, width) = pixels.dims4()?;
        Ok(Grid { h: height / self.patch, w: width / self.patch })
    }

    /// `pixels` `[B, 3, H, W]` of any float dtype to `[B, P + N, C]` in that of the weights; differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the image is smaller than a patch or a shape does not fit.
    pub fn forward(&self, pixels: &Tensor, surroundings: Surroundings<'_>) -> Result<Tensor> {
        let Surroundings { prefix, positions } = surroundings;
        if dispatch::plain([Some(pixels), prefix, positions].into_iter().flatten()) {
            // Anything else is no dtype of the kernels'.
            let wide = || pixels.to_dtype(DType::F32);
            let tokens = match (self.dtype, pixels.dtype()) {
                (DType::BF16, DType::BF16) => self.fused::<bf16, bf16>(pixels, surroundings)?,
                (DType::BF16, _) => self.fused::<f32, bf16>(&wide()?, surroundings)?,
                (DType::F32, _) => self.fused::<f32, f32>(&wide()?, surroundings)?,
                _ => None,
            };
            if let Some(tokens) = tokens {
                return Ok(tokens);
            }
        }
        self.plain(pixels, surroundings)
    }

    /// One product for each image, whose rows are cut out and rounded from `S` in one pass and whose results go to
    /// their place. `None` where candle must compute.
    fn fused<S: Element + WithDType, T: Element + WithDType>(
        &self,
        pixels: &Tensor,
        Surroundings { prefix, positions }: Surroundings<'_>,
    ) -> Result<Option<Tensor>> {
        let Some((proj, bias)) = self.proj.parts::<T>()? else { return Ok(None) };
        let (batch, planes, height, width) = pixels.dims4()?;
        let (patch, channels) = (self.patch, proj.outputs());
        let cells = (height / patch) * (width / patch);
        if planes * patch * patch != proj.inputs() || cells == 0 {
            return Ok(None); // candle says what is wrong
        }
        let before = prefix.map_or(Ok(0), |prefix| prefix.dim(1))?;
        let prefix = prefix.map(|t| Values::of(t, &[1, before, channels])).transpose()?;
        let positions = positions.map(|t| Values::of(t, &[1, cells, channels])).transpose()?;
        let pixels = Values::of(pixels, pixels.dims())?;
        let [prefix, positions, bias] =
            [&prefix, &positions, &bias].map(|values| values.as_ref().map(Values::read).transpose());
        let (prefix, positions, bias) = (prefix?, positions?, bias?);
        let prefix = prefix.as_ref().map_or(Ok(&[][..]), Slice::values::<T>)?;
        let shortcut = positions.as_ref().map(Slice::values::<T>).transpose()?;
        let epilogue = zoo_kernels::Epilogue {
            bias: bias.as_ref().map(Slice::values).transpose()?,
            activation: None,
            residual: shortcut.map(|shortcut| zoo_kernels::Residual { shortcut, scale: None }),
        };
        let pixels = pixels.read()?;
        let images = pixels.values::<S>()?.chunks_exact(planes * height * width);
        let mut rows = zeros(cells * proj.inputs());
        let mut tokens = zeros::<T>(batch * (before + cells) * channels);
        for (pixels, tokens) in images.zip(tokens.chunks_exact_mut((before + cells) * channels)) {
            let (first, patches) = tokens.split_at_mut(before * channels);
            first.copy_from_slice(prefix);
            Patches { pixels, planes, height, width, patch }.rows(&mut rows);
            proj.apply(&rows, &epilogue, patches);
        }
        Ok(Some(Tensor::from_vec(tokens, (batch, before + cells, channels), &Device::Cpu)?))
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, pixels: &Tensor, surroundings: Surroundings<'_>) -> Result<Tensor> {
        let (batch, planes, _, _) = pixels.dims4()?;
        let (p, grid) = (self.patch, self.grid(pixels)?);
        let patches = pixels
            .to_dtype(self.dtype)?
            .narrow(2, 0, grid.h * p)?
            .narrow(3, 0, grid.w * p)?
            .reshape((batch, planes, grid.h, p, grid.w, p))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch, grid.cells(), planes * p * p))?;
        surroundings.around(self.proj.forward(&patches)?)
    }
}
