//! Both doors of a plugin give the same; through the dynamic one nothing leaks and nothing is shared by accident.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};
use serde_json::json;
use support::plugins;
use zoo_core::sdk::OpenOptions;
use zoo_core::{
    CallContext, Cells, ConnectorInputs, Encoder, Error, FeatureMap, FeatureRequest, Grid, Layers, Spec,
};
use zoo_host::plugins::{ObjectKind, PluginDoor};

const TOY: &str = "tests/plugins/toy";

fn spec(architecture: &str, arch: serde_json::Value) -> Spec {
    let serde_json::Value::Object(arch) = arch else { panic!("an object") };
    Spec { id: format!("a-{architecture}"), architecture: architecture.into(), arch, ..spec_default() }
}

fn spec_default() -> Spec {
    serde_json::from_value(json!({"id": "", "architecture": ""})).unwrap()
}

fn doors() -> [PluginDoor; 2] {
    [PluginDoor::Static(&zoo_toy::PLUGIN), plugins(&[TOY]).get("toy").unwrap()]
}

/// Uniform in -0.5..0.5.
fn noise(shape: &[usize], seed: u32) -> Tensor {
    (zoo_tests::noise::uniform(shape, seed) * 0.5).unwrap()
}

fn bits(t: &Tensor) -> (Vec<usize>, Vec<u32>) {
    let flat = t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (t.dims().to_vec(), flat.into_iter().map(f32::to_bits).collect())
}

fn encoder_spec() -> Spec {
    spec("patches", json!({"patch_size": 4, "embed_dim": 8, "depth": 3, "image_size": 12}))
}

/// Weights made from what the plugin says that it needs, as for a row that is generated.
fn weights(door: &PluginDoor, spec: &Spec) -> (tempfile::TempDir, OpenOptions) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.safetensors");
    let tensors: std::collections::HashMap<_, _> = door
        .inspect(ObjectKind::Encoder, spec)
        .unwrap()
        .tensors
        .into_iter()
        .enumerate()
        .map(|(i, t)| (t.key, noise(&t.shape, i as u32 + 1)))
        .collect();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    (folder, OpenOptions { weights: vec![path], ..OpenOptions::default() })
}

fn encoders() -> [Box<dyn Encoder>; 2] {
    let spec = encoder_spec();
    doors().map(|door| {
        let (_folder, options) = weights(&door, &spec);
        door.open_encoder(&spec, &options).unwrap()
    })
}

fn request(prefix: bool, norm: bool) -> FeatureRequest {
    FeatureRequest { layers: Layers::Indices(vec![-1, 0]), norm, prefix }
}

#[test]
fn an_encoder_is_the_same_through_both_doors() {
    let [here, there] = encoders();
    assert_eq!(here.descriptor(), there.descriptor());
    assert_eq!(here.cost(2, 12, 12), there.cost(2, 12, 12));
    assert_ne!(here.cost(2, 12, 12).macs, 0);
    let pixels = noise(&[2, 3, 12, 16], 7);
    // A view with gaps and swapped axes must arrive as what it shows.
    let turned = noise(&[2, 3, 16, 20], 8).narrow(3, 2, 12).unwrap().transpose(2, 3).unwrap();
    for pixels in [pixels, turned] {
        for (prefix, norm) in [(false, false), (true, false), (true, true)] {
            let maps =
                |e: &dyn Encoder| -> Vec<FeatureMap> { e.forward(&pixels, &request(prefix, norm)).unwrap() };
            let (a, b) = (maps(&*here), maps(&*there));
            assert_eq!(a.len(), 2);
            for (a, b) in a.iter().zip(&b) {
                assert_eq!((a.grid, a.layer, a.normed), (b.grid, b.layer, b.normed));
                assert_eq!(bits(&a.tokens), bits(&b.tokens));
                assert_eq!(a.prefix.as_ref().map(bits), b.prefix.as_ref().map(bits));
                assert_eq!(a.prefix.is_some(), prefix);
            }
        }
    }
}

#[test]
fn what_an_object_needs_is_the_same_through_both_doors() {
    let spec = encoder_spec();
    let [here, there] = doors().map(|d| d.inspect_at(ObjectKind::Encoder, &spec, [1, 12, 12]).unwrap());
    assert_eq!(here, there);
    assert_eq!(here.tensors.len(), 5);
    assert!(here.cost.macs > 0);
}

