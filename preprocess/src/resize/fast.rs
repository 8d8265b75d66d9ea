//! Resampling through `fast_image_resize`: the same kernels with 16-bit weights, vertical pass first.

use fast_image_resize as fir;
use image::RgbImage;
use zoo_core::Filter;

use crate::{Error, Result};

pub(super) fn resample(source: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<Vec<u8>> {
    let fault = |e: &dyn std::fmt::Display| Error::Pipeline(format!("fast resize: {e}"));
    let (source_width, source_height) = source.dimensions();
    let view = fir::images::ImageRef::new(source_width, source_height, source, fir::PixelType::U8x3)
        .map_err(|e| fault(&e))?;
    let mut out = fir::images::Image::new(width, height, fir::PixelType::U8x3);
    let kernel = match filter {
        Filter::Bicubic => fir::FilterType::CatmullRom,
        Filter::Bilinear => fir::FilterType::Bilinear,
    };
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(kernel));
    fir::Resizer::new().resize(&view, &mut out, &options).map_err(|e| fault(&e))?;
    Ok(out.into_vec())
}
