//! A host and plugins of other ages: whatever both sides know works, whatever one of them lacks is missed in words.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use serde_json::json;
use support::{folder, library, sources};
use zoo_core::sdk::OpenOptions;
use zoo_core::{Encoder, Error, FeatureRequest};
use zoo_host::plugins::{PluginDoor, PluginSet, stage};

/// Both plugins come from one library, which is opened once.
fn door(name: &str) -> PluginDoor {
    static SET: OnceLock<PluginSet> = OnceLock::new();
    let set = SET.get_or_init(|| {
        let plugins = folder().join("plugins");
        for template in ["newer.toml", "older.toml"] {
            let template = sources("tests/plugins/ages").join(template);
            stage(&library("zoo-ages"), &template, &plugins).unwrap();
        }
        PluginSet::discover(&[plugins], &folder().join("data")).unwrap()
    });
    set.get(name).unwrap()
}

fn encoder(name: &str) -> Box<dyn Encoder> {
    let spec = serde_json::from_value(json!({"id": "echo", "architecture": "echo"})).unwrap();
    door(name).open_encoder(&spec, &OpenOptions::default()).unwrap()
}

fn pixels() -> Tensor {
    Tensor::arange(0_f32, 120.0, &Device::Cpu).unwrap().reshape((2, 3, 4, 5)).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Both plugins point back into the memory that they were lent; what the host returns must be its own.
#[track_caller]
fn echoes(name: &str) {
    let expected = values(&pixels().flatten_from(2).unwrap().transpose(1, 2).unwrap());
    let encoder = encoder(name);
    let lent = pixels();
    let map = encoder.forward(&lent, &FeatureRequest::layer(0, false)).unwrap().remove(0);
    drop(lent);
    drop(encoder);
    // Takes the place of what was freed.
    let other = (pixels() * -1.0).unwrap();
    assert_eq!((map.tokens.dims(), map.grid.h, map.grid.w), (&[2, 20, 3][..], 4, 5));
    assert_eq!(values(&map.tokens), expected);
    assert_eq!(values(&other)[119], -119.0);
}

#[test]
fn a_newer_plugin_runs_here() {
    echoes("newer");
    let encoder = encoder("newer");
    assert_eq!(encoder.cost(2, 4, 5).activation_bytes, 40);
    assert!(encoder.differentiable().is_none());
}

#[test]
fn an_older_plugin_runs_here() {
    echoes("older");
    assert_eq!(encoder("older").cost(2, 4, 5).activation_bytes, 40);
}

#[test]
fn what_an_older_plugin_lacks_is_unsupported() {
    let encoder = encoder("older");
    let gradients = encoder.differentiable().unwrap();
    assert_eq!(gradients.parameter_names(), Vec::<String>::new());
    let request = FeatureRequest::layer(0, false);
    let cotangent = Tensor::ones((2, 20, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
    let refused = [
        gradients.vjp(&pixels(), &request, &[cotangent], &[]).map(|_| ()).unwrap_err(),
        gradients.parameter("x").map(|_| ()).unwrap_err(),
        gradients.set_parameter("x", &pixels()).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert_eq!(error.to_string(), "plugin `older` does not support gradients");
    }
}
