//! What a run begins with, and what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use zoo_core::sdk::Plugin;
use zoo_core::weights::{Checkpoint, Weights};
use zoo_core::{Cost, Encoder, EncoderDescriptor, FeatureMap, FeatureRequest, Precision, Spec};
use zoo_data::{DataSource, Dataset};
use zoo_host::ModelRequest;
use zoo_language::tokens::IGNORE_LABEL;
use zoo_nn::loss::cross_entropy;
use zoo_train::{Begin, Recipe, Run};

use super::program::Sandbox;
use super::{CONNECTOR, begin, from_nothing, run, shapes, support, train, trilobite, zoo};

/// What was written answers as what was trained: the same loss of a conversation through the model folder, and the
/// program reads the folder.
#[test]
fn an_exported_model_is_the_trained_one() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 6);
    for (out, stage) in [("connector", CONNECTOR), ("whole", "[\"*\"]")] {
        let recipe = from_nothing(&trilobite(), out, &format!("train = {stage}"), 3) + "rate = 1e-3\n";
        let mut run = run(&recipe, &place.path(""));
        train(&mut run);
        let folder = place.path(out);
        let session =
            zoo(Precision::F32).model(&ModelRequest::new(folder.display().to_string()), &()).unwrap();
        let sources = [DataSource { records: place.path("shapes.jsonl"), images: place.path("") }];
        let data = Dataset::open(&sources).unwrap();
        for sample in 0..data.len() {
            let (record, image) = data.read(sample).unwrap();
            let image = image.unwrap().open().unwrap();
            let sight = session.look(&[image], &()).unwrap();
            let prompt = session.prompt(&record.conversation).unwrap();
            let assembled = session.assemble(&prompt, &sight).unwrap();
            let llm = session.llm().unwrap();
            let length = assembled.embeddings.dim(1).unwrap();
            let positions = Tensor::arange(0, length as u32, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
            let mut cache = llm.cache(1).unwrap();
            let mut hook = session.hook(&sight, &assembled).unwrap().unwrap();
            let hidden = llm.prefill(&assembled.embeddings, &positions, &mut cache, &mut hook).unwrap();
            let logits = llm.logits(&hidden).unwrap().squeeze(0).unwrap();
            let trained: Vec<u32> =
                prompt.labels.iter().filter(|l| **l != IGNORE_LABEL).map(|&l| l as u32).collect();
            // Answers end these conversations.
            let asked = logits.narrow(0, length - trained.len() - 1, trained.len()).unwrap();
            let loss = cross_entropy(&asked, &Tensor::new(trained, &Device::Cpu).unwrap()).unwrap();
            let (loss, expected) =
                (f64::from(loss.to_scalar::<f32>().unwrap()), run.loss(sample).unwrap().unwrap());
            assert!(
                (loss - expected).abs() < 1e-5 * expected.max(1.0),
                "{out} {sample}: {loss}, trained {expected}"
            );
        }
        let model = folder.display().to_string();
        let answer = place.json_with(&["ask", "0.png", "What shape is it?", "--model", &model], 0);
        assert!(answer["answers"][0]["answer"].is_string(), "{answer}");
    }
}

/// The loss of the first record, as a run would begin.
fn first_loss(recipe: &str, folder: &Path) -> f64 {
    begin(recipe, folder, Begin::Nowhere).unwrap_or_else(|e| panic!("{e}")).loss(0).unwrap().unwrap()
}

fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let files = Checkpoint::open(&[path.to_owned()]).unwrap();
    let read = |key: &str| {
        let tensor = files.load(key).unwrap().to_dtype(DType::F32).unwrap();
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    files.keys().map(|key| (key.to_owned(), read(key))).collect()
}

