//! Depthwise convolution over channels-last maps.
//!
//! candle's grouped convolution runs one single-channel convolution per group, thousands in a ConvNeXt, so the
//! CPU has a kernel of its own here: bands of rows in parallel, a few pixels times a few channels at a time, which
//! the compiler keeps in vector registers. Products and sums are rounded apart (no fused multiply-add), so
//! results are the same on every machine.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor};
use rayon::prelude::*;
use zoo_core::Result;
use zoo_core::weights::{Init, Params};

/// Channels that are computed together.
const LANES: usize = 8;
/// Neighbouring pixels of a row that are computed together.
const TILE: usize = 4;
/// Rows that one task computes.
const BAND: usize = 8;

/// A depthwise convolution of stride 1 with an odd square kernel, zero padding that keeps the size, and a bias.
/// Computed in f32.
#[derive(Debug, Clone)]
pub struct Depthwise {
    /// `[k·k, C]`, taps in row-major order.
    taps: Tensor,
    bias: Tensor,
    kernel: usize,
}

impl Depthwise {
    /// Reads `weight` `[channels, 1, kernel, kernel]` and `bias` `[channels]` at `params`. `kernel` is odd.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, kernel: usize) -> Result<Self> {
        let init = Init::fan_in(kernel * kernel);
        let weight = params.get("weight", (channels, 1, kernel, kernel), init)?;
        let bias = params.get("bias", channels, init)?;
        Self::new(&weight, &bias)
    }

    /// From `weight` `[C, 1, k, k]` with odd `k`, and `bias` `[C]`.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the shapes are not these.
    pub fn new(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (_, _, kernel, _) = weight.dims4()?;
        let taps = weight.to_dtype(DType::F32)?.flatten_from(1)?.t()?.contiguous()?;
        Ok(Self { taps, bias: bias.to_dtype(DType::F32)?, kernel })
    }

    /// f32 `[B, H, W, C]` to the same shape. Differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the channels do not fit or `x` is not f32.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let tracked = x.track_op() || self.taps.track_op() || self.bias.track_op();
        if x.device().is_cpu() && !tracked {
            let op = Kernel { size: self.kernel };
            return Ok(x.contiguous()?.apply_op3_no_bwd(&self.taps, &self.bias.contiguous()?, &op)?);
        }
        let channels = self.bias.elem_count();
        let weight = self.taps.t()?.contiguous()?.reshape((channels, 1, self.kernel, self.kernel))?;
        let planes = x.permute((0, 3, 1, 2))?.contiguous()?;
        let planes = planes.conv2d(&weight, self.kernel / 2, 1, 1, channels)?;
        Ok(planes.permute((0, 2, 3, 1))?.broadcast_add(&self.bias)?)
    }
}

/// The CPU kernel: `x` `[B, H, W, C]`, taps `[k·k, C]`, bias `[C]`.
struct Kernel {
    size: usize,
}

impl CustomOp3 for Kernel {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        taps: &CpuStorage,
        taps_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, height, width, channels) = x_layout.shape().dims4()?;
        if taps_layout.dims() != [self.size * self.size, channels] || bias_layout.dims() != [channels] {
            candle_core::bail!("depthwise: {channels} channels, but taps {:?}", taps_layout.dims());
        }
        let image = Image {
            x: contiguous(x, x_layout)?,
            taps: &blocks(contiguous(taps, taps_layout)?, channels),
            bias: &blocks(contiguous(bias, bias_layout)?, channels),
            size: self.size,
            height,
            width,
            channels,
        };
        let mut out = vec![0f32; image.x.len()];
        let rows = width * channels;
        // A band never spans two images.
        out.par_chunks_mut(height * rows).enumerate().for_each(|(index, whole)| {
            whole.par_chunks_mut(BAND * rows).enumerate().for_each_init(Vec::new, |scratch, (band, out)| {
                Band { image: &image, index, top: band * BAND, out, scratch }.fill();
            });
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("depthwise: a tensor is not contiguous"),
    }
}

/// Rows of `channels` values as blocks of [`LANES`], block-major, the last one filled up with zeros.
fn blocks(values: &[f32], channels: usize) -> Vec<[f32; LANES]> {
    let row = |start: usize| {
        values.chunks(channels).map(move |row| {
            let part = &row[start..(start + LANES).min(channels)];
            let mut block = [0.0; LANES];
            block[..part.len()].copy_from_slice(part);
            block
        })
    };
    (0..channels).step_by(LANES).flat_map(row).collect()
}

/// What all bands share.
struct Image<'a> {
    x: &'a [f32],
    taps: &'a [[f32; LANES]],
    bias: &'a [[f32; LANES]],
    size: usize,
    height: usize,
    width: usize,
    channels: usize,
}

