//! Normalisation against f64, and fused into a product against itself apart.

mod common;

use common::levels::levels;
use common::noise;
use half::bf16;
use zoo_kernels::{Element, Epilogue, Norm, NormKind, Packed};

fn check<T: Element>(kind: NormKind, rows: usize, channels: usize, offset: f32) {
    let x: Vec<T> = noise::<f32>(1, rows * channels).iter().map(|x| T::round(x + offset)).collect();
    let (weight, bias) = (noise::<T>(2, channels), noise::<T>(3, channels));
    let wide = |x: &[T]| x.iter().map(|x| f64::from(x.widen())).collect::<Vec<_>>();
    let [w, b] = [&weight, &bias].map(|x| wide(x));
    for bias in [None, Some(bias.as_slice())] {
        let norm = Norm { kind, weight: &weight, bias, eps: 1e-6 };
        let mut first: Option<Vec<T>> = None;
        for isa in levels() {
            let mut out = vec![T::round(f32::NAN); x.len()];
            norm.apply_at_most(isa, &x, &mut out);
            for (row, out) in x.chunks(channels).zip(out.chunks(channels)) {
                let row = wide(row);
                let mean =
                    if kind == NormKind::Layer { row.iter().sum::<f64>() / channels as f64 } else { 0.0 };
                let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
                for (i, got) in out.iter().enumerate() {
                    let want = (row[i] - mean) / (square + 1e-6).sqrt() * w[i];
                    let want = want + bias.map_or(0.0, |_| b[i]);
                    let tolerance =
                        3e-6 * f64::from(offset.max(1.0)) + if T::HALF { want.abs() / 256.0 } else { 0.0 };
                    let error = (f64::from(got.widen()) - want).abs();
                    assert!(
                        error <= tolerance,
                        "{isa:?} {kind:?} {rows}×{channels} at {i}: off by {error:e}"
                    );
                }
            }
            let bits = |out: &[T]| out.iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
            let first = first.get_or_insert_with(|| out.clone());
            assert!(bits(first) == bits(&out), "{isa:?}: other bits than without its instructions");
        }
    }
}

#[test]
fn rows_of_every_length() {
    for kind in [NormKind::Layer, NormKind::Rms] {
        for (rows, channels) in [(1, 2), (5, 63), (3, 64), (7, 65), (40, 1152), (2, 5000)] {
            check::<f32>(kind, rows, channels, 0.0);
            check::<bf16>(kind, rows, channels, 0.0);
        }
        // A mean far from zero does not eat the variance.
        check::<f32>(kind, 3, 1024, 30.0);
    }
}

fn fused<T: Element>() {
    for isa in levels() {
        for (m, n, k) in [(1, 3, 5), (13, 40, 64), (50, 33, 131), (40, 20, 0)] {
            let (x, weight, bias) = (noise::<T>(1, m * k), noise::<T>(2, n * k), noise::<T>(3, n));
            let (scale, shift) = (noise::<T>(4, k), noise::<T>(5, k));
            let norm = Norm { kind: NormKind::Layer, weight: &scale, bias: Some(&shift), eps: 1e-5 };
            let packed = Packed::at_most(isa, &weight, n, k);
            let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
            let (mut normed, mut apart) = (vec![T::round(0.0); m * k], vec![T::round(0.0); m * n]);
            norm.apply_at_most(isa, &x, &mut normed);
            packed.apply(&normed, &epilogue, &mut apart);
            let mut out = vec![T::round(f32::NAN); m * n];
            packed.apply_normed(&x, &norm, &epilogue, &mut out);
            let bits = |out: &[T]| out.iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
            assert!(bits(&out) == bits(&apart), "{isa:?} {m}×{n}×{k}");
        }
    }
}

#[test]
fn fused_is_the_same_bits_as_apart() {
    fused::<f32>();
    fused::<bf16>();
}

#[test]
#[should_panic(expected = "bias: not [4]")]
fn wrong_lengths_are_refused() {
    let norm = Norm { kind: NormKind::Layer, weight: &[1f32; 4], bias: Some(&[0.0; 3]), eps: 1e-5 };
    norm.apply(&[0.0; 8], &mut [0.0; 8]);
}
