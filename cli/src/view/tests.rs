//! A whole picture of made-up features.

use super::*;
use zoo_core::Filter;

fn preprocess(size: u32) -> Preprocess {
    let (mean, std) = ([0.5; 3], [0.5; 3]);
    Preprocess {
        size,
        pad: [0; 3],
        fit: zoo_core::Fit::Pad,
        filter: Filter::Bicubic,
        then: None,
        raw: false,
        mean,
        std,
    }
}

/// Features that vary smoothly over the image.
fn encoder(id: &str, side: usize, channels: usize) -> EncoderView {
    let tokens = (0..side * side)
        .flat_map(|cell| {
            let (x, y) = ((cell % side) as f32 / side as f32, (cell / side) as f32 / side as f32);
            (0..channels).map(move |c| {
                let f = 1.0 + (c % 5) as f32;
                (f * 3.0 * x + c as f32).sin()
                    + (f * 2.0 * y - 0.3 * c as f32).cos()
                    + (x * y * f * 9.0).sin()
            })
        })
        .collect();
    EncoderView {
        id: id.to_owned(),
        tokens,
        grid: Grid::square(side),
        channels,
        layers: vec![side - 2],
        seen: (14 * side, 14 * side),
        preprocess: preprocess(14 * side as u32),
    }
}

fn view(size: (u32, u32)) -> View {
    let image = RgbImage::from_fn(size.0, size.1, |x, y| {
        let wave = ((x as f32 / 31.0).sin() * (y as f32 / 23.0).cos() * 60.0) as i32;
        image::Rgb([90 + wave, 120 + wave / 2, 160 - wave].map(|v| v as u8))
    });
    let grid = Grid::square(24);
    let wave = |k: usize, cell: usize| ((cell % 24) as f32 / 5.0 + k as f32 * 1.6).sin() + 1.6;
    let total = |cell: usize| (0..4).map(|k| wave(k, cell)).sum::<f32>();
    View {
        title: "four-encoders".to_owned(),
        image_name: "waves.png".to_owned(),
        image,
        encoders: vec![
            encoder("an-encoder-l-14-336", 24, 64),
            encoder("another-so400m-14-384", 27, 48),
            encoder("third-giant-14@378", 27, 96),
            encoder("last-one-xxl@1024-multi-stage", 6, 32),
        ],
        attention: Some(AttentionView {
            connector: "aggregator".to_owned(),
            grid,
            shares: (0..4).map(|k| (0..576).map(|cell| wave(k, cell) / total(cell)).collect()).collect(),
        }),
        untrained: true,
    }
}

#[test]
fn a_picture_is_the_same_every_time() {
    assert_eq!(draw(&view((300, 200))).as_raw(), draw(&view((300, 200))).as_raw());
}

#[test]
fn extreme_shapes_are_drawn() {
    for size in [(1, 1), (1, 400), (400, 1), (37, 500)] {
        let picture = draw(&view(size));
        assert!(picture.width() > 400 && picture.height() > 200, "{size:?}: {:?}", picture.dimensions());
    }
}

#[test]
fn trained_weights_get_no_badge() {
    let amber = |picture: &RgbImage| picture.pixels().filter(|p| p.0 == [242, 184, 75]).count();
    let mut view = view((300, 200));
    view.attention = None;
    assert!(amber(&draw(&view)) > 50);
    view.untrained = false;
    assert_eq!(amber(&draw(&view)), 0);
}

/// `ZOO_PICTURE=FOLDER cargo test -p zoo --lib sample` writes pictures to look at.
#[test]
fn sample() {
    for size in [(640, 480), (400, 600), (500, 500)] {
        let picture = draw(&view(size));
        assert!(picture.width() > picture.height());
        if let Ok(folder) = std::env::var("ZOO_PICTURE") {
            picture.save(format!("{folder}/{}x{}.png", size.0, size.1)).unwrap();
        }
    }
}
