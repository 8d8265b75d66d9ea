//! The contact sheet of docs/world.md: `cargo run --release -p zoo-world --example sheet FILE [SEED] [KIND] [SIDE]`.

use std::process::ExitCode;

use image::{Rgb, RgbImage, imageops};
use zoo_world::draw::Mix;
use zoo_world::scene::{Kind, Split};
use zoo_world::{render, scene};

const COLUMNS: u32 = 6;
const ROWS: u32 = 4;
const GAP: u32 = 6;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.first() else {
        eprintln!("usage: sheet FILE [SEED] [KIND] [SIDE]");
        return ExitCode::FAILURE;
    };
    let number =
        |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, side) = (number(1, 7), number(3, 192) as u32);
    let kind = Kind::ALL.iter().find(|kind| arguments.get(2).is_some_and(|word| word == kind.word()));
    let mix = kind.map_or_else(Mix::default, |kind| Mix::only(*kind));
    let mut sheet =
        RgbImage::from_pixel(COLUMNS * (side + GAP) + GAP, ROWS * (side + GAP) + GAP, Rgb([250, 250, 248]));
    for index in 0..u64::from(COLUMNS * ROWS) {
        let scene = scene(seed, mix, Split::Test, index);
        let seen = render(&scene, side);
        let Some(picture) = RgbImage::from_raw(seen.width as u32, seen.height as u32, seen.rgb) else {
            return ExitCode::FAILURE;
        };
        let (column, row) = (index as u32 % COLUMNS, index as u32 / COLUMNS);
        let x = GAP + column * (side + GAP) + (side - picture.width()) / 2;
        let y = GAP + row * (side + GAP) + (side - picture.height()) / 2;
        imageops::replace(&mut sheet, &picture, i64::from(x), i64::from(y));
    }
    match sheet.save(file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}
