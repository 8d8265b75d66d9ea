//! Runs: what is learnt, what stops one, what goes on.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use zoo_train::{Begin, Ended, Error, Step, Watch};

use super::program::Sandbox;
use super::{CONNECTOR, begin, files, from_nothing, run, shapes, support, train, trilobite};

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
    assert!(matches!(error, Error::Diverged { .. }), "{message}");
    assert_eq!(message.matches("shapes.jsonl:").count(), 4, "{message}");
    assert!(folder.path().join("out/checkpoints").read_dir().unwrap().next().is_some());
}

/// What is inside blocks may be computed a second time: the bytes are the same, whatever is trained.
#[test]
fn recomputation_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 4);
    let stage = "train = [\"*\"]\nunfreeze = [\"*\"]\n";
    let [kept, again] = ["", "recompute = true"].map(|line| {
        let out = if line.is_empty() { "kept" } else { "again" };
        let recipe = from_nothing(&trilobite(), out, &format!("{stage}{line}"), 3) + "rate = 1e-3\n";
        train(&mut run(&recipe, folder.path()));
        files(&folder.path().join(out).join("checkpoints/step-00000003"))
    });
    assert!(kept["trained.safetensors"] == again["trained.safetensors"]);
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
        let beside = recipe("out").replace("\"shapes.jsonl\"", "\"../shapes.jsonl\"\nimages = \"..\"");
        place.write(&format!("{name}/recipe.toml"), &beside);
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
    assert!(message.contains("there is a run here, of "), "{message}");
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
    let message = place.run("train recipe.toml --overwrite", 1).err;
    assert!(message.contains("is not empty and not that of a run"), "{message}");
    let message = place.run("train gone.toml", 1).err;
    assert!(message.contains("gone.toml: cannot read the recipe"), "{message}");
}

/// Only when somebody says so, and then nothing of the earlier run is left; what else is there stays.
#[test]
fn an_earlier_run_is_replaced_when_somebody_says_so() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 4);
    let recipe = |stage: &str| from_nothing(&trilobite(), "out", stage, 2) + "rate = 1e-3\n";
    place.write("recipe.toml", &recipe("train = [\"*mm_projector*\"]\nunfreeze = [\"*_list.0.*\"]"));
    place.run("train recipe.toml --quiet", 0);
    let earlier = files(&place.path("out"));
    assert!(earlier.contains_key("encoder-0.safetensors"));
    place.write("out/notes.txt", "mine");
    place.write("recipe.toml", &recipe(&format!("train = {CONNECTOR}")));
    let message = place.run("train recipe.toml --quiet", 1).err;
    assert!(
        message.contains("of 2 steps that are kept; --resume goes on with it, --overwrite begins anew"),
        "{message}"
    );
    place.run("train recipe.toml --overwrite --resume", 2);
    let message = place.run("train recipe.toml --resume --quiet", 1).err;
    assert!(message.contains("the recipe changed"), "{message}");
    // What the run would read must not be taken away.
    let own = place.write("own.toml", &recipe("train = [\"*\"]").replace(&trilobite(), "out"));
    let message = place.run("train own.toml --overwrite", 1).err;
    assert!(message.contains("which is in the folder that --overwrite empties"), "{message}");
    fs::remove_file(own).unwrap();
    assert_eq!(files(&place.path("out")).len(), earlier.len() + 1);
    place.run("train recipe.toml --overwrite --quiet", 0);
    let mut now = files(&place.path("out"));
    assert_eq!(now.remove("notes.txt").unwrap(), b"mine");
    place.write("recipe.toml", &recipe(&format!("train = {CONNECTOR}")).replace("\"out\"", "\"fresh\""));
    place.run("train recipe.toml --quiet", 0);
    let fresh = files(&place.path("fresh"));
    assert_eq!(now.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>());
    assert!(now["mm_projector.safetensors"] == fresh["mm_projector.safetensors"]);
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
    assert_eq!((found["recompute"].as_bool(), found["losses"].as_array().unwrap().len()), (Some(false), 6));
    for way in ["recomputed", "kept"] {
        assert!(found[way]["seconds"].as_f64().unwrap() > 0.0, "{found}");
        assert!(
            cfg!(not(target_os = "linux")) || found[way]["peak_bytes"].as_u64().unwrap() > 1 << 20,
            "{found}"
        );
    }
    let shown = place.run("train recipe.toml --dry-run", 0).out;
    assert!(
        shown.contains("it would be with `recompute = true`: ") && shown.contains("recomputing saves "),
        "{shown}"
    );
    assert!(!place.path("out").exists());
}

