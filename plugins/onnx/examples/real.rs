//! A trained network on photographs, beside what torch makes of them: `real FOLDER`, a folder that
//! `golden/make.py real FOLDER` has filled.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::{DType, Device};
use zoo_core::weights::Weights;
use zoo_core::{FeatureRequest, Layers, Spec};

/// What stands in a registry row.
const ROW: &str = r#"{"id": "efficientnet-lite0", "architecture": "onnx", "arch": {"image_size": 224, "outputs": [
    {"name": "maps", "channels": 1280, "stride": 32}, {"name": "scores", "channels": 1000, "stride": 224}]}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let spec: Spec = serde_json::from_str(ROW)?;
    let weights = Weights::open(&[folder.join("lite0.onnx")], DType::F32)?;
    let encoder = zoo_onnx::load(&spec, &weights, &Device::Cpu)?;
    let seen = candle_core::safetensors::load(folder.join("seen.safetensors"), &Device::Cpu)?;
    let request = FeatureRequest { layers: Layers::All, norm: false, prefix: false };
    let mut names: Vec<&str> = seen.keys().filter_map(|key| key.strip_suffix(".pixels")).collect();
    names.sort_unstable();
    for name in names {
        let pixels = &seen[&format!("{name}.pixels")];
        encoder.forward(pixels, &request)?;
        let start = Instant::now();
        let got = encoder.forward(pixels, &request)?;
        let took = start.elapsed();
        let off = |i: usize, what: &str| -> Result<f32, Box<dyn Error>> {
            let expected = &seen[&format!("{name}.{what}")];
            let rms = expected.sqr()?.mean_all()?.to_scalar::<f32>()?.sqrt();
            Ok((&got[i].tokens - expected)?.abs()?.max_all()?.to_scalar::<f32>()? / rms)
        };
        let scores = got[1].tokens.flatten_all()?.to_vec1::<f32>()?;
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
        println!(
            "{name}: class {best}, features off by {:.1e}, scores by {:.1e} of their size, {took:.1?}",
            off(0, "maps")?,
            off(1, "scores")?
        );
    }
    Ok(())
}
