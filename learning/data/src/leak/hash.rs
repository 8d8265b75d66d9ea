//! Hashes of pictures that survive scaling and another compression.
//!
//! Both are those of the Python package `imagehash` at their usual sizes, bit for bit on the same pixels: grey as
//! Pillow's `convert("L")`, reduced by its Lanczos filter.

use std::sync::LazyLock;

use zoo_preprocess::{Kernel, RgbImage, resize};

use crate::{Error, Result};

/// A hash of 64 bits, written as `imagehash` writes it: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub u64);

impl Hash {
    /// In how many bits two pictures differ.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = text.len() == 16;
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| fits)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no hash"))
    }
}

/// Whether the picture gets brighter from each of 9 columns to the next, in 8 rows.
///
/// # Errors
/// A picture without pixels.
pub fn dhash(image: &RgbImage) -> Result<Hash> {
    let small = grey(image, 9, 8)?;
    Ok(bits(small.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0]))))
}

/// Which of the 64 lowest frequencies of a reduction to 32 by 32 are above their median.
///
/// # Errors
/// A picture without pixels.
pub fn phash(image: &RgbImage) -> Result<Hash> {
    const SIDE: usize = 32;
    const LOW: usize = 8;
    let small: Vec<f64> = grey(image, SIDE as u32, SIDE as u32)?.into_iter().map(f64::from).collect();
    // The discrete cosine transform of type 2 along both axes; factors that are common to all do not matter.
    // Computed once: a cosine takes longer than all that is done with it.
    static WAVES: LazyLock<[[f64; SIDE]; LOW]> = LazyLock::new(|| {
        let wave = |k: usize, n: usize| {
            (std::f64::consts::PI * k as f64 * (2 * n + 1) as f64 / (2 * SIDE) as f64).cos()
        };
        std::array::from_fn(|k| std::array::from_fn(|n| wave(k, n)))
    });
    let wave = |k: usize, n: usize| WAVES[k][n];
    let mut columns = [[0.0; SIDE]; LOW];
    for (k, column) in columns.iter_mut().enumerate() {
        for (x, sum) in column.iter_mut().enumerate() {
            *sum = (0..SIDE).map(|y| small[y * SIDE + x] * wave(k, y)).sum();
        }
    }
    let mut low = Vec::with_capacity(LOW * LOW);
    for column in &columns {
        for k in 0..LOW {
            low.push(column.iter().enumerate().map(|(x, value)| value * wave(k, x)).sum::<f64>());
        }
    }
    // What is nothing but for rounding is nothing, or rounding would choose the bits of pictures without detail.
    let largest = low.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    low.iter_mut().filter(|value| value.abs() < largest * 1e-12).for_each(|value| *value = 0.0);
    let mut sorted = low.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
    Ok(bits(low.into_iter().map(|value| value > median)))
}

fn bits(bits: impl Iterator<Item = bool>) -> Hash {
    Hash(bits.fold(0, |hash, bit| hash << 1 | u64::from(bit)))
}

/// Grey as Pillow makes it of colours, reduced; one byte a pixel, row by row.
fn grey(image: &RgbImage, width: u32, height: u32) -> Result<Vec<u8>> {
    let grey = |pixel: &image::Rgb<u8>| {
        let [r, g, b] = pixel.0.map(u32::from);
        ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
    };
    // The channels of a grey picture are resized alike, so that one of them is what Pillow makes of its only one. Pillow 13
    // begins with the vertical pass where the height shrinks by more than twice as many pixels as the width: as the picture
    // turned on its side does here.
    let less = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let shorter = less(image.height(), height);
    let turned = shorter > 0 && shorter > 2 * less(image.width(), width);
    let sides = |width, height| if turned { (height, width) } else { (width, height) };
    let ((columns, rows), (across, down)) = (sides(image.width(), image.height()), sides(width, height));
    let plain = RgbImage::from_fn(columns, rows, |x, y| {
        let (x, y) = sides(x, y);
        image::Rgb([grey(image.get_pixel(x, y)); 3])
    });
    let small =
        resize(&plain, across, down, Kernel::Lanczos).map_err(|error| Error::Picture(error.to_string()))?;
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Ok(places.map(|(x, y)| sides(x, y)).map(|(x, y)| small.get_pixel(x, y).0[0]).collect())
}