/// Records that cannot be used are counted, listed and left out, and nothing takes their place.
#[test]
fn defective_samples_are_left_out_and_told() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 6);
    let records = fs::read_to_string(place.path("shapes.jsonl")).unwrap();
    let bad = records.replace("5.png", "gone.png") + "{\"conversations\": []}\nnonsense\n";
    // Where nothing can be used, nothing is done.
    place.write("none.jsonl", &records.replace(".png", ".jpg"));
    let recipe =
        from_nothing(&trilobite(), "none", "train = [\"*\"]", 2).replace("shapes.jsonl", "none.jsonl");
    place.write("none.toml", &(recipe + "rate = 1e-3\n"));
    for line in ["train none.toml --dry-run", "train none.toml"] {
        let message = place.run(line, 1).err;
        assert!(message.contains("no sample of the first step can be learnt from; the first: "), "{message}");
    }
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

/// A loss far above those before it ends the run, although it is a number, and names the batch.
#[test]
fn a_run_whose_loss_explodes_stops() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 9);
    let records = fs::read_to_string(folder.path().join("shapes.jsonl")).unwrap();
    let (last, before) = records.trim_end().rsplit_once('\n').map(|(before, last)| (last, before)).unwrap();
    let mut last: serde_json::Value = serde_json::from_str(last).unwrap();
    last["conversations"][1]["value"] = "9q&Z;7#w%Xj?2!kV(5".into();
    fs::write(folder.path().join("shapes.jsonl"), format!("{before}\n{last}\n")).unwrap();
    let recipe = from_nothing(&trilobite(), "out", &format!("train = {CONNECTOR}"), 9)
        .replace("size = 4", "size = 1\norder = \"file\"")
        + "rate = 0.0\n[checkpoints]\nevery = 1\n";
    let mut losses = Losses(Vec::new());
    let error = run(&(recipe.clone() + "[stop]\ntimes = 1.2\n"), folder.path())
        .train(&mut losses, &AtomicBool::new(false))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("step 9: the exploding loss is "), "{error}, {:?}", losses.0);
    assert!(error.contains("shapes.jsonl:9.") && !error.contains("shapes.jsonl:8"), "{error}");
    assert!(folder.path().join("out/checkpoints/step-00000008").is_dir());
    let patient = recipe.replace("\"out\"", "\"patient\"") + "[stop]\ntimes = 0.0\n";
    assert_eq!(train(&mut run(&patient, folder.path())).len(), 9);
}

struct Losses(Vec<f64>);

impl Watch for Losses {
    fn step(&mut self, step: &Step) {
        self.0.extend(step.loss);
    }
}

/// Asks the run to stop after so many steps.
struct Until<'a>(usize, &'a AtomicBool);

impl Watch for Until<'_> {
    fn step(&mut self, step: &Step) {
        self.1.store(step.step >= self.0, Ordering::Relaxed);
    }
}

/// Trains up to `steps`, and to the end in a second run.
#[track_caller]
fn in_two(recipe: &str, folder: &std::path::Path, steps: usize) {
    let stop = AtomicBool::new(false);
    let ended = run(recipe, folder).train(&mut Until(steps - 1, &stop), &stop).unwrap();
    assert_eq!(ended, Ended::Stopped);
    let mut resumed = begin(recipe, folder, Begin::Resume).unwrap();
    assert_eq!(resumed.progress().0, steps);
    train(&mut resumed);
}

