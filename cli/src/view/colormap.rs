//! A perceptual colour map: lightness rises evenly from night blue over magenta to pale yellow, so that equal
//! steps of the value look equally large and the map still reads in grey.

use super::canvas::Rgb;

/// Colour of `t` in 0..=1; values outside are clamped.
pub fn heat(t: f32) -> Rgb {
    let t = if t.is_finite() { t.clamp(0.0, 1.0) } else { 0.0 };
    let lightness = 0.17 + 0.78 * t;
    let hue = (282.0 + 180.0 * t.powf(1.1)).to_radians();
    // Strongest in the middle: both ends of the lightness scale hold little colour. Inside sRGB everywhere.
    let chroma = 0.04 + 0.13 * (std::f32::consts::PI * t.powf(0.85)).sin().max(0.0);
    oklab_to_linear([lightness, chroma * hue.cos(), chroma * hue.sin()]).map(encode_srgb)
}

/// Björn Ottosson's OKLab to linear sRGB.
fn oklab_to_linear([l, a, b]: [f32; 3]) -> [f32; 3] {
    let (l, m, s) = (
        (l + 0.396_337_78 * a + 0.215_803_76 * b).powi(3),
        (l - 0.105_561_346 * a - 0.063_854_17 * b).powi(3),
        (l - 0.089_484_18 * a - 1.291_485_5 * b).powi(3),
    );
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

fn encode_srgb(linear: f32) -> u8 {
    let c = linear.clamp(0.0, 1.0);
    let s = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
    (s * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(c: Rgb) -> f32 {
        0.2126 * f32::from(c[0]) + 0.7152 * f32::from(c[1]) + 0.0722 * f32::from(c[2])
    }

    #[test]
    fn brightness_rises_at_every_step() {
        let lumas: Vec<f32> = (0..=40).map(|i| luma(heat(i as f32 / 40.0))).collect();
        assert!(lumas.windows(2).all(|w| w[1] > w[0]), "{lumas:?}");
    }

    #[test]
    fn neighbours_never_jump() {
        for i in 0..255 {
            let (a, b) = (heat(i as f32 / 255.0), heat((i + 1) as f32 / 255.0));
            assert!((0..3).all(|c| a[c].abs_diff(b[c]) <= 6), "{i}: {a:?} {b:?}");
        }
    }

    #[test]
    fn the_ends_are_dark_and_light_and_nonsense_is_the_lower_end() {
        assert!(luma(heat(0.0)) < 30.0 && luma(heat(1.0)) > 215.0);
        assert_eq!(heat(f32::NAN), heat(0.0));
        assert_eq!(heat(7.0), heat(1.0));
    }
}
