//! Training, from a recipe to a model folder: steps beside torch's, runs that were cut off, models from nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use candle_core::{Device, Tensor};
use program::Sandbox;
use serde_json::json;
use zoo_core::Precision;
use zoo_data::{DataSource, Dataset};
use zoo_host::{ModelRequest, Zoo};
use zoo_language::tokens::IGNORE_LABEL;
use zoo_nn::loss::cross_entropy;
use zoo_train::{Begin, Ended, PLUGINS, Recipe, Run, Step, Watch};

/// The program as a process of its own; see [`program`].
#[test]
fn program() {
    program::run();
}

fn zoo(precision: Precision) -> Zoo {
    support::zoo(&support::ALL, precision).with_linked(PLUGINS)
}

/// What the reference trains in its first stage.
const CONNECTOR: &str =
    r#"["*mm_projector*", "*vision_sampler*", "*vision_query*", "*image_newline*", "*pos_emb*"]"#;
const PROJECTOR: &str = r#"["*mm_projector*"]"#;

fn run(recipe: &str, folder: &Path) -> Run {
    let recipe = Recipe::parse("recipe.toml", recipe.to_owned(), folder).unwrap_or_else(|e| panic!("{e}"));
    Run::new(&zoo(recipe.plan.precision), &recipe, Begin::Anew).unwrap_or_else(|e| panic!("{e}"))
}

/// Keeps all steps.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Watch for Steps {
    fn step(&mut self, step: &Step) {
        self.0.push(step.clone());
    }
}

fn train(run: &mut Run) -> Vec<Step> {
    let mut steps = Steps::default();
    assert_eq!(run.train(&mut steps, &AtomicBool::new(false)).unwrap(), Ended::Finished);
    steps.0
}

/// Numbers at even distances, as `tests/reference/training.py` takes them.
fn sampled(tensor: &Tensor, count: usize) -> Vec<f32> {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (0..count).map(|i| flat[i * flat.len() / count]).collect()
}

fn rms(tensor: &Tensor) -> f64 {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (flat.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / flat.len() as f64).sqrt()
}

