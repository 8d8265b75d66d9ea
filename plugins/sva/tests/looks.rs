//! Where layers look: what is told is what the forward pass did.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::Weights;
use zoo_core::{Cells, Connector, ConnectorInputs, Grid, Spec, shown, unpad};
use zoo_sva::Sva;
use zoo_tests::noise::uniform;

const WIDTH: usize = 24;

/// Two groups of two layers before, two layers inside a language model.
fn sva(kind: &str) -> Sva {
    let spec: Spec = serde_json::from_value(serde_json::json!({
        "id": "eyes", "architecture": "sva",
        "arch": {
            "vision_hidden_size": 32, "inputs": [12, 10], "token_lens": [16, 256], "output": WIDTH,
            "image_token_len": 16, "query_num_list": [16, 4], "connector_depth": 2,
            "layer_type": kind, "connector_only": false, "num_of_vision_sampler_layers": 2,
            "start_of_vision_sampler_layers": 0, "stride_of_vision_sampler_layers": 1
        }
    }))
    .unwrap();
    Sva::load(&spec, &Weights::random(7, DType::F32), &Device::Cpu).unwrap()
}

fn inputs(size: (u32, u32)) -> ConnectorInputs {
    ConnectorInputs {
        features: vec![uniform(&[1, 16, 12], 1), uniform(&[1, 256, 10], 2)],
        image_sizes: vec![size],
    }
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn sum_to_one(shares: &[Tensor]) {
    let total = shares.iter().skip(1).fold(shares[0].clone(), |sum, share| (sum + share).unwrap());
    assert!(numbers(&total).iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{total}");
}

/// Shares that never differ would prove nothing.
fn differ(shares: &[Tensor]) -> bool {
    let share = numbers(&shares[0]);
    share.iter().any(|s| (s - share[0]).abs() > 1e-5)
}

#[test]
fn layers_average_to_what_the_forward_pass_reports() {
    for kind in ["joint", "sep"] {
        let (sva, inputs) = (sva(kind), inputs((90, 50)));
        let looks = sva.attention(&inputs).unwrap();
        let places: Vec<_> = looks.iter().map(|l| (l.group, l.layer, l.grid)).collect();
        let (fine, coarse) = (Grid::square(4), Grid::square(2));
        assert_eq!(places, [(0, 0, fine), (0, 1, fine), (1, 0, coarse), (1, 1, coarse)]);
        looks.iter().for_each(|look| sum_to_one(&look.shares));
        // The mixer of a first separate layer sees the same query everywhere.
        assert!(looks.iter().all(|look| differ(&look.shares) || (kind, look.layer) == ("sep", 0)), "{kind}");
        // Over image and groups: the resizing of the coarse group keeps its mean.
        let fused = sva.forward(&inputs).unwrap();
        for (k, reported) in fused.attention.iter().enumerate() {
            let mean = |t: &Tensor| t.mean_all().unwrap().to_scalar::<f32>().unwrap();
            let ours = looks.iter().map(|look| mean(&look.shares[k])).sum::<f32>() / 4.0;
            assert!((ours - mean(reported)).abs() < 1e-5, "{kind}, encoder {k}: {ours}, {}", mean(reported));
        }
    }
}

/// Hidden states of the cells of one image.
fn cells(grid: Grid) -> Cells {
    Cells { hidden: uniform(&[grid.cells(), WIDTH], 5), grid, row: 0 }
}

#[test]
fn padding_is_not_looked_at() {
    let size = (90, 50);
    let (sva, inputs) = (sva("joint"), inputs(size));
    // Whatever stands in padded cells of the fine encoder changes no share, except through the windows that see
    // nothing but padding: those of the first and the last row.
    let visible = shown(Grid::square(16), size);
    let mask: Vec<f32> = visible.iter().map(|v| f32::from(u8::from(!v))).collect();
    let noise = Tensor::from_vec(mask, (1, 256, 1), &Device::Cpu).unwrap();
    let disturbed = inputs.features[1].broadcast_add(&(noise * 3.0).unwrap()).unwrap();
    let other = ConnectorInputs { features: vec![inputs.features[0].clone(), disturbed], ..inputs.clone() };
    let kept = unpad(Grid::square(4), size);
    assert_eq!((kept.rows.clone(), kept.cols.clone()), (1..3, 0..4));
    let (ours, theirs) = (sva.attention(&inputs).unwrap(), sva.attention(&other).unwrap());
    let difference = |a: &Tensor, b: &Tensor| -> Vec<f32> {
        numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).abs()).collect()
    };
    let off = difference(&ours[0].shares[1], &theirs[0].shares[1]);
    assert!(off[4..12].iter().all(|d| *d < 1e-6), "{off:?}");
    assert!(off[..4].iter().any(|d| *d > 1e-4), "windows of padding alone are unmasked: {off:?}");

    let (fused, other) = (sva.forward(&inputs).unwrap(), sva.forward(&other).unwrap());
    for step in 0..2 {
        let a = sva.refine_attention(step, &cells(kept.grid()), &fused).unwrap();
        let b = sva.refine_attention(step, &cells(kept.grid()), &other).unwrap();
        assert_eq!((a.len(), a[0].dims()), (2, &[kept.grid().cells()][..]));
        sum_to_one(&a);
        assert!(differ(&a));
        assert!(difference(&a[1], &b[1]).iter().all(|d| *d < 1e-6));
    }
    let error = sva.refine_attention(2, &cells(kept.grid()), &fused).unwrap_err().to_string();
    assert!(error.contains("there is no step 2"), "{error}");
}
