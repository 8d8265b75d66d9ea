//! Golden tests: a plugin against tensors that an independent Python implementation computed.
//!
//! A folder holds cases `<case>.json` with safetensors files beside them, written by the family's `make.py`.
//! [`check`] loads each case's weights through the plugin's own loader, runs it in f32 and asserts
//! `max|Δ| ≤ BOUND · rms(expected)` for each expected tensor; [`check_half`] runs it in half precision and asserts that
//! it loses hardly more there than the reference does. The figures go to `target/parity/`, from where
//! `cargo xtask parity` makes `docs/parity.md`.

mod case;
mod compare;
mod half;
mod llm;
mod report;
mod run;

use std::path::Path;

use zoo_core::Precision;
use zoo_core::sdk::Plugin;

use self::case::{Case, Losses};
pub use self::compare::{Difference, compare};
pub use self::half::{HALF_ALL, HALF_MAX, HALF_RMS, check_half};

/// Largest difference that counts as parity, in units of the expected tensor's root mean square. Looser bounds
/// miss real mistakes: the exact and the tanh form of GELU are 6e-4 apart on random weights.
pub const BOUND: f64 = 1e-4;

/// One expectation of one case with what came out.
pub(crate) struct Outcome {
    case: String,
    reference: String,
    tensor: String,
    shape: Vec<usize>,
    difference: Difference,
    loses: Option<Losses>,
}

/// Runs every case of `dir` in f32 and leaves the plugin's table for `docs/parity.md`.
///
/// # Panics
/// With one line per fault: a tensor that differs by more than [`BOUND`], a case that cannot be read or run, or
/// a folder without any case.
#[track_caller]
pub fn check(plugin: &Plugin, dir: impl AsRef<Path>) {
    let outcomes = outcomes(plugin, dir.as_ref(), Precision::F32);
    let faults: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Ok(o) if o.difference.within(BOUND) => None,
            Ok(o) => Some(format!("{} `{}` {:?}: {}", o.case, o.tensor, o.shape, o.difference)),
            Err(message) => Some(message.clone()),
        })
        .collect();
    refuse(plugin, &faults, outcomes.len(), &format!("max|Δ| ≤ {BOUND:e} · rms"));
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    report::write(plugin.name, "f32", &report::exact(&outcomes));
}

/// Panics where there are faults.
#[track_caller]
fn refuse(plugin: &Plugin, faults: &[String], checks: usize, bound: &str) {
    assert!(
        faults.is_empty(),
        "{}: {} of {checks} golden checks failed (bound: {bound})\n  {}",
        plugin.name,
        faults.len(),
        faults.join("\n  ")
    );
}

/// All expectations of all cases; an `Err` stands for a whole case or expectation that did not run.
fn outcomes(plugin: &Plugin, dir: &Path, precision: Precision) -> Vec<Result<Outcome, String>> {
    let cases = match case::all(dir) {
        Ok(cases) => cases,
        Err(message) => return vec![Err(message)],
    };
    if cases.is_empty() {
        return vec![Err(format!("{}: no golden case (`<case>.json`) in this folder", dir.display()))];
    }
    cases.iter().flat_map(|case| run_case(plugin, case, precision)).collect()
}

fn run_case(plugin: &Plugin, case: &Case, precision: Precision) -> Vec<Result<Outcome, String>> {
    let at = |e: String| format!("{}: {e}", case.name);
    let pairs = match run::run(plugin, case, precision) {
        Ok(pairs) => pairs,
        Err(message) => return vec![Err(at(message))],
    };
    pairs
        .into_iter()
        .map(|pair| {
            let pair = pair.map_err(at)?;
            let difference = compare::compare(&pair.got, &pair.expected)
                .map_err(|e| at(format!("`{}`: {e}", pair.tensor)))?;
            Ok(Outcome {
                case: case.name.clone(),
                reference: case.reference.clone(),
                shape: pair.expected.dims().to_vec(),
                tensor: pair.tensor,
                difference,
                loses: pair.loses,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::{Device, Tensor};
    use zoo_core::weights::Weights;
    use zoo_core::{
        Cost, Encoder, EncoderDescriptor, FeatureMap, FeatureRequest, Grid, LayerInfo, Resolution, Spec,
    };

    use super::*;

    /// Its only feature is the pixels themselves.
    struct Mirror(EncoderDescriptor);

    impl Encoder for Mirror {
        fn descriptor(&self) -> &EncoderDescriptor {
            &self.0
        }

        fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> zoo_core::Result<Vec<FeatureMap>> {
            let layer = request.layers.resolve(1)?[0];
            let (_, _, h, w) = pixels.dims4()?;
            let tokens = pixels.flatten_from(2)?.transpose(1, 2)?;
            Ok(vec![FeatureMap { tokens, prefix: None, grid: Grid { h, w }, layer, normed: false }])
        }

        fn cost(&self, _: usize, _: usize, _: usize) -> Cost {
            Cost::default()
        }
    }

    fn load(spec: &Spec, _: &Weights, _: &Device) -> zoo_core::Result<Box<dyn Encoder>> {
        Ok(Box::new(Mirror(EncoderDescriptor {
            id: spec.id.clone(),
            layers: vec![LayerInfo { channels: 3, stride: 1 }],
            prefix: Vec::new(),
            final_norm: false,
            native: 2,
            resolution: Resolution::AtLeast(1),
            parameters: 0,
            vjp: false,
            options: Vec::new(),
        })))
    }

    static PLUGIN: Plugin = Plugin {
        name: "mirror",
        version: "0",
        encoders: &[("mirror", load)],
        connectors: &[],
        llms: &[],
        texts: &[],
    };

    /// A folder with one case that expects the pixels, `off` too large, at `layer`.
    fn folder(layer: i32, off: f64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let pixels = Tensor::arange(1f32, 13f32, &Device::Cpu).unwrap().reshape((1, 3, 2, 2)).unwrap();
        let tokens = pixels.flatten_from(2).unwrap().transpose(1, 2).unwrap().contiguous().unwrap();
        let tokens = (tokens + off).unwrap();
        let data = HashMap::from([("pixels".to_owned(), pixels), ("tokens".to_owned(), tokens)]);
        candle_core::safetensors::save(&data, dir.path().join("data.safetensors")).unwrap();
        let case = serde_json::json!({
            "case": "mirror", "encoder": "mirror", "architecture": "mirror", "arch": {},
            "weights": ["data.safetensors"], "data": "data.safetensors", "reference": "arithmetic",
            "expect": [{"tensor": "tokens", "layer": layer}],
        });
        std::fs::write(dir.path().join("mirror.json"), case.to_string()).unwrap();
        dir
    }

    fn only(dir: &Path) -> Result<Outcome, String> {
        let mut all = outcomes(&PLUGIN, dir, Precision::F32);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn equal_tensors_pass_and_others_do_not() {
        assert_eq!(only(folder(-1, 0.0).path()).unwrap().difference.max, 0.0);
        let off = only(folder(-1, 0.5).path()).unwrap().difference;
        assert!(off.max == 0.5 && !off.within(BOUND));
    }

    #[test]
    fn faults_are_named() {
        let message = only(folder(1, 0.0).path()).err().unwrap();
        assert!(message.starts_with("mirror: `tokens`: layer 1 is out of range"), "{message}");
        let empty = tempfile::tempdir().unwrap();
        assert!(only(empty.path()).err().unwrap().contains("no golden case"));
    }

    #[test]
    #[should_panic(expected = "1 of 1 golden checks failed")]
    fn check_panics_on_a_difference() {
        check(&PLUGIN, folder(-1, 0.5).path());
    }
}
