//! What a decoder does between products, against the definitions.

mod common;

use common::noise;
use half::bf16;
use zoo_kernels::{Activation, Element, Gated, Pairing, Rotary};

fn gated<T: Element>() {
    let (rows, width) = (3, 37);
    let joint = noise::<T>(1, rows * 2 * width);
    let part = |start: usize| -> Vec<T> {
        (0..rows).flat_map(|row| joint[row * 2 * width + start..][..width].to_vec()).collect()
    };
    let (gate, up) = (part(0), part(width));
    for activation in Activation::ALL {
        let (mut apart, mut together) =
            (vec![T::round(f32::NAN); rows * width], vec![T::round(0.0); rows * width]);
        Gated { activation, gate: &gate, up: &up, width, step: width }.apply(&mut apart);
        let (gate, up) = (&joint[..], &joint[width..]);
        Gated { activation, gate, up, width, step: 2 * width }.apply(&mut together);
        for (i, (a, b)) in apart.iter().zip(&together).enumerate() {
            let (row, column) = (i / width, i % width);
            let [gate, up] = [0, width].map(|start| joint[row * 2 * width + start + column].widen());
            let want = T::round(activation.of(gate) * up).widen();
            assert_eq!(a.widen(), b.widen());
            assert!(
                (a.widen() - want).abs() <= want.abs() * 1e-6,
                "{activation:?}: {} for {want}",
                a.widen()
            );
        }
    }
}

#[test]
fn gates_apart_and_joint() {
    gated::<f32>();
    gated::<bf16>();
}

/// Two rows of three tokens share their tables; the last channels of a head stay, and the last head does.
#[test]
fn pairs_turn_and_the_rest_stays() {
    for pairing in [Pairing::Halves, Pairing::Neighbours] {
        turning(pairing);
    }
}

fn turning(pairing: Pairing) {
    let (tokens, heads, channels, pairs, still) = (3, 3, 45, 20, 1);
    let x = noise::<f32>(2, 2 * tokens * heads * channels);
    let angles = noise::<f32>(3, tokens * pairs);
    let (sin, cos): (Vec<f32>, Vec<f32>) = angles.iter().map(|angle| (angle * 3.0).sin_cos()).unzip();
    let rotary = Rotary { cos: &cos, sin: &sin, pairs, pairing, still };
    let mut out = vec![f32::NAN; x.len()];
    rotary.apply(&x, heads, channels, &mut out);
    for (i, got) in out.iter().enumerate() {
        let (token, channel) = (i / channels / heads % tokens, i % channels);
        let (pair, first, apart) = match pairing {
            Pairing::Halves => (channel % pairs, channel < pairs, pairs),
            Pairing::Neighbours => (channel / 2, channel % 2 == 0, 1),
        };
        let want = if channel >= 2 * pairs || i / channels % heads == heads - still {
            x[i]
        } else {
            let turn = token * pairs + pair;
            if first {
                x[i] * cos[turn] - x[i + apart] * sin[turn]
            } else {
                x[i] * cos[turn] + x[i - apart] * sin[turn]
            }
        };
        assert!((got - want).abs() <= 1e-6, "{i}: {got} for {want}");
    }
    let half: Vec<bf16> = x.iter().map(|x| bf16::from_f32(*x)).collect();
    let mut narrow = vec![bf16::ZERO; x.len()];
    rotary.apply(&half, heads, channels, &mut narrow);
    assert!(narrow.iter().zip(&out).all(|(narrow, wide)| (narrow.to_f32() - wide).abs() < 2e-2));
}

#[test]
#[should_panic(expected = "3 pairs of 4 channels")]
fn more_pairs_than_channels_are_refused() {
    Rotary { cos: &[1.0; 3], sin: &[0.0; 3], pairs: 3, pairing: Pairing::Halves, still: 0 }.apply(
        &[0f32; 4],
        1,
        4,
        &mut [0.0; 4],
    );
}
