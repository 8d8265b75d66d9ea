//! From bytes to normalised floats.

use image::RgbImage;
use zoo_core::Preprocess;

/// Writes `(x · scale - mean) / std` of `image`, channel by channel (CHW), into `out`, which holds
/// `3 · width · height` values. The scale is 1/255, or 1 with [`Preprocess::raw`].
///
/// Arithmetic is f32: `x / 255`, minus mean, divided by std, as torchvision's `ToTensor` and `Normalize` do. The
/// image processors of transformers multiply by 1/255 instead, which differs by at most one unit in the last place
/// of `x / 255`.
///
/// # Panics
/// When `out` has another length.
pub fn normalize(image: &RgbImage, pipeline: &Preprocess, out: &mut [f32]) {
    let samples = image.as_raw();
    assert_eq!(out.len(), samples.len(), "one float per byte");
    if samples.is_empty() {
        return;
    }
    for (channel, plane) in out.chunks_exact_mut(samples.len() / 3).enumerate() {
        let table = table(pipeline, channel);
        for (value, &sample) in plane.iter_mut().zip(samples.iter().skip(channel).step_by(3)) {
            *value = table[usize::from(sample)];
        }
    }
}

/// The normalised value of each byte.
fn table(pipeline: &Preprocess, channel: usize) -> [f32; 256] {
    let (mean, std) = (pipeline.mean[channel], pipeline.std[channel]);
    std::array::from_fn(|x| {
        let x = x as f32;
        let x = if pipeline.raw { x } else { x / 255.0 };
        (x - mean) / std
    })
}
