//! Depthwise convolutions and the norm behind them, beside the formulas in f64.

mod common;

use common::levels::levels;
use half::bf16;
use zoo_kernels::{Depthwise, Element, Isa, Maps, Norm, NormKind};

/// Numbers in -1..1, none of them neutral.
fn noise(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

fn short(x: &[f32]) -> Vec<bf16> {
    x.iter().map(|&x| bf16::from_f32(x)).collect()
}

fn wide(x: &[bf16]) -> Vec<f32> {
    x.iter().map(|x| x.to_f32()).collect()
}

fn norm_of<'a, T>(weight: &'a [T], bias: &'a [T]) -> Norm<'a, T> {
    Norm { kind: NormKind::Layer, weight, bias: Some(bias), eps: 1e-6 }
}

struct Case {
    maps: Maps,
    channels: usize,
    kernel: usize,
}

impl Case {
    /// The maps; weights and bias, and those of the norm.
    fn parts(&self) -> (Vec<f32>, [Vec<f32>; 4]) {
        let Maps { images, height, width } = self.maps;
        let (c, area) = (self.channels, self.kernel * self.kernel);
        let x = noise(images * height * width * c, 1);
        (x, [noise(c * area, 2), noise(c, 3), noise(c, 4), noise(c, 5)])
    }

    /// The convolution of `x`, and the norm of its result.
    fn expected(&self, x: &[f32], [weight, bias, gain, shift]: &[Vec<f32>; 4]) -> (Vec<f64>, Vec<f64>) {
        let Maps { images, height, width } = self.maps;
        let (c, k) = (self.channels, self.kernel);
        let mut sums = Vec::with_capacity(x.len());
        for (image, y, column, channel) in (0..images * height * width * c)
            .map(|i| (i / (height * width * c), i / (width * c) % height, i / c % width, i % c))
        {
            let mut sum = f64::from(bias[channel]);
            for (v, u) in (0..k * k).map(|tap| (tap / k, tap % k)) {
                let (Some(y), Some(column)) = ((y + v).checked_sub(k / 2), (column + u).checked_sub(k / 2))
                else {
                    continue;
                };
                if y < height && column < width {
                    let x = x[((image * height + y) * width + column) * c + channel];
                    sum += f64::from(x) * f64::from(weight[(channel * k + v) * k + u]);
                }
            }
            sums.push(sum);
        }
        let normed = sums.chunks(c).flat_map(|pixel| {
            let mean = pixel.iter().sum::<f64>() / c as f64;
            let variance = pixel.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / c as f64;
            let scale = 1.0 / (variance + 1e-6).sqrt();
            pixel
                .iter()
                .zip(gain)
                .zip(shift)
                .map(move |((x, &g), &s)| (x - mean) * scale * f64::from(g) + f64::from(s))
        });
        let normed = normed.collect();
        (sums, normed)
    }

    #[track_caller]
    fn check(&self) {
        let (x, parameters) = self.parts();
        let expected = self.expected(&x, &parameters);
        let (short_x, short_parameters) = (short(&x), parameters.each_ref().map(|values| short(values)));
        let rounded = short_parameters.each_ref().map(|values| wide(values));
        let expected_short = self.expected(&wide(&short_x), &rounded);
        for isa in levels() {
            self.check_singles(isa, &x, &parameters, &expected);
            self.check_halves(isa, &short_x, &short_parameters, &expected_short);
        }
    }

    fn check_singles(
        &self,
        isa: Isa,
        x: &[f32],
        [taps, bias, gain, shift]: &[Vec<f32>; 4],
        (sums, normed): &(Vec<f64>, Vec<f64>),
    ) {
        let conv = Depthwise::at_most(isa, taps, bias, self.kernel);
        let largest = |got: &[f32], expected: &[f64]| {
            got.iter().zip(expected).map(|(&g, e)| (f64::from(g) - e).abs()).fold(0.0, f64::max)
        };
        let mut out = vec![f32::NAN; x.len()];
        conv.apply(x, self.maps, None, &mut out);
        assert!(out.iter().all(|x| x.is_finite()), "{isa:?}");
        assert!(largest(&out, sums) < 1e-5 * (self.kernel * self.kernel) as f64, "{isa:?}");
        conv.apply(x, self.maps, Some(norm_of(gain, shift)), &mut out);
        assert!(largest(&out, normed) < 1e-3, "{isa:?}: {}", largest(&out, normed));
    }

    fn check_halves(
        &self,
        isa: Isa,
        x: &[bf16],
        [taps, bias, gain, shift]: &[Vec<bf16>; 4],
        (sums, normed): &(Vec<f64>, Vec<f64>),
    ) {
        // By taps of f32: the same sums, rounded once.
        let conv = Depthwise::at_most(isa, &wide(taps), &wide(bias), self.kernel);
        let mut out = vec![f32::NAN; x.len()];
        conv.apply(&wide(x), self.maps, Some(norm_of(&wide(gain), &wide(shift))), &mut out);
        let mut narrow = vec![bf16::NAN; x.len()];
        conv.apply(x, self.maps, Some(norm_of(gain, shift)), &mut narrow);
        assert!(narrow.iter().zip(&out).all(|(&n, &w)| n == <bf16 as Element>::round(w)), "{isa:?}");

        // By taps of bf16, which may be taken in pairs.
        let conv = Depthwise::at_most(isa, taps, bias, self.kernel);
        for (norm, expected) in [(None, sums), (Some(norm_of(gain, shift)), normed)] {
            conv.apply(x, self.maps, norm, &mut narrow);
            for (&got, want) in narrow.iter().zip(expected) {
                assert!(
                    (f64::from(got.to_f32()) - want).abs() <= want.abs() / 256.0 + 1e-3,
                    "{isa:?}: {got}, not {want}"
                );
            }
        }
        assert_eq!(conv.parameters().0, wide(taps));
        assert_eq!(conv.parameters().1, wide(bias));
    }
}

/// An infinite number makes the outputs in whose windows it lies infinite or no number, and no others.
#[test]
fn what_is_not_finite_stays_in_its_windows() {
    let (height, width, channels) = (19, 21, 24);
    let maps = Maps { images: 1, height, width };
    let (row, column, channel) = (9, 10, 3);
    for kernel in [1, 3, 7] {
        let (taps, bias) = (noise(channels * kernel * kernel, 2), noise(channels, 3));
        let mut x = noise(height * width * channels, 1);
        x[(row * width + column) * channels + channel] = f32::INFINITY;
        let check = |name: &str, finite: Vec<bool>| {
            for (i, finite) in finite.into_iter().enumerate() {
                let (r, c) = (i / channels / width, i / channels % width);
                let near = r.abs_diff(row).max(c.abs_diff(column)) <= kernel / 2;
                assert_eq!(!finite, near && i % channels == channel, "{name}, {kernel}: row {r}, column {c}");
            }
        };
        for isa in levels() {
            let mut out = vec![f32::NAN; x.len()];
            Depthwise::at_most(isa, &taps, &bias, kernel).apply(&x, maps, None, &mut out);
            check(&format!("{isa:?} f32"), out.iter().map(|x| x.is_finite()).collect());
            let mut out = vec![bf16::NAN; x.len()];
            let conv = Depthwise::at_most(isa, &short(&taps), &short(&bias), kernel);
            conv.apply(&short(&x), maps, None, &mut out);
            check(&format!("{isa:?} bf16"), out.iter().map(|x| x.is_finite()).collect());
        }
    }
}

/// Taps of bf16 are for maps of bf16 on every machine, whether it takes them in pairs or not.
#[test]
#[should_panic(expected = "taps are for maps of bf16, maps are f32")]
fn narrow_taps_refuse_wide_maps() {
    let conv = Depthwise::new(&[bf16::ONE; 9], &[bf16::ONE], 3);
    conv.apply(&[0f32; 4], Maps { images: 1, height: 2, width: 2 }, None, &mut [0f32; 4]);
}

#[test]
fn the_formula() {
    let maps = |images, height, width| Maps { images, height, width };
    for (maps, channels, kernel) in [
        (maps(1, 1, 1), 3, 7),
        (maps(2, 5, 3), 10, 7),
        (maps(1, 10, 10), 56, 7),
        (maps(3, 4, 21), 64, 3),
        (maps(1, 9, 13), 36, 5),
        (maps(2, 3, 8), 33, 1),
        // More columns than one task takes, and more bands of two images than wait for the norm.
        (maps(2, 9, 70), 1040, 3),
    ] {
        Case { maps, channels, kernel }.check();
    }
}
