//! Every objective on a tiny encoder: the loss falls, a run that was stopped goes on to the same bits, and what is stored is
//! an encoder of the registry.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::DType;
use zoo_core::weights::Weights;
use zoo_pretrain::{Begin, Ended, Error, Eye, Recipe, Run, Scenes, Step, Watch, World, probe};
use zoo_registry::{Layer, Registry};
use zoo_world::scene::Split;

const VIT: &str = r#"
plugin = "timm-vit"
architecture = "timm-vit"
arch = { embed_dim = 48, depth = 2, num_heads = 4, mlp_dim = 96, patch_size = 8, image_size = 48 }
resolution = 48
stride = 8
channels = 48
select = { layers = [-1], norm = true }
preprocess = { pad = [122, 116, 104], normalise = "half" }
"#;

const CONVNEXT: &str = r#"
plugin = "convnext"
architecture = "convnext"
arch = { depths = [1, 1, 1, 1], dims = [8, 16, 24, 32], image_size = 64 }
resolution = 64
stride = [4, 8, 16, 32]
channels = [8, 16, 24, 32]
select = { layers = [1, 2], norm = false, tokens = 64 }
preprocess = { pad = [122, 116, 104], normalise = "clip" }
"#;

fn tiny(objective: &str, encoder: &str, steps: usize) -> String {
    format!(
        r#"
        out = "eye"
        objective = "{objective}"
        steps = {steps}
        batch = 16
        seed = 3
        [world]
        seed = 1
        scenes = 480
        kinds = ["room"]
        [optimizer]
        rate = 3e-3
        betas = [0.9, 0.98]
        weight_decay = 0.05
        [schedule]
        warmup = 0.1
        [checkpoints]
        every = 4
        [encoder]
        id = "tiny"
        description = "A test"
        supervision = "class_label"
        licence = "MIT OR Apache-2.0"
        {encoder}"#
    )
}

fn recipe(text: &str, folder: &Path) -> Recipe {
    Recipe::parse("r.toml", text.to_owned(), folder).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Losses, and a stop after some step.
struct Watching<'a> {
    losses: Vec<f64>,
    last: usize,
    stop: &'a AtomicBool,
}

impl Watch for Watching<'_> {
    fn step(&mut self, step: &Step) {
        self.losses.push(step.loss.unwrap());
        // The step after is the last.
        self.stop.store(step.step + 1 >= self.last, Ordering::Relaxed);
    }
}

fn train(run: &mut Run, last: usize) -> (Vec<f64>, Ended) {
    let stop = AtomicBool::new(false);
    let mut watching = Watching { losses: Vec::new(), last, stop: &stop };
    let ended = run.train(&mut watching, &stop).unwrap();
    (watching.losses, ended)
}

/// The mean loss of the last six steps is less than `share` of that of the first three.
#[track_caller]
fn check(objective: &str, encoder: &str, share: f64) {
    const STEPS: usize = 24;
    let home = tempfile::tempdir().unwrap();
    let recipe = recipe(&tiny(objective, encoder, STEPS), home.path());
    let mut run = Run::new(&recipe, Begin::Anew).unwrap();
    let (losses, ended) = train(&mut run, usize::MAX);
    assert_eq!((losses.len(), ended), (STEPS, Ended::Finished));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..3]), mean(&losses[STEPS - 6..]));
    assert!(last < share * first, "{objective}: {first} to {last}: {losses:?}");

    // What is stored is what was learnt, and the registry reads it as any other encoder.
    let out = home.path().join("eye");
    let text = std::fs::read_to_string(out.join("registry.toml")).unwrap();
    let registry = Registry::load(&[Layer::shipped(), Layer::new("eye", text)]).unwrap();
    let row = registry.select("tiny").unwrap().row;
    let weights = Weights::open(&[out.join("model.safetensors")], DType::F32).unwrap();
    let stored = Eye::open(row, &weights).unwrap();
    let world = World { seed: 9, scenes: 4, kinds: Vec::new() };
    let scenes = Scenes::new(&world, Split::Test, stored.side(), stored.pad());
    let images: Vec<_> = (0..4).map(|index| scenes.show(index).image).collect();
    let pixels = stored.pixels(&images).unwrap();
    let of = |eye: &Eye| eye.look(&pixels).unwrap().tokens.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (kept, read) = (of(run.eye()), of(&stored));
    let square = |all: &mut dyn Iterator<Item = f32>| all.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let off = square(&mut kept.iter().zip(&read).map(|(a, b)| a - b));
    // Half precision, through the layers.
    assert!(off.sqrt() < 5e-3 * square(&mut kept.iter().copied()).sqrt(), "{objective}: {off}");
}

