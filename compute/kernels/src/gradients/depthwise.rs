//! The backward pass of depthwise convolutions.

use rayon::prelude::*;

use crate::depthwise::{Depthwise, Maps};
use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};

impl Depthwise {
    /// Writes the gradients of the taps, `[channels, kernel, kernel]`, for the gradient of the convolved `x`, both
    /// channels-last of the size `maps`, to `out`; that of the bias is [`sum_rows`](crate::sum_rows) and that of `x` a
    /// convolution with the taps turned about. Sums are f32, in the order of the pixels. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn tap_gradients<T: Element>(kernel: usize, x: &[T], gradient: &[T], maps: Maps, out: &mut [f32]) {
        let pixels = maps.images * maps.height * maps.width;
        let area = kernel * kernel;
        assert!(kernel % 2 == 1 && x.len() == gradient.len(), "x and gradient, with an odd kernel");
        assert!(pixels > 0 && x.len().is_multiple_of(pixels), "x: not {maps:?}");
        let channels = x.len() / pixels;
        assert_eq!(out.len(), channels * area, "out: not [{channels}, {kernel}, {kernel}]");
        out.par_chunks_mut(LANES * area).enumerate().for_each(|(group, out)| {
            lanes::run(Group { kernel, x, gradient, maps, channels, first: group * LANES, out });
        });
    }
}

/// Some neighbouring channels.
struct Group<'a, T> {
    kernel: usize,
    x: &'a [T],
    gradient: &'a [T],
    maps: Maps,
    channels: usize,
    first: usize,
    out: &'a mut [f32],
}

impl<T: Element> Work for Group<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { kernel, x, gradient, maps: Maps { images, height, width }, channels, first, out } = self;
        let (border, area) = (kernel / 2, kernel * kernel);
        let live = out.len() / area;
        let mut sums = vec![[0f32; LANES]; area];
        let numbers = |from: &[T], pixel: usize| {
            let mut numbers = [0.0; LANES];
            let from = &from[pixel * channels + first..][..live];
            numbers.iter_mut().zip(from).for_each(|(to, x)| *to = x.widen());
            numbers
        };
        for row in 0..images * height {
            // By itself, before it is added to the others, so that small numbers are not lost in a long sum.
            let mut turn = vec![[0f32; LANES]; area];
            let (image, i) = (row / height, row % height);
            for j in 0..width {
                let gradient = numbers(gradient, row * width + j);
                for u in (border.saturating_sub(i))..kernel.min(height + border - i) {
                    let line = (image * height + i + u - border) * width;
                    for v in (border.saturating_sub(j))..kernel.min(width + border - j) {
                        let x = numbers(x, line + j + v - border);
                        let sums = &mut turn[u * kernel + v];
                        for ((sum, x), gradient) in sums.iter_mut().zip(&x).zip(&gradient) {
                            *sum += x * gradient;
                        }
                    }
                }
            }
            for (sums, turn) in sums.iter_mut().zip(&turn) {
                sums.iter_mut().zip(turn).for_each(|(sum, turn)| *sum += turn);
            }
        }
        for (channel, out) in out.chunks_exact_mut(area).enumerate() {
            out.iter_mut().zip(&sums).for_each(|(out, sums)| *out = sums[channel]);
        }
    }
}
