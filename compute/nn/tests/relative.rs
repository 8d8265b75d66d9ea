//! Decomposed relative positions against transformers' `SamVisionAttention` (`golden/make.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use zoo_core::Grid;
use zoo_core::weights::{Layout, TensorSource, Weights};
use zoo_nn::attention::SelfAttention;
use zoo_nn::relative::RelativePositions;

static LAYOUT: [Layout; 1] = [Layout {
    name: "plain",
    prefixes: &[""],
    marker: "rel_pos_h",
    map: |name| TensorSource::key(name),
    ignored: &["*"],
}];

/// Of the vectors in the file.
const NATIVE: Grid = Grid { h: 5, w: 5 };
/// The grids of the cases.
const GRIDS: [(&str, Grid); 2] = [("native", NATIVE), ("other", Grid { h: 4, w: 7 })];

fn golden() -> BTreeMap<String, Tensor> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/relative.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap().into_iter().collect()
}

fn load(tensors: BTreeMap<String, Tensor>, dtype: DType) -> (SelfAttention, RelativePositions) {
    let params = Weights::tensors(tensors, dtype).params(&LAYOUT, &Device::Cpu).unwrap();
    let attention = SelfAttention::load(&params, 36, 3, true).unwrap();
    (attention, RelativePositions::load(&params, NATIVE, 12).unwrap())
}

/// The input of a case, `[B, N, C]`, and what the reference makes of it.
fn case(golden: &BTreeMap<String, Tensor>, name: &str) -> [Tensor; 2] {
    ["x", "out"].map(|part| golden[&format!("{name}.{part}")].flatten(1, 2).unwrap())
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The greatest difference in units of the root mean square of what is expected.
fn difference(out: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(out.dims(), expected.dims());
    let (out, expected) = (numbers(out), numbers(expected));
    let rms = (expected.iter().map(|x| x * x).sum::<f32>() / expected.len() as f32).sqrt();
    out.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / rms
}

#[test]
fn parity_with_the_reference() {
    let golden = golden();
    for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::BF16, 3e-2)] {
        let (attention, positions) = load(golden.clone(), dtype);
        for (name, grid) in GRIDS {
            let [x, expected] = case(&golden, name);
            let x = x.to_dtype(dtype).unwrap();
            let out = attention.forward_relative(&positions, grid, &x, None).unwrap();
            let off = difference(&out, &expected);
            assert!(off <= tolerance, "{name} in {dtype:?}: off by {off:e}");
        }
    }
}

/// Vectors that were packed before, for this grid or another, give the bits of those that are packed now.
#[test]
fn earlier_calls_change_nothing() {
    let golden = golden();
    for dtype in [DType::F32, DType::BF16] {
        let forward = |(attention, positions): &(SelfAttention, RelativePositions), (name, grid)| {
            let x = case(&golden, name)[0].to_dtype(dtype).unwrap();
            let bits = |x: f32| x.to_bits();
            let out = attention.forward_relative(positions, grid, &x, None).unwrap();
            numbers(&out).into_iter().map(bits).collect::<Vec<_>>()
        };
        let kept = load(golden.clone(), dtype);
        for case in [GRIDS[0], GRIDS[0], GRIDS[1], GRIDS[1], GRIDS[0]] {
            let fresh = load(golden.clone(), dtype);
            assert!(forward(&kept, case) == forward(&fresh, case), "{} in {dtype:?}", case.0);
        }
    }
}

/// By candle: the same values, and the slope along a direction of the vectors.
#[test]
fn gradients_reach_the_vectors() {
    let golden = golden();
    for (name, grid) in GRIDS {
        let [x, expected] = case(&golden, name);
        for table in ["rel_pos_h", "rel_pos_w"] {
            let sum = |values: &Tensor| {
                let mut tensors = golden.clone();
                tensors.insert(table.to_owned(), values.clone());
                let (attention, positions) = load(tensors, DType::F32);
                let out = attention.forward_relative(&positions, grid, &x, None).unwrap();
                let off = difference(&out, &expected);
                ((out * &expected).unwrap().sum_all().unwrap(), off)
            };
            let var = Var::from_tensor(&golden[table]).unwrap();
            let (total, off) = sum(var.as_tensor());
            assert!(total.track_op() && off <= 1e-4, "{name}: off by {off:e}");
            let gradients = total.backward().unwrap();
            let gradient = gradients.get(var.as_tensor()).unwrap();
            let slope = numbers(&gradient.sqr().unwrap().sum_all().unwrap())[0];
            let step = 1e-2 / slope.sqrt();
            let shifted = |sign: f32| {
                let change = (gradient * f64::from(sign * step)).unwrap();
                numbers(&sum(&(&golden[table] + change).unwrap()).0)[0]
            };
            let measured = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
            assert!((measured / slope - 1.0).abs() < 2e-2, "{name}, {table}: {measured} but {slope}");
        }
    }
}

#[test]
fn other_numbers_of_tokens_are_refused() {
    let golden = golden();
    let (attention, positions) = load(golden.clone(), DType::F32);
    let [x, _] = case(&golden, "native");
    let error = attention.forward_relative(&positions, Grid { h: 5, w: 6 }, &x, None).unwrap_err();
    assert_eq!(error.to_string(), "relative positions: 25 tokens on a grid of 5 by 6");
}