#[test]
fn errors_read_the_same_through_both_doors() {
    let wrong_size = |e: &dyn Encoder| e.forward(&noise(&[1, 3, 13, 12], 1), &request(false, false));
    let no_layer = |e: &dyn Encoder| e.forward(&noise(&[1, 3, 12, 12], 1), &FeatureRequest::layer(9, false));
    let [here, there] = encoders();
    for fault in [wrong_size, no_layer] {
        let (a, b) = (fault(&*here).unwrap_err(), fault(&*there).unwrap_err());
        assert!(matches!(b, Error::InvalidInput(_)), "{b:?}");
        assert_eq!(a.to_string(), b.to_string());
    }
    for change in [json!({"architecture": "nope"}), json!({"arch": {"depth": 1}})] {
        let mut spec = serde_json::to_value(encoder_spec()).unwrap();
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let spec: Spec = serde_json::from_value(spec).unwrap();
        let [a, b] =
            doors().map(|d| d.open_encoder(&spec, &OpenOptions::default()).err().unwrap().to_string());
        assert_eq!(a, b);
        assert!(a.contains("known: patches") || a.contains("missing field"), "{a}");
    }
    // Tensors that do not fit arrive as the whole report.
    let mut deeper = encoder_spec();
    deeper.arch.insert("depth".into(), json!(4));
    let (_folder, options) = weights(&doors()[0], &encoder_spec());
    let [a, b] = doors().map(|door| door.open_encoder(&deeper, &options).err().unwrap());
    assert!(matches!(&b, Error::Weights(r) if r.missing == ["layers.3"]), "{b:?}");
    assert_eq!(a.to_string(), b.to_string());
}