/// As the reference writes a connector and as we do: the same numbers, and either begins the next stage. Neither names
/// the language model by where it is on this machine.
#[test]
fn a_connector_goes_on_from_either_of_its_files() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    shapes(folder, 4);
    let stage = format!("connector = \"new\"\ntrain = {CONNECTOR}");
    for (out, file) in [("safe", "safetensors"), ("bin", "bin")] {
        let more = format!("rate = 1e-3\n[checkpoints]\nconnector = {file:?}\n");
        train(&mut run(&(from_nothing(&trilobite(), out, &stage, 2) + &more), folder));
        let toml = fs::read_to_string(folder.join(out).join("zoo.toml")).unwrap();
        assert!(toml.contains("weights = \"../") && !toml.contains("weights = \"/"), "{toml}");
        assert!(!folder.join(out).join("model.safetensors").exists());
    }
    let (safe, bin) = (folder.join("safe/mm_projector.safetensors"), folder.join("bin/mm_projector.bin"));
    assert_eq!(tensors(&safe), tensors(&bin));
    assert!(tensors(&safe).keys().all(|key| key.starts_with("model.")) && tensors(&safe).len() > 50);
    let next = |model: &str, line: &str| {
        first_loss(
            &(from_nothing(model, "next", &format!("{line}\ntrain = [\"*\"]"), 1) + "rate = 1e-3\n"),
            folder,
        )
    };
    let expected = next("safe", "");
    assert_ne!(expected, next(&trilobite(), ""));
    for (model, line) in [
        ("bin", String::new()),
        (&trilobite(), format!("connector = {safe:?}")),
        (&trilobite(), format!("connector = {bin:?}")),
    ] {
        assert_eq!(next(model, &line), expected, "{model} {line}");
    }
}

/// A folder as its makers released it: nothing is said of the connector but where its numbers are, and they are read.
#[test]
fn a_released_folder_and_a_projector_file_begin_alike() {
    let place = tempfile::tempdir().unwrap();
    shapes(place.path(), 3);
    let folder = support::checkpoints().join("cambrian-stage1");
    let of = |line: &str| {
        let recipe =
            from_nothing(&folder.display().to_string(), "out", &format!("{line}\ntrain = [\"*\"]"), 1);
        first_loss(&(recipe + "rate = 1e-3\n"), place.path())
    };
    let expected = of("");
    assert_eq!(of(&format!("connector = {:?}", folder.join("mm_projector.bin"))), expected);
    assert_ne!(of("connector = \"new\""), expected);
}

/// A base language model has no connector; what makes it see begins from nothing.
#[test]
fn a_base_language_model_begins_to_see() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    shapes(folder, 4);
    let base = folder.join("base");
    fs::create_dir(&base).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        fs::copy(Path::new(&trilobite()).join(name), base.join(name)).unwrap();
    }
    let eyes = fs::read_to_string(Path::new(&trilobite()).join("zoo.toml")).unwrap();
    fs::write(base.join("zoo.toml"), eyes.replace("\"eye-", &format!("\"{}/eye-", trilobite()))).unwrap();
    let all = Checkpoint::open(&[Path::new(&trilobite()).join("model.safetensors.index.json")]).unwrap();
    let part =
        |key: &&str| !["mm_projector", "vision_", "image_newline"].iter().any(|part| key.contains(part));
    let own = all.keys().filter(part).map(|key| (key.to_owned(), all.load(key).unwrap())).collect();
    candle_core::safetensors::save(&own, base.join("model.safetensors")).unwrap();

    let recipe =
        |line: &str| from_nothing("base", "out", &format!("{line}train = {CONNECTOR}"), 2) + "rate = 1e-3\n";
    let message = begin(&recipe(""), folder, Begin::Nowhere).err().unwrap().to_string();
    assert!(message.contains("mm_projector"), "{message}");
    train(&mut run(&recipe("connector = \"new\"\n"), folder));
    let out = folder.join("out").display().to_string();
    zoo(Precision::F32).model(&ModelRequest::new(out), &()).unwrap();
}