/// Two steps of a stage against torch's: losses, norms, gradients and parameters.
#[track_caller]
fn steps_of(family: &str, stage: u32) {
    let checkpoints = support::checkpoints();
    let golden = checkpoints.join(family).join(format!("training/stage-{stage}.safetensors"));
    let golden: BTreeMap<String, Tensor> =
        candle_core::safetensors::load(golden, &Device::Cpu).unwrap().into_iter().collect();
    let numbers = |name: &str| golden[name].to_vec1::<f32>().unwrap();
    let aggregates = golden.contains_key("value:model.vision_query");
    let (train_keys, rate, group) = match (stage, aggregates) {
        (1, true) => (
            CONNECTOR,
            2e-4,
            "[[group]]\nname = \"sampler\"\nmatch = [\"*vision_sampler*\", \"*vision_query*\"]\nrate = 1e-4\n",
        ),
        (1, false) => (PROJECTOR, 2e-4, ""),
        _ => ("[\"*\"]", 4e-5, ""),
    };
    let folder = tempfile::tempdir().unwrap();
    let recipe = format!(
        "model = {model:?}\nout = \"out\"\ntrain = {train_keys}\nsteps = 2\n\
         [[data]]\nrecords = {records:?}\nimages = {images:?}\n\
         [batch]\nsize = 2\naccumulate = 2\norder = \"file\"\n\
         [optimizer]\nrate = {rate}\n{group}\
         [schedule]\nshape = \"constant\"\nwarmup = 0.0\n[checkpoints]\nevery = 1\nkeep = 2\n",
        model = checkpoints.join(family),
        records = checkpoints.join("training.json"),
        images = checkpoints.join("images"),
    );
    let mut run = run(&recipe, folder.path());
    let steps = train(&mut run);
    for (step, (loss, norm)) in steps.iter().zip(numbers("losses").into_iter().zip(numbers("norms"))) {
        let (loss, norm) = (f64::from(loss), f64::from(norm));
        let got = step.loss.unwrap();
        assert!((got - loss).abs() < 1e-5 * loss, "{family} {stage}: loss {got}, torch {loss}");
        let got = step.gradient_norm;
        assert!((got - norm).abs() < 1e-4 * norm, "{family} {stage}: norm {got}, torch {norm}");
    }
    // After one step the first moment is a tenth of the clipped gradient.
    let moments = folder.path().join("out/checkpoints/step-00000001/first-moments.safetensors");
    let moments = candle_core::safetensors::load(moments, &Device::Cpu).unwrap();
    let scale = 10.0 / (1.0 / (steps[0].gradient_norm + 1e-6)).min(1.0);
    let values = run.optimiser().values(candle_core::DType::F32).unwrap();
    let keys: Vec<&str> = golden.keys().filter_map(|key| key.strip_prefix("value:")).collect();
    assert_eq!(keys, values.keys().map(String::as_str).collect::<Vec<_>>(), "{family} {stage}");
    let (mut left_out, mut compared, mut worst) = (0, 0, [0f64; 2]);
    let largest = keys.iter().map(|key| numbers(&format!("size:{key}"))[0]).fold(0f32, f32::max);
    for key in keys {
        let gradients = numbers(&format!("gradient:{key}"));
        let size = f64::from(numbers(&format!("size:{key}"))[0]);
        let moved = f64::from(numbers(&format!("moved:{key}"))[0]);
        let ours = sampled(&moments[key], gradients.len());
        let (value, expected) = (sampled(&values[key], gradients.len()), numbers(&format!("value:{key}")));
        // An aggregation layer behind the last decoder layer, whose tokens nobody asks about.
        if size == 0.0 {
            assert!(ours.iter().all(|x| *x == 0.0) && value == expected, "{family} {stage} {key} moved");
            continue;
        }
        // What is zero in exact arithmetic is rounding in both.
        if size < 1e-6 * f64::from(largest) {
            assert!(key.ends_with("k_proj.bias"), "{family} {stage} {key}: a gradient of {size:.1e}");
            continue;
        }
        for i in 0..gradients.len() {
            let gradient = f64::from(gradients[i]);
            // Rows of the embedding table that nobody read.
            if gradient == 0.0 {
                assert!(ours[i] == 0.0 && value[i] == expected[i], "{family} {stage} {key}[{i}] moved");
                continue;
            }
            let apart = (f64::from(ours[i]) * scale - gradient).abs() / size;
            worst[0] = worst[0].max(apart);
            assert!(
                apart < 1e-4,
                "{family} {stage} {key}[{i}]: gradient {apart:.1e} of its size from torch's"
            );
            compared += 1;
            // Adam divides by the size of each gradient, so rounding decides where there is hardly one.
            if gradient.abs() < 1e-3 * size {
                left_out += 1;
                continue;
            }
            let apart = (f64::from(value[i]) - f64::from(expected[i])).abs();
            worst[1] = worst[1].max(apart / moved);
            assert!(
                apart < 1e-4 * rms(&values[key]),
                "{family} {stage} {key}[{i}]: {apart:.1e} from torch's"
            );
        }
    }
    println!(
        "{family}, stage {stage}: gradients within {:.1e} of their size, updates within {:.1e} of theirs",
        worst[0], worst[1]
    );
    assert!(left_out * 50 < compared, "{family} {stage}: {left_out} of {compared} were left out");
}

#[test]
fn steps_are_those_of_torch() {
    for family in FAMILIES {
        for stage in [1, 2] {
            steps_of(family, stage);
        }
    }
}

/// Decoders with matrices apart and packed, with aggregation inside them.
const FAMILIES: [&str; 3] = ["cambrian-llama3", "cambrian-vicuna", "cambrian-phi3"];

/// Pictures of one shape on a plain ground, and a question about each.
fn shapes(folder: &Path, count: u32) {
    let colours = [("red", [220u8, 40, 40]), ("green", [40, 180, 60]), ("blue", [50, 80, 220])];
    let mut lines = String::new();
    for i in 0..count {
        let (colour, rgb) = colours[(i % 3) as usize];
        let round = i / 3 % 2 == 0;
        let (x, y) = (20.0 + f64::from(i * 7 % 24), 20.0 + f64::from(i * 11 % 24));
        let image = image::RgbImage::from_fn(64, 64, |a, b| {
            let (dx, dy) = (f64::from(a) - x, f64::from(b) - y);
            let inside = if round { dx.hypot(dy) < 14.0 } else { dx.abs().max(dy.abs()) < 12.0 };
            image::Rgb(if inside { rgb } else { [200, 200, 190 + (i % 8) as u8] })
        });
        image.save(folder.join(format!("{i}.png"))).unwrap();
        let shape = if round { "circle" } else { "square" };
        let (question, answer) = match i % 4 {
            0 | 1 => (format!("What colour is the {shape}?"), colour),
            _ => ("What shape is it?".to_owned(), shape),
        };
        let record = json!({"id": i, "image": format!("{i}.png"), "conversations": [
            {"from": "human", "value": format!("<image>\n{question}")}, {"from": "gpt", "value": answer}]});
        lines += &format!("{record}\n");
    }
    fs::write(folder.join("shapes.jsonl"), lines).unwrap();
}

