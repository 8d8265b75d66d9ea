//! What must hold for every image and every size.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use proptest::prelude::*;
use zoo_core::{Filter, Preprocess, ResizeCrop};
use zoo_preprocess::{
    RgbImage, center_crop, normalize, pad_to_square, prepare, prepare_batch, render, resize,
};

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![Just(Filter::Bicubic), Just(Filter::Bilinear)]
}

fn image(side: u32) -> impl Strategy<Value = RgbImage> {
    (1..=side, 1..=side).prop_flat_map(|(w, h)| {
        prop::collection::vec(any::<u8>(), (3 * w * h) as usize)
            .prop_map(move |bytes| RgbImage::from_raw(w, h, bytes).unwrap())
    })
}

fn pipeline(size: u32, then: Option<u32>, filter: Filter) -> Preprocess {
    Preprocess {
        size,
        pad: [122, 116, 104],
        fit: zoo_core::Fit::Pad,
        filter,
        then: then.map(|resize| ResizeCrop { resize, filter }),
        raw: false,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_size_to_any_size(image in image(64), w in 1u32..=64, h in 1u32..=64, f in filter()) {
        prop_assert_eq!(resize(&image, w, h, f).unwrap().dimensions(), (w, h));
    }

    #[test]
    fn the_same_size_is_the_identity(image in image(40), f in filter()) {
        let (w, h) = image.dimensions();
        prop_assert_eq!(resize(&image, w, h, f).unwrap(), image);
    }

    #[test]
    fn one_colour_stays_one_colour(
        color in any::<[u8; 3]>(), from in (1u32..=64, 1u32..=64), to in (1u32..=64, 1u32..=64), f in filter(),
    ) {
        let resized = resize(&RgbImage::from_pixel(from.0, from.1, image::Rgb(color)), to.0, to.1, f).unwrap();
        prop_assert!(resized.pixels().all(|p| p.0 == color));
    }

    /// The kernels are even, so a mirrored image gives the mirrored result, up to the rounding of weights whose
    /// positions are computed from the other end.
    #[test]
    fn a_mirrored_image_gives_a_mirrored_result(image in image(40), w in 1u32..=40, h in 1u32..=40, f in filter()) {
        let plain = resize(&image, w, h, f).unwrap();
        let mirrored = resize(&image::imageops::flip_horizontal(&image), w, h, f).unwrap();
        let back = image::imageops::flip_horizontal(&mirrored);
        let largest = plain.iter().zip(back.iter()).map(|(a, b)| a.abs_diff(*b)).max();
        prop_assert!(largest <= Some(1), "{:?}", largest);
    }

    #[test]
    fn the_fused_pipeline_is_its_stages(
        image in image(48), size in 1u32..=40, then in prop::option::of(0u32..=9), f in filter(),
    ) {
        let pipeline = pipeline(size, then.map(|more| size + more), f);
        let mut staged = resize(&pad_to_square(&image, pipeline.pad).unwrap(), size, size, f).unwrap();
        if let Some(then) = &pipeline.then {
            staged = center_crop(&resize(&staged, then.resize, then.resize, f).unwrap(), size).unwrap();
        }
        prop_assert_eq!(&render(&image, &pipeline).unwrap(), &staged);
        let mut floats = vec![0.0; staged.as_raw().len()];
        normalize(&staged, &pipeline, &mut floats);
        let prepared = prepare(&image, &pipeline).unwrap();
        prop_assert_eq!(prepared.pixels(), floats);
    }

    #[test]
    fn padding_is_symmetric_and_keeps_the_image(image in image(40)) {
        let padded = pad_to_square(&image, [1, 2, 3]).unwrap();
        let ((w, h), side) = (image.dimensions(), padded.width());
        prop_assert_eq!(padded.dimensions(), (w.max(h), w.max(h)));
        let (left, top) = ((side - w) / 2, (side - h) / 2);
        prop_assert!((side - w - left) - left <= 1 && (side - h - top) - top <= 1);
        for (x, y, pixel) in padded.enumerate_pixels() {
            let inside = (left..left + w).contains(&x) && (top..top + h).contains(&y);
            prop_assert_eq!(pixel.0, if inside { image.get_pixel(x - left, y - top).0 } else { [1, 2, 3] });
        }
    }
}

#[test]
fn a_batch_is_its_images() {
    let images = [(31, 9), (8, 8), (1, 50)].map(|(w, h)| {
        RgbImage::from_fn(w, h, |x, y| image::Rgb([(x * 7) as u8, (y * 11) as u8, (x * y) as u8]))
    });
    let pipeline = pipeline(14, None, Filter::Bicubic);
    let batch = prepare_batch(&images, &pipeline).unwrap();
    let singles: Vec<f32> =
        images.iter().flat_map(|i| prepare(i, &pipeline).unwrap().pixels().to_vec()).collect();
    assert_eq!(batch.pixels(), singles);
    let origins: Vec<_> = batch.origins().iter().map(|o| (o.image, o.size, o.padded)).collect();
    assert_eq!(origins, [(0, (31, 9), true), (1, (8, 8), false), (2, (1, 50), true)]);
    let tensor = batch.to_batch(&candle_core::Device::Cpu).unwrap();
    assert_eq!(tensor.pixels().dims(), [3, 3, 14, 14]);
}

#[test]
fn the_crop_rounds_half_to_even() {
    let image = RgbImage::from_fn(10, 10, |x, y| image::Rgb([x as u8, y as u8, 0]));
    // Differences 1, 3, 5, 7: halves 0.5, 1.5, 2.5, 3.5.
    for (size, offset) in [(9, 0), (7, 2), (5, 2), (3, 4), (8, 1), (10, 0)] {
        let crop = center_crop(&image, size).unwrap();
        assert_eq!(crop.get_pixel(0, 0).0, [offset, offset, 0], "{size}");
    }
}

#[test]
fn impossible_pipelines_say_why() {
    let image = RgbImage::new(4, 4);
    let message = |p: Preprocess| render(&image, &p).unwrap_err().to_string();
    assert_eq!(
        message(pipeline(0, None, Filter::Bicubic)),
        "preprocessing: size is 0, it must be in 1..=16384"
    );
    assert_eq!(
        message(pipeline(224, Some(200), Filter::Bicubic)),
        "preprocessing: the second resize is to 200, but the crop after it takes 224 pixels; \
         it must be in 224..=16384"
    );
    let flat = Preprocess { std: [1.0, 0.0, 1.0], ..pipeline(8, None, Filter::Bicubic) };
    assert!(message(flat).contains("channel 1 has mean 0.456 and std 0"));
    let none = render(&RgbImage::new(0, 5), &pipeline(8, None, Filter::Bicubic));
    assert!(none.unwrap_err().to_string().contains("cannot resize"));
    assert!(prepare_batch(&[] as &[RgbImage], &pipeline(8, None, Filter::Bicubic)).is_err());
}

#[test]
fn padding_is_centred_and_an_odd_row_goes_below() {
    let image = RgbImage::from_pixel(5, 2, image::Rgb([9, 9, 9]));
    let square = pad_to_square(&image, [122, 116, 104]).unwrap();
    assert_eq!(square.dimensions(), (5, 5));
    let rows: Vec<bool> = (0..5).map(|y| square.get_pixel(0, y).0 == [9, 9, 9]).collect();
    assert_eq!(rows, [false, true, true, false, false], "offset (5 - 2) / 2 = 1");
    assert_eq!(square.get_pixel(4, 0).0, [122, 116, 104]);
}
