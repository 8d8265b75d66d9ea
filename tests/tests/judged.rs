//! The program that judges, from pictures that it draws to a score: three commands, the model that it carries; killed and in
//! parts; by what is likeliest; several questions at a time.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

const PLUGINS: [&str; 4] = ["plugins/clip", "plugins/convnext", "plugins/llama", "plugins/sva"];

#[test]
fn program() {
    program::run();
}

fn holdout() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inputs/models/trilobite/holdout");
    folder.canonicalize().unwrap().display().to_string()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files of a run with their bytes.
fn files(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for folder in [run.to_owned(), run.join("shapes")] {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                out.push((path.strip_prefix(run).unwrap().to_owned(), std::fs::read(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

/// Numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

/// A model here, in processes that are killed while it opens, looks, writes and stores.
#[test]
fn a_model_that_is_killed_says_what_it_would_have_said() {
    let sandbox = program::Sandbox::new(&PLUGINS);
    let line = |out: &str, more: &str| {
        format!("eval --tasks shapes --data {} --limit 16 --out {out} --threads 1 {more}", holdout())
    };
    sandbox.run(&line("whole", "--batch 1"), 0);
    let whole = files(&sandbox.path("whole"));
    let replies = lines(&sandbox.path("whole/shapes/replies.jsonl"));
    assert_eq!(replies.len(), 16);
    // As many at a time as there are, and as do not divide them.
    for batch in ["5", "16"] {
        sandbox.run(&line(batch, &format!("--batch {batch}")), 0);
        assert!(files(&sandbox.path(batch)) == whole, "batches of {batch}");
    }
    let begun = std::time::Instant::now();
    for part in ["1/2", "2/2"] {
        sandbox.run(&line("parts", &format!("--shard {part}")), 0);
    }
    let full = begun.elapsed() / 2;
    let parts = files(&sandbox.path("parts"));
    let mut joined = lines(&sandbox.path("parts/shapes/replies-1-of-2.jsonl"));
    joined.extend(lines(&sandbox.path("parts/shapes/replies-2-of-2.jsonl")));
    joined.sort_by_key(|reply| reply["index"].as_u64());
    assert_eq!(joined, replies);
    let mut dice = Dice(3);
    let mut open = vec!["1/2", "2/2"];
    let mut kills = 0;
    while !open.is_empty() {
        let spawn = |part: &&'static str| {
            let line = line("killed", &format!("--shard {part} --batch 3"));
            (*part, sandbox.spawn(&line.split_whitespace().collect::<Vec<_>>()))
        };
        let mut running: Vec<_> = open.iter().map(spawn).collect();
        for (_, child) in &mut running {
            if kills >= 8 {
                break;
            }
            std::thread::sleep(Duration::from_micros(dice.below(full.as_micros() as u64)));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
        }
        running.retain_mut(|(_, child)| !child.wait().unwrap().success());
        open = running.into_iter().map(|(part, _)| part).collect();
    }
    assert!(files(&sandbox.path("killed")) == parts, "after {kills} kills");
    let score = |run: &str| sandbox.json(&format!("score {run}"), 0)["scores"].take();
    assert_eq!(score("killed"), score("whole"));
}

/// The three commands of docs/evaluation.md, on pictures that the program draws itself.
#[test]
fn the_world_becomes_a_benchmark_and_a_model_is_judged_by_it() {
    let sandbox = program::Sandbox::new(&PLUGINS);
    sandbox.run("data synth world --test 60 --size 96 --seed 4 --only room --write coco,ade,omni3d", 0);
    let build = "cv-bench build --pictures world/test --coco world/test/coco.json --ade20k world/test \
                 --omni3d world/test/omni3d.json --out draft";
    let built = sandbox.json(build, 0);
    for (task, least) in [("Count", 60), ("Relation", 30), ("Depth", 5), ("Distance", 1)] {
        assert!(built["items"][task].as_u64().unwrap() >= least, "{built}");
    }
    sandbox.run("eval --model trilobite --tasks cv-bench --data draft --out run --max-new-tokens 4", 0);
    let scored = sandbox.json("score run", 0);
    let cv = &scored["scores"][0];
    let items = lines(&sandbox.path("draft/items.jsonl"));
    assert_eq!(cv["items"].as_u64().unwrap() as usize, items.len());
    let figure = |name: &str| {
        let figures = cv["figures"].as_array().unwrap().iter();
        figures.clone().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("no {name} in {cv}"))["value"]
            .as_f64()
            .unwrap()
    };
    let both = f64::midpoint(figure("2D"), figure("3D"));
    assert!((cv["score"]["value"].as_f64().unwrap() - both).abs() < 1e-9, "{cv}");
    assert!((figure("2D") - f64::midpoint(figure("COCO"), figure("ADE20K"))).abs() < 1e-9, "{cv}");
    // Answers follow from what was drawn: a count is that of the truth.
    let truth = lines(&sandbox.path("world/test/scenes.jsonl"));
    let mut counts = 0;
    for item in items.iter().filter(|item| item["task"] == "Count" && item["source"] == "COCO") {
        let name = item["source_filename"].as_str().unwrap();
        let scene = truth.iter().find(|scene| scene.to_string().contains(name)).unwrap();
        let things = scene["truth"]["things"].as_array().unwrap().iter();
        let class = &item["target_class"];
        let count = things.filter(|thing| thing["class"] == *class && thing["pixels"] != 0).count();
        let letter = item["answer"].as_str().unwrap().as_bytes()[1];
        assert_eq!(item["choices"][usize::from(letter - b'A')], count.to_string(), "{item}");
        counts += 1;
    }
    assert!(counts >= 3, "{counts}");
}

/// The table of the README, by the commands that stand above it.
#[test]
fn the_readme_shows_what_the_program_prints() {
    let sandbox = program::Sandbox::new(&PLUGINS);
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let mut printed = String::new();
    let commands = ["zoo eval --tasks shapes ", "zoo compare "];
    let mut ran = 0;
    let typed = readme.lines().filter_map(|line| line.strip_prefix("$ "));
    for line in typed.filter(|line| commands.iter().any(|command| line.starts_with(command))) {
        let line = line.replace("inputs/models/trilobite/holdout", &holdout());
        printed = sandbox.run(line.strip_prefix("zoo ").unwrap(), 0).out;
        ran += 1;
    }
    assert_eq!(ran, 3, "the README has lost its commands");
    let table: Vec<&str> = printed.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), 3, "{printed}");
    assert!(readme.contains(&table.join("\n")), "the README shows another table than\n{}", table.join("\n"));
}

/// What is likeliest, in place of what is written.
#[test]
fn choices_by_likelihood() {
    let sandbox = program::Sandbox::new(&PLUGINS);
    let task = r#"
name = "existence"
title = "Existence"
keep = 'type == "existence"'
prompt = "{{ question }}"
source = { files = ["questions.jsonl"] }
image = { column = "image" }
answer = { column = "answer", form = "text" }
rules = { paper = "yes-no" }
"#;
    sandbox.write("existence.toml", task);
    let line = |out: &str, more: &str| {
        format!("eval --tasks existence.toml --data {} --choices-by likelihood --out {out} {more}", holdout())
    };
    sandbox.run(&line("one", "--batch 1"), 0);
    sandbox.run(&line("several", "--batch 7"), 0);
    let text =
        |run: &str| std::fs::read_to_string(sandbox.path(run).join("existence/replies.jsonl")).unwrap();
    assert_eq!(text("one"), text("several"));
    let replies = lines(&sandbox.path("one/existence/replies.jsonl"));
    assert!(replies.len() > 10);
    for reply in &replies {
        let choices = reply["choices"].as_array().unwrap();
        let best = choices.iter().max_by(|a, b| a[1].as_f64().unwrap().total_cmp(&b[1].as_f64().unwrap()));
        assert_eq!(reply["reply"], best.unwrap()[0], "{reply}");
        assert!(choices.iter().all(|choice| choice[1].as_f64().unwrap() <= 0.0), "{reply}");
        assert_eq!(reply["finish"], "choice");
        assert!(reply.get("tokens").is_none(), "{reply}");
    }
    let scored = sandbox.json("score one", 0);
    assert_eq!(scored["scores"][0]["parsed"], 100.0);
    assert!(scored["scores"][0]["score"]["value"].as_f64().unwrap() > 60.0, "{scored}");
    // What a model that writes would say is another run.
    let other = sandbox.run(&line("one", "--blind"), 1);
    assert!(other.err.contains("the way of asking"), "{}", other.err);
    // Open questions have nothing to choose from; each says so.
    let open =
        format!("eval --tasks shapes --data {} --limit 3 --choices-by likelihood --out open", holdout());
    let said = sandbox.run(&open, 1).err;
    assert!(said.contains("neither options nor yes and no") && said.contains("questions.jsonl:1"), "{said}");
}