/// What is left out at random, low-rank differences and encoders that learn go on to the same bytes as well; and what is
/// written for TensorBoard and drawn is that of a run that was not cut off.
#[test]
fn a_stopped_run_goes_on_whatever_it_trains() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 6);
    let stage =
        format!("train = {CONNECTOR}\nunfreeze = [\"*_list.0.*\"]\nlora = {{ rank = 2, dropout = 0.3 }}");
    let recipe = |out: &str| from_nothing(&trilobite(), out, &stage, 5) + "rate = 1e-3\n";
    train(&mut run(&recipe("whole"), folder.path()));
    in_two(&recipe("two"), folder.path(), 3);
    for part in ["", "checkpoints/step-00000005", "adapter"] {
        let [whole, mut two] = ["whole", "two"].map(|out| files(&folder.path().join(out).join(part)));
        assert!(!whole.is_empty());
        for (name, bytes) in &whole {
            // Seconds differ, and the name of the folder.
            if !["log.jsonl", "recipe.toml"].contains(&name.as_str()) && name != "state.json" {
                assert!(two.remove(name).as_ref() == Some(bytes), "{part}/{name} differs");
            }
        }
    }
    let records = |out: &str| {
        let events = files(&folder.path().join(out).join("tensorboard"));
        assert_eq!(events.len(), 1, "{:?}", events.keys());
        let (_, bytes) = events.into_iter().next().unwrap();
        let (mut at, mut lengths) = (0, Vec::new());
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            lengths.push(length);
            at += length + 16;
        }
        assert_eq!(at, bytes.len());
        lengths
    };
    // The version and five steps.
    assert_eq!((records("whole").len(), records("whole")), (6, records("two")));
    let drawn = fs::read_to_string(folder.path().join("whole/curves.svg")).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("loss in nats") && drawn.contains("rates"));
}

/// A source of weight 2 comes twice in an epoch, one of weight a half every other time.
#[test]
fn sources_come_as_often_as_they_weigh() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 4);
    fs::copy(folder.path().join("shapes.jsonl"), folder.path().join("more.jsonl")).unwrap();
    let recipe = from_nothing(&trilobite(), "out", &format!("train = {CONNECTOR}"), 1) + "rate = 1e-3\n";
    let recipe = recipe.replace("steps = 1", "epochs = 1").replace(
        "records = \"shapes.jsonl\"",
        "records = \"shapes.jsonl\"\nweight = 2.0\n[[data]]\nrecords = \"more.jsonl\"\nweight = 0.5",
    );
    let steps = train(&mut run(&recipe, folder.path()));
    // Twice four and half of four, in batches of four.
    assert_eq!(steps.iter().map(|step| step.samples).collect::<Vec<_>>(), [4, 4, 2]);
}

/// A sample that does not fit loses its end, or is left out and told.
#[test]
fn samples_that_are_too_long_are_cut_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    shapes(folder.path(), 4);
    let records = fs::read_to_string(folder.path().join("shapes.jsonl")).unwrap();
    let long = records.replacen("\"red\"", &format!("{:?}", "red ".repeat(60)), 1);
    fs::write(folder.path().join("shapes.jsonl"), long).unwrap();
    let recipe = |out: &str, line: &str| {
        let stage = format!("train = {CONNECTOR}\nmax_length = 120");
        let recipe = from_nothing(&trilobite(), out, &stage, 1) + "rate = 1e-3\n";
        recipe.replace("size = 4", &format!("size = 4\norder = \"file\"\n{line}"))
    };
    let cut = &train(&mut run(&recipe("cut", ""), folder.path()))[0];
    assert_eq!((cut.cut, cut.skipped.len()), (1, 0));
    let out = &train(&mut run(&recipe("out", "long = \"leave_out\""), folder.path()))[0];
    assert_eq!((out.cut, out.skipped.len()), (0, 1));
    assert!(out.skipped[0].place.ends_with("shapes.jsonl:1"), "{:?}", out.skipped);
    assert!(out.skipped[0].message.contains("of at most 120"), "{:?}", out.skipped);
}