/// Some rows of one image.
struct Band<'a> {
    image: &'a Image<'a>,
    index: usize,
    top: usize,
    out: &'a mut [f32],
    scratch: &'a mut Vec<[f32; LANES]>,
}

impl Band<'_> {
    fn fill(self) {
        let Image { taps, bias, size, width, channels, .. } = *self.image;
        let rows = self.out.len() / (width * channels);
        let padded = width + size - 1;
        for (block, bias) in bias.iter().enumerate() {
            let start = block * LANES;
            let used = LANES.min(channels - start);
            let taps = &taps[block * size * size..][..size * size];
            self.image.cut(self.scratch, self.index, self.top, rows, start, used);
            for y in 0..rows {
                let window = &self.scratch[y * padded..][..size * padded];
                let out = &mut self.out[y * width * channels + start..];
                let mut put = |x: usize, sums: &[[f32; LANES]]| {
                    for (i, sum) in sums.iter().enumerate() {
                        out[(x + i) * channels..][..used].copy_from_slice(&sum[..used]);
                    }
                };
                let whole = width - width % TILE;
                for x in (0..whole).step_by(TILE) {
                    put(x, &pixels::<TILE>(window, padded, x, taps, size, bias));
                }
                for x in whole..width {
                    put(x, &pixels::<1>(window, padded, x, taps, size, bias));
                }
            }
        }
    }
}

impl Image<'_> {
    /// Copies the rows that a band sees, `used` channels from `start` on, with a border of zeros.
    fn cut(
        &self,
        scratch: &mut Vec<[f32; LANES]>,
        index: usize,
        top: usize,
        rows: usize,
        start: usize,
        used: usize,
    ) {
        let reach = self.size / 2;
        let padded = self.width + self.size - 1;
        scratch.clear();
        scratch.resize((rows + self.size - 1) * padded, [0.0; LANES]);
        for (i, line) in scratch.chunks_mut(padded).enumerate() {
            let Some(y) = (top + i).checked_sub(reach).filter(|&y| y < self.height) else { continue };
            let row = &self.x[(index * self.height + y) * self.width * self.channels..];
            for (cell, x) in line[reach..reach + self.width].iter_mut().zip(row.chunks(self.channels)) {
                cell[..used].copy_from_slice(&x[start..start + used]);
            }
        }
    }
}

/// `N` neighbouring pixels of one row from `size` padded rows.
#[inline]
fn pixels<const N: usize>(
    window: &[[f32; LANES]],
    padded: usize,
    x: usize,
    taps: &[[f32; LANES]],
    size: usize,
    bias: &[f32; LANES],
) -> [[f32; LANES]; N] {
    let mut sums = [*bias; N];
    for (line, taps) in window.chunks_exact(padded).zip(taps.chunks_exact(size)) {
        let line = &line[x..x + N + size - 1];
        for (cells, tap) in line.windows(N).zip(taps) {
            for (sum, cell) in sums.iter_mut().zip(cells) {
                for lane in 0..LANES {
                    sum[lane] += cell[lane] * tap[lane];
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn noise(shape: &[usize], seed: u32) -> Tensor {
        let n = shape.iter().product();
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        Tensor::from_vec((0..n).map(|_| next()).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    }

    /// Widths, heights and channels around the sizes of tiles, bands and blocks.
    #[test]
    fn agrees_with_grouped_convolution() {
        for (batch, height, width, channels, kernel) in
            [(2, 17, 9, 24, 7), (1, 8, 4, 16, 7), (1, 1, 1, 3, 7), (3, 2, 5, 33, 3), (1, 9, 3, 8, 5)]
        {
            let weight = noise(&[channels, 1, kernel, kernel], 1);
            let conv = Depthwise::new(&weight, &noise(&[channels], 2)).unwrap();
            let x = noise(&[batch, height, width, channels], 3);
            let fast = conv.forward(&x).unwrap();
            let tracked = Var::from_tensor(&x).unwrap();
            let slow = conv.forward(tracked.as_tensor()).unwrap();
            assert!(slow.track_op() && fast.dims() == slow.dims());
            let gap: f32 = (fast - slow).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
            assert!(gap < 1e-5, "{batch}×{height}×{width}×{channels}, kernel {kernel}: {gap}");
        }
    }

    #[test]
    fn wrong_channels_are_an_error() {
        let conv = Depthwise::new(&noise(&[4, 1, 3, 3], 1), &noise(&[4], 2)).unwrap();
        assert!(conv.forward(&noise(&[1, 5, 5, 6], 3)).is_err());
    }
}
