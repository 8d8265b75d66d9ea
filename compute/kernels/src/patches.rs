//! Images cut into the rows that a patch embedding multiplies.

use rayon::prelude::*;

use crate::element::Element;

/// One image and the side of the squares that it is cut into. Rows and columns of pixels beyond the last whole square
/// are not seen, as by a convolution without padding.
#[derive(Debug, Clone, Copy)]
pub struct Patches<'a, S> {
    /// `[planes, height, width]`.
    pub pixels: &'a [S],
    /// Colours.
    pub planes: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Side of a patch.
    pub patch: usize,
}

impl<S: Element> Patches<'_, S> {
    /// Writes the patches in raster order, `[patches, planes · patch · patch]`, each in the order of a convolution's
    /// weights, rounded to `T`. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn rows<T: Element>(&self, out: &mut [T]) {
        let Self { pixels, planes, height, width, patch } = *self;
        assert!(patch > 0, "patches of no pixels");
        assert_eq!(pixels.len(), planes * height * width, "pixels: not [{planes}, {height}, {width}]");
        let (rows, columns, inputs) = (height / patch, width / patch, planes * patch * patch);
        assert_eq!(out.len(), rows * columns * inputs, "out: not [{rows} · {columns}, {inputs}]");
        if out.is_empty() {
            return;
        }
        out.par_chunks_mut(columns * inputs).enumerate().for_each(|(row, out)| {
            for (column, out) in out.chunks_exact_mut(inputs).enumerate() {
                for (line, out) in out.chunks_exact_mut(patch).enumerate() {
                    let (plane, y) = (line / patch, row * patch + line % patch);
                    let from = &pixels[(plane * height + y) * width + column * patch..][..patch];
                    out.iter_mut().zip(from).for_each(|(out, x)| *out = T::round(x.widen()));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn patches_are_cut_in_the_order_of_the_weights() {
        // Two planes of 5 by 7 pixels, of which the last row and column are beyond the last patch.
        let pixels: Vec<f32> = (0..70).map(|i| i as f32).collect();
        let cut = Patches { pixels: &pixels, planes: 2, height: 5, width: 7, patch: 2 };
        let mut out = [0f32; 6 * 8];
        cut.rows(&mut out);
        assert_eq!(out[..8], [0.0, 1.0, 7.0, 8.0, 35.0, 36.0, 42.0, 43.0]);
        assert_eq!(out[5 * 8..], [18.0, 19.0, 25.0, 26.0, 53.0, 54.0, 60.0, 61.0]);
        let mut rounded = [bf16::ZERO; 6 * 8];
        cut.rows(&mut rounded);
        assert!(rounded.iter().zip(out).all(|(a, b)| *a == bf16::from_f32(b)));
    }

    #[test]
    #[should_panic(expected = "pixels: not [1, 3, 3]")]
    fn short_images_are_refused() {
        Patches { pixels: &[0f32; 8], planes: 1, height: 3, width: 3, patch: 2 }.rows(&mut [0f32; 4]);
    }
}