/// A recipe for a small model from nothing but its eyes.
fn from_nothing(model: &str, out: &str, stage: &str, steps: usize) -> String {
    format!(
        "model = {model:?}\nout = {out:?}\n{stage}\nseed = 7\nsteps = {steps}\n\
         [[data]]\nrecords = \"shapes.jsonl\"\n[batch]\nsize = 4\n\
         [schedule]\nwarmup = 0.1\n[optimizer]\n"
    )
}

fn trilobite() -> String {
    support::sources("inputs/models/trilobite").display().to_string()
}

/// Both stages from nothing: the connector alone first, then everything. The second begins where the first ended.
#[test]
fn a_model_from_nothing_learns_shapes_in_a_hundred_steps() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 24);
    let stage = format!("connector = \"new\"\nllm = \"new\"\nfeatures = \"seen\"\ntrain = {CONNECTOR}");
    let recipe = from_nothing(&trilobite(), "one", &stage, 20) + "rate = 1e-3\n";
    let first = train(&mut run(&recipe, folder.path()));
    let recipe = from_nothing("one", "two", "features = \"seen\"\ntrain = [\"*\"]", 100) + "rate = 2e-3\n";
    let second = train(&mut run(&recipe, folder.path()));
    let mean = |steps: &[Step]| steps.iter().filter_map(|s| s.loss).sum::<f64>() / steps.len() as f64;
    let (begun, between, ended) = (mean(&first[..3]), mean(&first[17..]), mean(&second[90..]));
    println!("loss {begun:.3}, after the first stage {between:.3}, after the second {ended:.3}");
    assert!(begun > 5.0 && between < begun && ended < 0.5, "{begun} {between} {ended}");
}

/// In bf16 the same is learnt, and what is trained does not lose its small steps.
#[test]
fn half_precision_learns_the_same() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 8);
    let [exact, half] = ["f32", "bf16"].map(|precision| {
        let stage = format!("precision = \"{precision}\"\ntrain = [\"*\"]");
        train(&mut run(&(from_nothing(&trilobite(), precision, &stage, 6) + "rate = 3e-4\n"), folder.path()))
    });
    for (exact, half) in exact.iter().zip(&half) {
        let (a, b) = (exact.loss.unwrap(), half.loss.unwrap());
        assert!((a - b).abs() < 0.05 * a.max(1.0), "step {}: {a} in f32, {b} in bf16", exact.step);
    }
}

/// A loss that is no number ends the run, names the samples, and leaves the checkpoints.
#[test]
fn a_run_that_diverges_stops_and_names_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 8);
    let recipe =
        from_nothing(&trilobite(), "out", "train = [\"*\"]", 9).replace("warmup = 0.1", "warmup = 0.0");
    let recipe = recipe + "rate = 1e30\n[checkpoints]\nevery = 1\n";
    let error = run(&recipe, folder.path()).train(&mut (), &AtomicBool::new(false)).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, zoo_train::Error::Diverged { .. }), "{message}");
    assert_eq!(message.matches("shapes.jsonl:").count(), 4, "{message}");
    assert!(folder.path().join("out/checkpoints").read_dir().unwrap().next().is_some());
}

/// With features on a disk the same is learnt, and nothing is looked at twice.
#[test]
fn kept_features_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 6);
    let stage = format!("train = {CONNECTOR}");
    let recipe = |out: &str, stage: &str| from_nothing(&trilobite(), out, stage, 4) + "rate = 1e-3\n";
    let plain = train(&mut run(&recipe("plain", &stage), folder.path()));
    let stage = format!("{stage}\nfeatures = \"seen\"");
    let first = train(&mut run(&recipe("first", &stage), folder.path()));
    assert_eq!(folder.path().join("seen").read_dir().unwrap().count(), 6);
    let second = train(&mut run(&recipe("second", &stage), folder.path()));
    let losses = |steps: &[Step]| steps.iter().map(|step| step.loss.unwrap().to_bits()).collect::<Vec<_>>();
    assert_eq!(losses(&plain), losses(&first));
    assert_eq!(losses(&plain), losses(&second));
    assert_eq!(folder.path().join("seen").read_dir().unwrap().count(), 6);
}

/// All files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read =
        |path: std::path::PathBuf| (path.file_name().unwrap().display().to_string(), fs::read(path).unwrap());
    entries.filter(|path| path.is_file()).map(read).collect()
}