#[test]
fn labels_are_learnt() {
    check("labels", VIT, 0.75);
}

#[test]
fn captions_are_learnt() {
    check("contrast", VIT, 0.95);
}

#[test]
fn views_are_told_apart() {
    check("views", VIT, 0.75);
}

#[test]
fn hidden_patches_are_filled_in() {
    check("masked", VIT, 0.95);
}

#[test]
fn depth_is_learnt() {
    check("depth", VIT, 0.5);
}

#[test]
fn segments_are_learnt() {
    check("segments", VIT, 0.5);
}

#[test]
fn a_convnext_learns_as_well() {
    check("segments", CONVNEXT, 0.6);
}

/// Stopped and continued, and cut off between two checkpoints: the same losses and the same bytes.
#[test]
fn a_run_goes_on_to_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|name| home.path().join(name));
    let text = tiny("views", VIT, 10);
    let (losses, _) = train(&mut Run::new(&recipe(&text, &whole), Begin::Anew).unwrap(), usize::MAX);
    let split = recipe(&text, &parts);
    let (mut before, ended) = train(&mut Run::new(&split, Begin::Anew).unwrap(), 3);
    assert_eq!((before.len(), ended), (3, Ended::Stopped));
    assert!(matches!(Run::new(&split, Begin::Anew), Err(Error::There { .. })));
    let other = recipe(&text.replace("3e-3", "1e-3"), &parts);
    let message = Run::new(&other, Begin::Resume).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("recipe changed"), "{message}");
    let (after, ended) = train(&mut Run::new(&split, Begin::Resume).unwrap(), usize::MAX);
    assert_eq!(ended, Ended::Finished);
    before.extend(after);
    assert_eq!(before, losses);
    let bytes = |folder: &Path| std::fs::read(folder.join("eye/model.safetensors")).unwrap();
    assert_eq!(bytes(&whole), bytes(&parts));
}

/// Features of a trained encoder say more of held-out scenes than guessing.
#[test]
fn a_probe_finds_what_was_learnt() {
    let home = tempfile::tempdir().unwrap();
    let text = tiny("labels", VIT, 80).replace("every = 4", "every = 1000");
    let mut run = Run::new(&recipe(&text, home.path()), Begin::Anew).unwrap();
    train(&mut run, usize::MAX);
    let found = probe(run.eye(), 5, 400, 300).unwrap().colours;
    assert!(found.count > 550 && (0.5..0.6).contains(&found.majority), "{found:?}");
    // Three standard errors above guessing.
    let error = (0.25 / found.count as f64).sqrt();
    assert!(found.accuracy > found.majority + 3.0 * error, "{found:?}");
}

#[test]
fn shipped_recipes_make_small_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let run = Run::new(&Recipe::open(&path).unwrap_or_else(|e| panic!("{e}")), Begin::Nowhere).unwrap();
        let (parameters, _) = run.parameters().unwrap();
        // Two bytes each, and what git takes of one file.
        assert!(2 * parameters < 1_490_000, "{}: {parameters} parameters", path.display());
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn wrong_recipes_are_refused() {
    let good = tiny("labels", VIT, 60);
    recipe(&good, Path::new(""));
    for (from, to, said) in [
        ("steps = 60", "stepz = 60", "stepz"),
        ("steps = 60", "steps = 0", "0 steps"),
        ("batch = 16", "batch = 0", "one picture"),
        ("\"labels\"", "\"guesses\"", "guesses"),
        ("rate = 3e-3", "rate = -1.0", "not negative"),
        ("scenes = 480", "scenes = 0", "nothing to look at"),
        ("patch_size = 8,", "patch_size = 8, colour = 3,", ""),
        ("stride = 8", "strude = 8", "strude"),
        ("resolution = 48\nstride = 8", "resolution = 50\nstride = 8", ""),
        ("supervision = \"class_label\"", "weights = { seed = 1 }", "weights"),
    ] {
        assert!(good.contains(from), "{from}\n{good}");
        let bad = Recipe::parse("r.toml", good.replace(from, to), Path::new(""));
        let bad = bad.and_then(|recipe| Run::new(&recipe, Begin::Nowhere).map(|_| ()));
        let error = bad.unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
}
