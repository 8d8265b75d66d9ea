//! Feed-forward networks in parts beside the two products apart.

use half::bf16;
use zoo_kernels::{Activation, Element, Epilogue, FeedForward, Gated, Norm, NormKind, Packed, Residual};

/// Of the root mean square, where a gated network rounds to bf16 once more or once less.
const ROUNDED: f64 = 0.01;
/// Of the root mean square, where f32 sums are rounded in another order.
const SUMMED: f64 = 1e-6;

fn noise<T: Element>(count: usize, seed: usize) -> Vec<T> {
    (0..count).map(|i| T::round(((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)).collect()
}

fn check<T: Element + PartialEq>(rows: usize, [inputs, hidden, outputs]: [usize; 3]) {
    let first = Packed::new::<T>(&noise(hidden * inputs, 1), hidden, inputs);
    let second = Packed::new::<T>(&noise(outputs * hidden, 2), outputs, hidden);
    let (x, bias, shortcut) = (noise::<T>(rows * inputs, 3), noise::<T>(hidden, 4), noise(rows * outputs, 5));
    let (last, scale) = (noise::<T>(outputs, 6), noise::<T>(outputs, 7));
    let epilogue = Epilogue {
        bias: Some(&last[..]),
        activation: None,
        residual: Some(Residual { shortcut: &shortcut[..], scale: Some(&scale[..]) }),
    };
    let activation = Activation::GeluErf;
    let mut wide = vec![T::round(0.0); rows * hidden];
    let before = Epilogue { bias: Some(&bias[..]), activation: Some(activation), residual: None };
    first.apply(&x, &before, &mut wide);
    let mut expected = vec![T::round(0.0); rows * outputs];
    second.apply(&wide, &epilogue, &mut expected);
    let mut got = vec![T::round(f32::NAN); rows * outputs];
    let plain =
        FeedForward { first: &first, bias: Some(&bias), activation, up: None, norm: None, second: &second };
    plain.apply(&x, &epilogue, &mut got);
    assert!(got == expected, "{rows} rows of {inputs}, {hidden}, {outputs}");
    gated(&plain, &x, &epilogue);
    let (gain, shift) = (noise::<T>(hidden, 10), noise::<T>(hidden, 11));
    let norm = Norm { kind: NormKind::Layer, weight: &gain[..], bias: Some(&shift[..]), eps: 1e-6 };
    second.apply_normed(&wide, &norm, &epilogue, &mut expected);
    FeedForward { norm: Some(norm), ..plain }.apply(&x, &epilogue, &mut got);
    assert!(got == expected, "normed between: {rows} rows of {inputs}, {hidden}, {outputs}");
}

/// The gated form beside three products and [`Gated`]: with rounding between them, so not bit by bit.
fn gated<T: Element>(plain: &FeedForward<'_, T>, x: &[T], epilogue: &Epilogue<'_, T>) {
    let (inputs, hidden, outputs) = (plain.first.inputs(), plain.first.outputs(), plain.second.outputs());
    let rows = x.len() / inputs;
    let up = Packed::new::<T>(&noise(hidden * inputs, 8), hidden, inputs);
    let bias = noise::<T>(hidden, 9);
    let activation = Activation::Silu;
    let product = |weights: &Packed, bias| {
        let mut out = vec![T::round(0.0); rows * hidden];
        weights.apply(x, &Epilogue { bias, ..Epilogue::default() }, &mut out);
        out
    };
    let (gate, factor) = (product(plain.first, plain.bias), product(&up, Some(&bias[..])));
    let mut wide = vec![T::round(0.0); rows * hidden];
    Gated { activation, gate: &gate, up: &factor, width: hidden, step: hidden }.apply(&mut wide);
    let [mut expected, mut got] = [0.0, f32::NAN].map(|x| vec![T::round(x); rows * outputs]);
    plain.second.apply(&wide, epilogue, &mut expected);
    FeedForward { activation, up: Some((&up, Some(&bias))), ..*plain }.apply(x, epilogue, &mut got);
    let power =
        |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
    let size = power(&mut expected.iter().map(|x| x.widen()));
    let gap = power(&mut got.iter().zip(&expected).map(|(got, expected)| got.widen() - expected.widen()));
    let tolerance: f64 = if T::HALF { ROUNDED } else { SUMMED };
    assert!(gap <= tolerance * tolerance * size, "{rows} rows of {inputs}, {hidden}: {gap:e} of {size:e}");
}

#[test]
fn in_parts_as_in_one() {
    for rows in [0, 1, 7, 193, 1000] {
        check::<f32>(rows, [24, 96, 40]);
        check::<bf16>(rows, [24, 96, 40]);
    }
    // Hidden numbers that fill no panel.
    check::<f32>(30, [16, 75, 20]);
    check::<bf16>(30, [15, 75, 20]);
    // Several turns: 1.3 MB of wide values in 193 rows.
    check::<f32>(500, [8, 1700, 8]);
    check::<bf16>(900, [8, 3300, 8]);
}

#[test]
#[should_panic(expected = "weights are packed as bf16, rows are f32")]
fn weights_of_another_dtype_are_refused() {
    let first = Packed::new::<bf16>(&noise(96 * 24, 1), 96, 24);
    let second = Packed::new::<bf16>(&noise(40 * 96, 2), 40, 96);
    let activation = Activation::GeluErf;
    let (bias, up, norm) = (None, None, None);
    let network = FeedForward::<f32> { first: &first, bias, activation, up, norm, second: &second };
    network.apply(&noise::<f32>(7 * 24, 3), &Epilogue::default(), &mut [0.0; 7 * 40]);
}