/// Killed at any moment, a run goes on to the bytes of one that nobody disturbed.
#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let mut place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 9);
    let recipe = |out: &str| {
        let stage = format!("train = {CONNECTOR}");
        from_nothing(&trilobite(), out, &stage, 12) + "rate = 1e-3\n[checkpoints]\nevery = 2\nkeep = 2\n"
    };
    // The folder is no part of what a run is, but its recipe is: both are called the same, elsewhere.
    for name in ["whole", "killed"] {
        place.write(&format!("{name}/recipe.toml"), &recipe("out").replace("\"shapes", "\"../shapes"));
        fs::write(place.path(name).join("keep"), "").unwrap();
    }
    place.run("train whole/recipe.toml --quiet", 0);
    let mut child = place.spawn(&["train", "killed/recipe.toml", "--quiet"]);
    let first = place.path("killed/out/checkpoints/step-00000002");
    // Until there is something to go on from, or it is over already.
    while !first.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let message = place.run("train killed/recipe.toml --quiet", 1).err;
    assert!(message.contains("there are checkpoints of a run here"), "{message}");
    // On one thread, whatever it was before.
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        place.environment.push((variable.to_owned(), "1".to_owned()));
    }
    let resumed = place.json("train killed/recipe.toml --resume --quiet", 0);
    assert_eq!((resumed["step"].as_u64(), resumed["finished"].as_bool()), (Some(12), Some(true)));
    for part in ["out/checkpoints/step-00000012", "out/checkpoints/step-00000010", "out"] {
        let [whole, mut killed] = ["whole", "killed"].map(|name| files(&place.path(name).join(part)));
        // Seconds differ.
        killed.insert("log.jsonl".into(), whole.get("log.jsonl").cloned().unwrap_or_default());
        for (name, bytes) in &whole {
            assert!(killed.get(name) == Some(bytes), "{part}/{name} differs");
        }
        assert!(!whole.is_empty());
    }
    let steps: Vec<u64> = fs::read_to_string(place.path("killed/out/log.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=12).collect::<Vec<_>>());
}

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
            let image = zoo_preprocess::open(image.unwrap(), &Default::default()).unwrap();
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

/// A run does not write into a folder of somebody else's.
#[test]
fn other_folders_are_left_alone() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 3);
    place.write("out/photo.txt", "");
    place.write("recipe.toml", &(from_nothing(&trilobite(), "out", "train = [\"*\"]", 1) + "rate = 1e-3\n"));
    for line in ["train recipe.toml", "train recipe.toml --resume"] {
        let message = place.run(line, 1).err;
        assert!(message.contains("is not empty and not that of a run"), "{message}");
    }
    let message = place.run("train gone.toml", 1).err;
    assert!(message.contains("gone.toml: cannot read the recipe"), "{message}");
}

#[test]
fn a_dry_run_measures_and_writes_nothing() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 6);
    // From a base language model: the connector is new.
    let stage = format!("connector = \"new\"\ntrain = {CONNECTOR}");
    let recipe = from_nothing(&trilobite(), "out", &stage, 50) + "rate = 1e-3\n";
    place.write("recipe.toml", &recipe);
    let found = place.json("train recipe.toml --dry-run", 0);
    assert_eq!((found["steps"].as_u64(), found["records"].as_u64()), (Some(50), Some(6)));
    assert!(found["seconds_per_step"].as_f64().unwrap() > 0.0 && found["frozen"].as_u64().unwrap() > 100_000);
    assert!(!place.path("out").exists());
}

/// Records that cannot be used are counted, listed and left out, and nothing takes their place.
#[test]
fn defective_samples_are_left_out_and_told() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 6);
    let records = fs::read_to_string(place.path("shapes.jsonl")).unwrap();
    let bad = records.replace("5.png", "gone.png") + "{\"conversations\": []}\nnonsense\n";
    let twice = bad.clone() + records.lines().next().unwrap() + "\n";
    place.write("shapes.jsonl", &twice);
    let found = place.json("data check shapes.jsonl --decode", 1);
    assert_eq!(found["sound"], 5);
    let counts = json!({"form": 1, "missing_image": 1, "nothing_trained": 1, "duplicate": 1});
    for (kind, count) in counts.as_object().unwrap() {
        assert_eq!(&found["counts"][kind], count, "{kind}: {found}");
    }
    let shown = place.run("data check shapes.jsonl", 1).out;
    assert!(shown.contains("shapes.jsonl:6: there is no image"), "{shown}");

    place.write("shapes.jsonl", &bad);
    let recipe = from_nothing(&trilobite(), "out", &format!("train = {CONNECTOR}"), 2) + "rate = 1e-3\n";
    let mut run = run(&recipe, &place.path(""));
    let steps = train(&mut run);
    // Four and two samples, of which one shows what is not there.
    assert_eq!(steps.iter().map(|step| step.samples).sum::<usize>(), 6);
    let skipped: Vec<_> = steps.iter().flat_map(|step| &step.skipped).collect();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].place.ends_with("shapes.jsonl:6"), "{:?}", skipped[0]);
    assert_eq!(run.samples(), (6, 3));
    assert_eq!(fs::read_to_string(place.path("out/skipped.jsonl")).unwrap().lines().count(), 2);
}