#[test]
fn gradients_come_through_the_boundary() {
    let [here, there] = encoders();
    let pixels = noise(&[1, 3, 8, 8], 3);
    let request = request(false, true);
    let cotangents = [noise(&[1, 4, 8], 4), noise(&[1, 4, 8], 5)];
    let names: Vec<String> = here.differentiable().unwrap().parameter_names();
    assert_eq!(names, there.differentiable().unwrap().parameter_names());
    let vjp = |e: &dyn Encoder| {
        let d = e.differentiable().unwrap();
        d.vjp(&pixels, &request, &cotangents, &names).unwrap()
    };
    let ((dx, dp), (fx, fp)) = (vjp(&*here), vjp(&*there));
    assert_eq!(bits(&dx), bits(&fx));
    assert_eq!(dp.iter().map(bits).collect::<Vec<_>>(), fp.iter().map(bits).collect::<Vec<_>>());

    // Against central differences along one direction of the pixels.
    let loss = |pixels: &Tensor| -> f64 {
        let maps = there.forward(pixels, &request).unwrap();
        let parts = maps.iter().zip(&cotangents);
        parts
            .map(|(m, c)| (&m.tokens * c).unwrap().to_dtype(DType::F64).unwrap().sum_all().unwrap())
            .map(|t| t.to_scalar::<f64>().unwrap())
            .sum()
    };
    let direction = noise(&[1, 3, 8, 8], 6);
    let step = 1e-2;
    let moved = |s: f64| (&pixels + (&direction * s).unwrap()).unwrap();
    let numeric = (loss(&moved(step)) - loss(&moved(-step))) / (2.0 * step);
    let exact = f64::from((&fx * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
    assert!((numeric - exact).abs() <= 2e-3 * exact.abs().max(0.1), "{numeric} against {exact}");
}

#[test]
fn parameters_are_read_and_replaced_through_the_boundary() {
    let [_, there] = encoders();
    let d = there.differentiable().unwrap();
    let pixels = noise(&[1, 3, 8, 8], 3);
    let run = || bits(&there.forward(&pixels, &request(false, false)).unwrap()[0].tokens);
    let (before, old) = (run(), d.parameter("embed").unwrap());
    d.set_parameter("embed", &(&old * 2.0).unwrap()).unwrap();
    assert_ne!(run(), before);
    d.set_parameter("embed", &old).unwrap();
    assert_eq!(run(), before);
    let message = d.set_parameter("embed", &noise(&[2, 2], 1)).unwrap_err().to_string();
    assert!(message.contains("`embed` is F32 [48, 8]"), "{message}");
    // A variable is lent like any other tensor.
    d.set_parameter("embed", Var::from_tensor(&old).unwrap().as_tensor()).unwrap();
    assert_eq!(run(), before);
}

#[test]
fn a_connector_is_the_same_through_both_doors() {
    let spec = spec("mean", json!({"channels": 4, "members": 2}));
    let inputs = ConnectorInputs {
        features: vec![noise(&[2, 9, 4], 1), noise(&[2, 9, 4], 2)],
        image_sizes: vec![(30, 20), (7, 7)],
    };
    let [here, there] = doors().map(|d| d.open_connector(&spec, &OpenOptions::default()).unwrap());
    assert_eq!(here.descriptor(), there.descriptor());
    let (a, b) = (here.forward(&inputs).unwrap(), there.forward(&inputs).unwrap());
    assert_eq!((a.grid, &a.image_sizes), (b.grid, &b.image_sizes));
    assert_eq!(bits(&a.tokens), bits(&b.tokens));
    let list = |t: &[Tensor]| t.iter().map(bits).collect::<Vec<_>>();
    assert_eq!((list(&a.attention), list(&a.memory)), (list(&b.attention), list(&b.memory)));
    assert_eq!((a.attention.len(), a.memory.len()), (2, 1));
    let (x, y) = (here.block(&a, 1).unwrap(), there.block(&b, 1).unwrap());
    assert_eq!((x.grid, x.newline, bits(&x.tokens)), (y.grid, y.newline, bits(&y.tokens)));
    assert_eq!(y.grid, Grid { h: 2, w: 3 });
    let cells = Cells { hidden: noise(&[6, 4], 9), grid: y.grid, row: 1 };
    let refined = there.refine(2, &cells, &b).unwrap();
    assert_eq!(bits(&here.refine(2, &cells, &a).unwrap()), bits(&refined));
    assert_ne!(bits(&refined), bits(&cells.hidden));
}

#[test]
fn a_language_model_keeps_its_cache_in_the_plugin() {
    let spec = spec("counter", json!({"hidden": 4, "layers": 3, "vocab": 11}));
    let models = doors().map(|d| d.open_llm(&spec, &OpenOptions::default()).unwrap());
    let ids = Tensor::new(&[[1_u32, 5, 10]], &Device::Cpu).unwrap();
    let positions = Tensor::new(&[[0_u32, 1, 2]], &Device::Cpu).unwrap();
    let next = Tensor::new(&[[3_u32]], &Device::Cpu).unwrap();
    let [a, b] = models.each_ref().map(|model| {
        let mut cache = model.cache(1).unwrap();
        let mut other = model.cache(1).unwrap();
        let embedded = model.embed(&ids).unwrap();
        let mut hook = zoo_core::NoHook;
        let prefilled = model.prefill(&embedded, &positions, &mut cache, &mut hook).unwrap();
        let decoded = model.decode(&next, &next, &mut cache).unwrap();
        // A second request has a cache of its own.
        let apart = model.decode(&next, &next, &mut other).unwrap();
        assert_ne!(bits(&decoded), bits(&apart));
        [bits(&embedded), bits(&prefilled), bits(&decoded), bits(&apart)]
    });
    assert_eq!(a, b);
    let [here, there] = models;
    let mut foreign = there.cache(1).unwrap();
    let message = here.decode(&next, &next, &mut foreign).unwrap_err().to_string();
    assert!(message.contains("another language model"), "{message}");
    let again = doors()[1].open_llm(&spec, &OpenOptions::default()).unwrap();
    let message = again.decode(&next, &next, &mut foreign).unwrap_err().to_string();
    assert!(message.contains("another language model"), "{message}");
}

/// What a caller wants besides: heard through both doors, of every kind of object, and of one call at a time.
#[test]
fn a_call_context_goes_through_both_doors() {
    let pixels = noise(&[1, 3, 8, 8], 3);
    let request = request(false, true);
    let cotangents = [noise(&[1, 4, 8], 4), noise(&[1, 4, 8], 5)];
    let counter = spec("counter", json!({"hidden": 4, "layers": 3, "vocab": 11}));
    let mean = spec("mean", json!({"channels": 4, "members": 1}));
    let inputs = ConnectorInputs { features: vec![noise(&[1, 9, 4], 1)], image_sizes: vec![(30, 20)] };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let take = || std::mem::take(&mut *seen.lock().unwrap());
    // Ends a pass once so many blocks are over.
    let until = |last: usize| {
        let (seen, stop) = (seen.clone(), Arc::new(AtomicBool::new(false)));
        let flag = stop.clone();
        CallContext::new().cancelled_by(flag).watched_by(move |done, total| {
            seen.lock().unwrap().push((done, total));
            stop.store(done >= last, Ordering::Relaxed);
            true
        })
    };
    for (door, encoder) in doors().into_iter().zip(encoders()) {
        let connector = door.open_connector(&mean, &OpenOptions::default()).unwrap();
        let model = door.open_llm(&counter, &OpenOptions::default()).unwrap();
        let forward = || encoder.forward(&pixels, &request).map(|maps| bits(&maps[0].tokens));
        let vjp = || {
            let learn = encoder.differentiable().unwrap();
            learn.vjp(&pixels, &request, &cotangents, &[]).map(|(gradient, _)| bits(&gradient))
        };
        let layers = || {
            let (hidden, positions) = (noise(&[1, 1, 4], 6), Tensor::new(&[[0_u32]], &Device::Cpu)?);
            model.layers(1..3, &hidden, &positions, &mut model.cache(1)?).map(|hidden| bits(&hidden))
        };
        let fuse = || connector.forward(&inputs).map(|fused| bits(&fused.tokens));
        type Pass<'a> = &'a dyn Fn() -> zoo_core::Result<(Vec<usize>, Vec<u32>)>;
        for (pass, blocks) in [(&forward as Pass<'_>, 3), (&vjp, 3), (&layers, 2), (&fuse, 1)] {
            let alone = pass().unwrap();
            assert_eq!(until(9).scope(pass).unwrap(), alone, "watching changes nothing");
            assert_eq!(take(), (0..blocks).map(|done| (done, blocks)).collect::<Vec<_>>());
            for last in 0..blocks {
                assert!(matches!(until(last).scope(pass), Err(Error::Cancelled)));
                assert_eq!(take().len(), last + 1, "nothing runs after the end");
            }
            let stopped = CallContext::new().cancelled_by(Arc::new(AtomicBool::new(true)));
            assert!(matches!(stopped.scope(pass), Err(Error::Cancelled)));
            assert_eq!(pass().unwrap(), alone, "a scope ends");
        }
    }
    // A seed arrives as it is: the toy leaves out the layer that it names.
    let [here, there] = encoders();
    let seeded = |encoder: &dyn Encoder, seed: u64| {
        let pass = || encoder.forward(&pixels, &request).unwrap();
        bits(&CallContext::new().with_seed(seed).scope(pass)[0].tokens)
    };
    let all = [0, 3, 4, 5].map(|seed| (seeded(&*here, seed), seeded(&*there, seed)));
    assert!(all.iter().all(|(a, b)| a == b) && all[0].0 != all[1].0 && all[1].0 != all[2].0);
}

#[test]
fn many_threads_may_call_one_object() {
    let [here, there] = encoders();
    let expected: Vec<_> = (0..4)
        .map(|i| bits(&here.forward(&noise(&[1, 3, 12, 12], i + 1), &request(true, true)).unwrap()[0].tokens))
        .collect();
    std::thread::scope(|scope| {
        for (i, expected) in expected.iter().enumerate() {
            let there = &there;
            scope.spawn(move || {
                for _ in 0..50 {
                    let pixels = noise(&[1, 3, 12, 12], i as u32 + 1);
                    let maps = there.forward(&pixels, &request(true, true)).unwrap();
                    assert_eq!(&bits(&maps[0].tokens), expected);
                }
            });
        }
    });
}

/// Resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_calls_leak_nothing() {
    let [_, there] = encoders();
    let pixels = noise(&[2, 3, 128, 128], 1);
    let run = |times| {
        for _ in 0..times {
            there.forward(&pixels, &request(true, false)).unwrap();
            there.forward(&pixels, &FeatureRequest::layer(77, false)).unwrap_err();
        }
    };
    run(50);
    let before = resident();
    run(1000);
    let grown = resident().saturating_sub(before);
    // Leaking the pixels alone would be 393 MB, leaking one feature map 65 MB.
    assert!(grown < 32 << 20, "{} MB more than before", grown >> 20);
}

#[cfg(target_os = "linux")]
#[test]
fn opening_and_dropping_objects_leaks_nothing() {
    let mut wide = encoder_spec();
    wide.arch.insert("embed_dim".into(), json!(256));
    let door = &doors()[1];
    let (_folder, options) = weights(door, &wide);
    let run = |times| (0..times).for_each(|_| drop(door.open_encoder(&wide, &options).unwrap()));
    run(5);
    let before = resident();
    run(100);
    let grown = resident().saturating_sub(before);
    // Each holds 830 kB of weights.
    assert!(grown < 32 << 20, "{} MB more than before", grown >> 20);
}

/// A cost is asked for without a tensor, and a tensor that goes nowhere is refused before anything is computed; what
/// either takes is measured by the criterion group `boundary`.
#[test]
fn small_questions_get_small_answers() {
    let large = noise(&[8, 3, 336, 336], 1);
    for encoder in encoders() {
        assert_eq!(encoder.cost(1, 4, 4).macs, 576);
        let refusal = encoder.differentiable().unwrap().set_parameter("nobody", &large).unwrap_err();
        assert!(refusal.to_string().contains("nobody"), "{refusal}");
    }
}
