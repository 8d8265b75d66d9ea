//! The plugin through its static door.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Weights, WeightsReport};
use zoo_core::{Encoder, Error, FeatureRequest, Spec};

fn open(arch: &str, weights: &Weights) -> zoo_core::Result<Box<dyn Encoder>> {
    let spec = format!(r#"{{"id": "test", "architecture": "grids", "arch": {arch}}}"#);
    let spec: Spec = serde_json::from_str(&spec).map_err(|e| Error::invalid(e.to_string()))?;
    my_grids::PLUGIN.open_encoder(&spec, weights, &Device::Cpu)
}

const ARCH: &str = r#"{"patch_size": 2, "embed_dim": 8, "depth": 1, "image_size": 4}"#;

#[test]
fn a_patch_sees_its_own_pixels_and_no_others() -> zoo_core::Result<()> {
    let encoder = open(ARCH, &Weights::random(7, DType::F32))?;
    let dark = Tensor::zeros((1, 3, 4, 4), DType::F32, &Device::Cpu)?;
    // The last of four patches becomes white.
    let white = Tensor::ones((1, 3, 2, 2), DType::F32, &Device::Cpu)?;
    let lit = dark.slice_assign(&[0..1, 0..3, 2..4, 2..4], &white)?;
    let see = |pixels: &Tensor| -> zoo_core::Result<Vec<Vec<f32>>> {
        Ok(encoder.forward(pixels, &FeatureRequest::layer(-1, true))?[0].tokens.get(0)?.to_vec2()?)
    };
    let (before, after) = (see(&dark)?, see(&lit)?);
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3]);
    Ok(())
}

#[test]
fn everything_that_is_missing_is_named() {
    let nothing = Weights::tensors(BTreeMap::new(), DType::F32);
    let Err(Error::Weights(report)) = open(ARCH, &nothing) else { panic!("it opened") };
    let WeightsReport { missing, .. } = *report;
    assert_eq!(missing.len(), 10, "{missing:?}");
}
