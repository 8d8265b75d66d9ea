//! The author's guide, docs/plugins.md: what it shows is what is built and run here, in every element type.

use candle_core::{DType, Device, Tensor};
use zoo_core::sdk::{OpenOptions, Plugin};
use zoo_core::{Encoder, FeatureRequest, Precision, Spec};
use zoo_host::plugins::{PluginDoor, stage};
use zoo_host::{EncoderRequest, Folders, Options, Zoo};
use zoo_registry::Registry;

use crate::support::{folder, library, sources};

const CRATE: &str = "tests/plugins/grids";
const PLUGIN: &Plugin = &my_grids::PLUGIN;

/// The code on the page whose first line is a comment with the name of `file`.
fn shown(file: &str) -> String {
    let page = std::fs::read_to_string(sources("docs/plugins.md")).unwrap();
    // A fence opens at every other place.
    let blocks = page.split("\n```").skip(1).step_by(2);
    let code = |block: &str| {
        let block = block.split_once('\n')?.1;
        let (first, rest) = block.split_once('\n')?;
        first.ends_with(file).then(|| format!("{}\n", rest.trim_start_matches('\n')))
    };
    blocks.filter_map(code).collect::<String>()
}

#[test]
fn the_page_shows_what_is_tested() {
    for (file, on_page) in [
        ("src/lib.rs", " src/lib.rs"),
        ("plugin.toml", " plugin.toml"),
        ("tests/direct.rs", " tests/direct.rs"),
    ] {
        let written = std::fs::read_to_string(sources(CRATE).join(file)).unwrap();
        let shown = shown(on_page);
        let differ = written.lines().zip(shown.lines()).find(|(a, b)| a != b);
        assert!(written == shown, "docs/plugins.md and {CRATE}/{file} differ: {differ:?}");
    }
}

fn zoo(precision: Precision) -> Zoo {
    let plugins = folder().join("guide");
    static STAGED: std::sync::Once = std::sync::Once::new();
    STAGED.call_once(|| {
        stage(&library("my-grids"), &sources(CRATE).join("plugin.toml"), &plugins).unwrap();
    });
    let own = |name: &str| folder().join(name);
    let folders = Folders { config: own("config"), data: own("data"), cache: own("cache") };
    let options = Options { plugin_dirs: vec![plugins], offline: true, precision, ..Options::default() };
    Zoo::open_in(options, folders).unwrap()
}

/// The row of the page as it is linked in, on the weights that the host made for it.
fn linked(zoo: &Zoo, precision: Precision, trainable: bool) -> Box<dyn Encoder> {
    let registry: &Registry = zoo.registry();
    let row = registry.encoder("grids-16").unwrap();
    let (id, architecture, arch) = (row.id.clone(), row.architecture.clone(), row.arch.clone());
    let made = std::fs::read_dir(folder().join("cache/generated")).unwrap();
    let weights = made.map(|entry| entry.unwrap().path()).collect();
    let options = OpenOptions { weights, trainable, ..OpenOptions::default() };
    PluginDoor::Static(PLUGIN).open_encoder(&Spec { id, architecture, arch, precision }, &options).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn pixels() -> Tensor {
    zoo_tests::noise::uniform(&[2, 3, 224, 224], 5)
}

#[test]
fn the_example_runs_in_every_element_type_through_both_doors() {
    let exact = {
        let zoo = zoo(Precision::F32);
        let session = zoo.encoder(&EncoderRequest::new("grids-16")).unwrap();
        assert!(session.untrained());
        values(&session.encoder().unwrap().forward(&pixels(), &session.request()).unwrap()[0].tokens)
    };
    let size = (exact.iter().map(|x| x * x).sum::<f32>() / exact.len() as f32).sqrt();
    for (precision, tolerance) in [(Precision::F32, 0.0), (Precision::Bf16, 0.05), (Precision::F16, 0.01)] {
        let zoo = zoo(precision);
        let session = zoo.encoder(&EncoderRequest::new("grids-16")).unwrap();
        let linked = linked(&zoo, precision, false);
        for layers in [FeatureRequest::layer(-1, true), FeatureRequest::layer(0, false)] {
            let [a, b] = [session.encoder().unwrap(), &*linked]
                .map(|e| e.forward(&pixels(), &layers).unwrap().remove(0));
            assert_eq!((a.tokens.dims(), a.tokens.dtype()), (&[2, 196, 24][..], precision.dtype()));
            assert_eq!(values(&a.tokens), values(&b.tokens), "{precision:?}");
        }
        let map = linked.forward(&pixels(), &session.request()).unwrap().remove(0);
        let largest = values(&map.tokens).iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest <= tolerance * size, "{precision:?}: {largest} of {size}");
    }
}

/// Central differences along one direction of the pixels and of a parameter.
#[test]
fn the_example_has_gradients() {
    let zoo = zoo(Precision::F32);
    zoo.encoder(&EncoderRequest::new("grids-16")).unwrap();
    let encoder = linked(&zoo, Precision::F32, true);
    let learn = encoder.differentiable().unwrap();
    let (request, name) = (FeatureRequest::layer(-1, true), "blocks.1.mlp.fc1.weight".to_owned());
    assert!(learn.parameter_names().contains(&name), "{:?}", learn.parameter_names());
    let pixels = zoo_tests::noise::uniform(&[1, 3, 32, 32], 1);
    let cotangent = zoo_tests::noise::uniform(&[1, 4, 24], 2);
    let sum = |pixels: &Tensor| -> f64 {
        let map = encoder.forward(pixels, &request).unwrap().remove(0);
        values(&map.tokens).iter().zip(values(&cotangent)).map(|(a, b)| f64::from(a * b)).sum()
    };
    let (of_pixels, of_parameters) =
        learn.vjp(&pixels, &request, std::slice::from_ref(&cotangent), std::slice::from_ref(&name)).unwrap();
    let inner = |a: &Tensor, b: &Tensor| -> f64 {
        values(a).iter().zip(values(b)).map(|(a, b)| f64::from(a * b)).sum()
    };
    let step = 1e-2;
    let close = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 0.02 * expected.abs().max(1.0), "{found} {expected}");
    };
    let along = zoo_tests::noise::uniform(&[1, 3, 32, 32], 3);
    let at = |t: f64| sum(&(&pixels + (&along * t).unwrap()).unwrap());
    close((at(step) - at(-step)) / (2.0 * step), inner(&of_pixels, &along));
    let value = learn.parameter(&name).unwrap();
    let along = zoo_tests::noise::uniform(value.dims(), 4);
    let at = |t: f64| {
        learn.set_parameter(&name, &(&value + (&along * t).unwrap()).unwrap()).unwrap();
        sum(&pixels)
    };
    close((at(step) - at(-step)) / (2.0 * step), inner(&of_parameters[0], &along));
    assert_eq!(Device::Cpu.location(), of_pixels.device().location());
}
