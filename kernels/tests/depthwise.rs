//! Depthwise convolutions and the norm behind them, beside the formulas in f64.

use half::bf16;
use zoo_kernels::{Depthwise, Element, Maps, Norm, NormKind};

/// Numbers in -1..1, none of them neutral.
fn noise(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
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
    fn parts(&self) -> (Vec<f32>, Depthwise, [Vec<f32>; 4]) {
        let Maps { images, height, width } = self.maps;
        let (c, area) = (self.channels, self.kernel * self.kernel);
        let x = noise(images * height * width * c, 1);
        let parameters = [noise(c * area, 2), noise(c, 3), noise(c, 4), noise(c, 5)];
        (x, Depthwise::new(&parameters[0], &parameters[1], self.kernel), parameters)
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
        let (x, conv, parameters) = self.parts();
        let (sums, normed) = self.expected(&x, &parameters);
        let norm = norm_of(&parameters[2], &parameters[3]);
        let largest = |got: &[f32], expected: &[f64]| {
            got.iter().zip(expected).map(|(&g, e)| (f64::from(g) - e).abs()).fold(0.0, f64::max)
        };
        let mut out = vec![f32::NAN; x.len()];
        conv.apply(&x, self.maps, None, &mut out);
        assert!(largest(&out, &sums) < 1e-5 * (self.kernel * self.kernel) as f64);
        conv.apply(&x, self.maps, Some(norm), &mut out);
        assert!(largest(&out, &normed) < 1e-3, "{}", largest(&out, &normed));

        // bf16 by taps of f32: the same sums of rounded numbers, rounded once.
        let short = |x: &[f32]| x.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>();
        let wide = |x: &[bf16]| x.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
        let x = short(&x);
        let parameters = parameters.map(|values| short(&values));
        let [taps, bias, gain, shift] = &parameters;
        conv.apply(&wide(&x), self.maps, Some(norm_of(&wide(gain), &wide(shift))), &mut out);
        let mut narrow = vec![bf16::ZERO; x.len()];
        conv.apply(&x, self.maps, Some(norm_of(gain, shift)), &mut narrow);
        assert!(narrow.iter().zip(&out).all(|(&n, &w)| n == <bf16 as Element>::round(w)));

        // By taps of bf16, which may be taken in pairs.
        let conv = Depthwise::new(taps, bias, self.kernel);
        let (sums, normed) = self.expected(&wide(&x), &parameters.each_ref().map(|values| wide(values)));
        for (norm, expected) in [(None, sums), (Some(norm_of(gain, shift)), normed)] {
            conv.apply(&x, self.maps, norm, &mut narrow);
            for (&got, want) in narrow.iter().zip(expected) {
                assert!(
                    (f64::from(got.to_f32()) - want).abs() <= want.abs() / 256.0 + 1e-3,
                    "{got}, not {want}"
                );
            }
        }
        assert_eq!(conv.parameters().0, wide(taps));
        assert_eq!(conv.parameters().1, wide(bias));
    }
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
