//! Training, from a recipe to a model folder: steps beside torch's, runs that were cut off, models from nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

mod parts;
mod processes;
mod runs;
mod tables;
mod torch;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use zoo_core::Precision;
use zoo_host::Zoo;
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
/// And in its second.
const EVERYTHING: &str = r#"["*"]"#;

fn run(recipe: &str, folder: &Path) -> Run {
    begin(recipe, folder, Begin::Anew).unwrap_or_else(|e| panic!("{e}"))
}

fn begin(recipe: &str, folder: &Path, begin: Begin) -> zoo_train::Result<Run> {
    let recipe = Recipe::parse("recipe.toml", recipe.to_owned(), folder)?;
    Run::new(&zoo(recipe.plan.precision), &recipe, begin)
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

/// All files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read =
        |path: std::path::PathBuf| (path.file_name().unwrap().display().to_string(), fs::read(path).unwrap());
    entries.filter(|path| path.is_file()).map(read).collect()
}
