//! The two paths of a linear map: panels where nothing is tracked, candle elsewhere.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use candle_core::{DType, Device, Tensor, Var};
use zoo_nn::activation::Activation;
use zoo_nn::linear::{Epilogue, Linear, Residual};

const ROWS: usize = 29;
const INPUTS: usize = 37;
const OUTPUTS: usize = 45;

fn noise(shape: &[usize], dtype: DType) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> =
        (0..count).map(|i| ((i * 7919 + shape.len()) % 1009) as f32 / 504.0 - 1.0).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// The largest difference, in units of the root mean square of `want`.
fn distance(got: &Tensor, want: &Tensor) -> f32 {
    assert_eq!((got.dims(), got.dtype()), (want.dims(), want.dtype()));
    let [got, want] = [got, want].map(|t| t.to_dtype(DType::F32).unwrap());
    let rms = want.sqr().unwrap().mean_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap();
    (got - want).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() / rms
}

fn tracked(t: &Tensor) -> Tensor {
    Var::from_tensor(t).unwrap().as_tensor().clone()
}

#[test]
fn both_paths_agree() {
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::BF16, 5e-2)] {
        let x = noise(&[1, ROWS, INPUTS], dtype);
        let (weight, bias) = (noise(&[OUTPUTS, INPUTS], dtype), noise(&[OUTPUTS], dtype));
        let (shortcut, scale) = (noise(&[1, ROWS, OUTPUTS], dtype), noise(&[OUTPUTS], dtype));
        let residual = |scale| Some(Residual { shortcut: &shortcut, scale });
        let epilogues = [
            Epilogue::default(),
            Epilogue { activation: Some(Activation::QuickGelu), residual: None },
            Epilogue { activation: None, residual: residual(None) },
            Epilogue { activation: Some(Activation::GeluErf), residual: residual(Some(&scale)) },
        ];
        for bias in [None, Some(bias)] {
            for epilogue in epilogues {
                let linear = Linear::new(weight.clone(), bias.clone());
                let plain = linear.forward_with(&tracked(&x), epilogue).unwrap();
                let fused = linear.forward_with(&x, epilogue).unwrap();
                assert!(distance(&fused, &plain) < tolerance, "{dtype:?} {epilogue:?}");
                // From here on the weights are in panels; they must come back unchanged.
                let again = linear.forward_with(&tracked(&x), epilogue).unwrap();
                assert_eq!(distance(&again, &plain), 0.0);
            }
        }
    }
}

#[test]
fn gradients_flow_before_and_after_packing() {
    let (x, weight) = (noise(&[ROWS, INPUTS], DType::F32), noise(&[OUTPUTS, INPUTS], DType::F32));
    let linear = Linear::new(weight, None);
    let gradient = || {
        let x = Var::from_tensor(&x).unwrap();
        let out = linear.forward(x.as_tensor()).unwrap();
        out.sum_all().unwrap().backward().unwrap().get(x.as_tensor()).unwrap().clone()
    };
    let before = gradient();
    linear.forward(&x).unwrap();
    assert_eq!(distance(&gradient(), &before), 0.0);

    let weight = Var::from_tensor(&noise(&[OUTPUTS, INPUTS], DType::F32)).unwrap();
    let linear = Linear::new(weight.as_tensor().clone(), None);
    for _ in 0..2 {
        let gradients = linear.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(gradients.get(weight.as_tensor()).is_some(), "tracked weights stay in the graph");
    }
}

#[test]
fn rows_are_independent_of_the_batch() {
    for dtype in [DType::F32, DType::BF16] {
        let linear = Linear::new(noise(&[OUTPUTS, INPUTS], dtype), None);
        let x = noise(&[3, ROWS, INPUTS], dtype);
        let whole = linear.forward(&x).unwrap();
        for i in 0..3 {
            let single = linear.forward(&x.narrow(0, i, 1).unwrap()).unwrap();
            assert_eq!(distance(&single, &whole.narrow(0, i, 1).unwrap()), 0.0);
        }
    }
}

#[test]
fn strided_views_and_other_dtypes() {
    let (x, weight) = (noise(&[INPUTS, ROWS], DType::F32), noise(&[INPUTS, OUTPUTS], DType::F32));
    let view = Linear::new(weight.t().unwrap(), None).forward(&x.t().unwrap()).unwrap();
    let copy = Linear::new(weight.t().unwrap().contiguous().unwrap(), None);
    assert_eq!(distance(&copy.forward(&x.t().unwrap().contiguous().unwrap()).unwrap(), &view), 0.0);
    let [x, weight] = [x.t().unwrap(), weight.t().unwrap()].map(|t| t.to_dtype(DType::F64).unwrap());
    let wide = Linear::new(weight, None).forward(&x).unwrap().to_dtype(DType::F32).unwrap();
    assert!(distance(&view, &wide) < 2e-6);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let linear = Linear::new(noise(&[OUTPUTS, INPUTS], DType::F32), None);
    for _ in 0..2 {
        // 37 rows of 29: the same count, but another last axis.
        let error = linear.forward(&noise(&[INPUTS, ROWS], DType::F32)).unwrap_err().to_string();
        assert!(error.contains("37 inputs") && error.contains("[37, 29]"), "{error}");
        let shortcut = noise(&[1, OUTPUTS], DType::F32);
        let residual = Some(Residual { shortcut: &shortcut, scale: None });
        let epilogue = Epilogue { activation: None, residual };
        let error = linear.forward_with(&noise(&[ROWS, INPUTS], DType::F32), epilogue).unwrap_err();
        assert!(error.to_string().contains("needs [29, 45], not [1, 45]"), "{error}");
        assert!(linear.forward(&noise(&[ROWS, INPUTS], DType::BF16)).is_err());
    }
}