/// What is exported is what was learnt: merged into the matrices, and beside them for whoever merges by himself.
#[test]
fn low_rank_differences_are_merged_into_what_is_written() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    shapes(folder, 4);
    let lora = "lora = { rank = 4, alpha = 8, dropout = 0.1 }\ntrain = []";
    let mut first = run(&(from_nothing(&trilobite(), "out", lora, 4) + "rate = 5e-3\n"), folder);
    train(&mut first);
    let expected = first.loss(0).unwrap().unwrap();
    let of = |model: &str, stage: &str| {
        first_loss(&(from_nothing(model, "next", stage, 1) + "rate = 1e-3\n"), folder)
    };
    let begun = of(&trilobite(), "train = [\"*\"]");
    let merged = of("out", "train = [\"*\"]");
    let adapted = of(&trilobite(), &lora.replace("rank", "adapter = \"out/adapter\", rank"));
    println!("loss {begun}, learnt {expected}, merged {merged}, as an adapter {adapted}");
    assert!((begun - expected).abs() > 1e-3, "nothing was learnt");
    assert!((merged - expected).abs() < 1e-6 && adapted == expected);
    // Only the matrices of the layers differ from the base.
    let before = tensors(&Path::new(&trilobite()).join("model.safetensors.index.json"));
    for (key, values) in tensors(&folder.join("out/model.safetensors")) {
        let target = key.starts_with("model.layers.") && key.ends_with("proj.weight");
        assert_eq!(before[&key] != values, target, "{key}");
    }
}

/// Encoders that learnt are written with what they learnt, and the folder looks with them.
#[test]
fn encoders_that_learn_are_written() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    shapes(folder, 4);
    let stage = "train = [\"*mm_projector*\"]\nunfreeze = [\"*_list.0.*\"]\nfreeze = [\"*norm*\"]";
    let mut first = run(&(from_nothing(&trilobite(), "out", stage, 3) + "rate = 2e-3\n"), folder);
    train(&mut first);
    let expected = first.loss(0).unwrap().unwrap();
    let next = from_nothing("out", "next", "train = [\"*\"]", 1) + "rate = 1e-3\n";
    let got = first_loss(&next, folder);
    assert!((got - expected).abs() < 1e-5 * expected.max(1.0), "{got}, trained {expected}");
    let before = tensors(&Path::new(&trilobite()).join("eye-vit.safetensors"));
    let after = tensors(&folder.join("out/encoder-0.safetensors"));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (key, values) in &after {
        assert_eq!(&before[key] == values, key.contains("norm"), "{key}");
    }
    assert!(!folder.join("out/encoder-1.safetensors").exists());
}

/// An encoder of a plugin that gives no gradients.
struct Blind(Box<dyn Encoder>, EncoderDescriptor);

impl Encoder for Blind {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.1
    }
    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> zoo_core::Result<Vec<FeatureMap>> {
        self.0.forward(pixels, request)
    }
    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        self.0.cost(batch, height, width)
    }
}

fn blind(spec: &Spec, weights: &Weights, device: &Device) -> zoo_core::Result<Box<dyn Encoder>> {
    let inner = zoo_convnext::load(spec, weights, device)?;
    let descriptor = EncoderDescriptor { vjp: false, ..inner.descriptor().clone() };
    Ok(Box::new(Blind(inner, descriptor)))
}

/// What cannot be trained is refused with file and line before anybody looks for data.
#[test]
fn an_encoder_without_gradients_is_refused_before_data_are_read() {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    let plugin = PLUGIN.get_or_init(|| Plugin {
        name: "convnext",
        version: "0.0.0",
        encoders: &[("convnext", blind)],
        connectors: &[],
        llms: &[],
        texts: &[],
    });
    let check = |patterns: &str, expected: &str| {
        let stage = format!("train = {CONNECTOR}\nunfreeze = {patterns}");
        let text = from_nothing(&trilobite(), "out", &stage, 1) + "rate = 1e-3\n";
        let recipe = Recipe::parse("recipe.toml", text, Path::new("nowhere")).unwrap();
        let zoo = zoo(Precision::F32).with_linked(&[plugin]);
        let message = Run::new(&zoo, &recipe, Begin::Nowhere).err().unwrap().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check(
        "[\"*_list.0.*\", \"*_list.1.*\"]",
        "recipe.toml:4:27: `trilobite-eye-convnext` cannot be trained: its plugin `convnext` gives no gradients",
    );
    check("[\"*_list.2.*\"]", "recipe.toml:4:13: no tensor of this model is called `*_list.2.*`");
    // What can be trained goes on to its data, of which there are none.
    check("[\"*_list.0.*\"]", "recipe.toml:8:11: there are no records `nowhere/shapes.jsonl`");
}
