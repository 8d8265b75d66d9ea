//! Feed-forward networks in parts beside the two products apart.

use half::bf16;
use zoo_kernels::{Activation, Element, Epilogue, FeedForward, Packed, Residual};

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
    FeedForward { first: &first, bias: Some(&bias), activation, second: &second }
        .apply(&x, &epilogue, &mut got);
    assert!(got == expected, "{rows} rows of {inputs}, {hidden}, {outputs}");
}

#[test]
fn in_parts_as_in_one() {
    for rows in [0, 1, 7, 193, 1000] {
        check::<f32>(rows, [24, 96, 40]);
        check::<bf16>(rows, [24, 96, 40]);
    }
    // Several turns: 1.3 MB of wide values in 193 rows.
    check::<f32>(500, [8, 1700, 8]);
    check::<bf16>(900, [8, 3300, 8]);
}
