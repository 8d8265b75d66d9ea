//! A study from nothing to its report: a drawn world, a language model that learns to read, two encoders that are brought up, an
//! ensemble, two connectors, one and two stages, encoders that learn along; stopped, done in parts, and not done twice.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use zoo_core::Precision;
use zoo_host::{Folders, HostError, Options, Zoo};
use zoo_study::{Ended, Error, Kind, Part, Stage, Study, Verdict, Watch, bill, go, report};

const UPBRINGING: &str = r#"
out = "unused"
objective = "OBJECTIVE"
steps = 3
batch = 4
[world]
seed = 1
scenes = 12
kinds = ["flat"]
[optimizer]
rate = 1e-3
[encoder]
id = "OBJECTIVE"
description = "A test"
plugin = "timm-vit"
architecture = "timm-vit"
arch = { embed_dim = 16, depth = 1, num_heads = 2, mlp_dim = 32, patch_size = 8, image_size = 48 }
supervision = "class_label"
licence = "MIT OR Apache-2.0"
resolution = 48
stride = 8
channels = 16
select = { layers = [-1], norm = true }
preprocess = { pad = [122, 116, 104], normalise = "half" }
"#;

const STUDY: &str = r#"
title = "A small study"
about = "As small as a study can be."
out = "out"

[world]
seed = 3
size = 64
train = 24
test = 6
kinds = ["flat"]

[base]
model = "MODEL"
template = "mistral_v2"
new = true
[base.stage]
recipe = { batch = { size = 4 }, optimizer = { rate = 1e-3 }, max_length = 128 }
data = { name = "text", records = "world:train/captions.jsonl", samples = 8 }

[[encoder]]
id = "labels"
group = "class labels"
tokens = 36
recipe = "labels.toml"

[[encoder]]
id = "segments"
group = "segmentation"
tokens = 36
recipe = "segments.toml"

[[ensemble]]
id = "both"
members = ["labels", "segments"]

[[connector]]
id = "sva"
train = ["*mm_projector*", "*vision_sampler*", "*vision_query*", "*image_newline*", "*pos_emb*"]
config = { mm_projector_type = "sva", vision_hidden_size = 64, image_token_len = 9, query_num_list = [9], connector_depth = 1, connector_only = true }

[[connector]]
id = "mlp"
train = ["*mm_projector*"]
config = { mm_projector_type = "mlp2x_gelu" }

[adapter]
recipe = { batch = { size = 4 }, optimizer = { rate = 1e-3 }, checkpoints = { every = 1 } }
seconds_per_step = 0.5
[[adapter.data]]
name = "0"
[[adapter.data]]
name = "1"
records = "world:train/captions.jsonl"
images = "world:train"
samples = 8

[tune]
recipe = { batch = { size = 4 }, optimizer = { rate = 1e-3 }, max_length = 160 }
unfrozen = { group = [{ name = "encoder", match = ["*vision_tower*"], rate = 1e-4 }] }
[[tune.data]]
name = "all"
records = "world:train/instruct.jsonl"
images = "world:train"
samples = 8

[[grid]]
connector = ["sva"]
seeds = [1, 2]

[[grid]]
eyes = ["labels"]
connector = ["sva"]
adapter = ["1"]
frozen = [false]
seeds = [1, 2]

[[grid]]
eyes = ["both"]
connector = ["mlp"]
adapter = ["1"]
seeds = [1, 2]

[[task]]
task = "world:test/world-short.toml"
data = "world:test"
by = "kind"
groups = { General = ["existence", "color", "shape", "size"], "Vision-Centric" = ["count", "relation"] }
limit = 8

[[finding]]
says = "Two stages are better than one"
where = "section 3.2"
better = { adapter = "1" }
than = { adapter = "0" }

[[finding]]
says = "Nothing is like itself"
better = { eyes = "labels", frozen = false }
than = { eyes = "segments", frozen = true }
on = ["Vision-Centric"]
"#;

/// A study in a folder of its own.
fn study(folder: &Path, from: &str, to: &str) -> Result<Study, Error> {
    for objective in ["labels", "segments"] {
        std::fs::write(folder.join(format!("{objective}.toml")), UPBRINGING.replace("OBJECTIVE", objective))
            .unwrap();
    }
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies/base");
    assert!(STUDY.contains(from), "{from}");
    let text = STUDY.replace("MODEL", &model.display().to_string()).replace(from, to);
    Study::parse("study.toml", text, folder)
}

/// Nothing but what is linked.
fn open(folder: &Path) -> impl Fn(Precision, &[PathBuf]) -> Result<Zoo, HostError> {
    let folder = folder.to_owned();
    move |precision, registries| {
        let own = |name: &str| folder.join(name);
        let folders = Folders { config: own("config"), data: own("data"), cache: own("cache") };
        let registries = registries.to_vec();
        let zoo =
            Zoo::open_in(Options { registries, offline: true, precision, ..Options::default() }, folders)?;
        Ok(zoo.with_linked(zoo_train::PLUGINS).with_linked(zoo_pretrain::PLUGINS))
    }
}

/// Counts stages, and stops in the middle of the first one of some kind.
#[derive(Default)]
struct Counting<'a> {
    begun: BTreeMap<Kind, usize>,
    stop: Option<(Kind, &'a AtomicBool)>,
}

impl zoo_train::Watch for Counting<'_> {
    fn step(&mut self, _: &zoo_train::Step) {}
}

impl Watch for Counting<'_> {
    fn begins(&mut self, stage: &Stage, _: usize, _: usize, _: usize) {
        *self.begun.entry(stage.kind).or_default() += 1;
        if let Some((kind, stop)) = &self.stop {
            stop.store(stage.kind == *kind, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_study_is_done_once_and_reported() {
    let home = tempfile::tempdir().unwrap();
    let study = study(home.path(), "title", "title").unwrap();
    let open = open(home.path());

    // The bill: what is shared is counted once.
    let before = bill(&study);
    let count = |kind| before.lines.iter().find(|line| line.kind == kind).map_or(0, |line| line.stages);
    assert_eq!(before.runs, 16);
    // Reading is learnt once. Adapter stages: three eyes with one connector and two seeds, and both eyes with the other one. Tuning: once for
    // each run. What begins all of it: one world, two upbringings, four models.
    let stages =
        [Kind::World, Kind::Upbringing, Kind::Language, Kind::Start, Kind::Adapter, Kind::Tune, Kind::Judge]
            .map(count);
    assert_eq!(stages, [1, 2, 1, 4, 8, 16, 16]);
    assert_eq!(before.steps(), 2 * 3 + 2 + 8 * 2 + 16 * 2);
    let adapter = before.lines.iter().find(|line| line.kind == Kind::Adapter).unwrap();
    assert_eq!((adapter.steps, adapter.measured), (16, false));
    assert!((adapter.hours.unwrap() - 16.0 * 0.5 / 3600.0).abs() < 1e-12 && before.hours().is_none());
    assert!(before.missing.is_empty(), "{:?}", before.missing);

    // Stopped in an adapter stage, then done in two parts.
    let stop = AtomicBool::new(false);
    let mut watch = Counting { stop: Some((Kind::Adapter, &stop)), ..Counting::default() };
    assert_eq!(go(&study, Part::WHOLE, &open, &mut watch, &stop).unwrap(), Ended::Stopped);
    assert_eq!(watch.begun.get(&Kind::Adapter), Some(&1));
    assert!(!watch.begun.contains_key(&Kind::Tune) || watch.begun[&Kind::Tune] <= 1);
    let never = AtomicBool::new(false);
    let mut begun: BTreeMap<Kind, usize> = BTreeMap::new();
    for part in ["1/2", "2/2"] {
        let mut watch = Counting::default();
        let part = Part::parse(part).unwrap();
        assert_eq!(go(&study, part, &open, &mut watch, &never).unwrap(), Ended::Finished);
        watch.begun.into_iter().for_each(|(kind, count)| *begun.entry(kind).or_default() += count);
    }
    assert_eq!((begun[&Kind::Adapter], begun.get(&Kind::World)), (8, None), "{begun:?}");
    let mut watch = Counting::default();
    assert_eq!(go(&study, Part::WHOLE, &open, &mut watch, &never).unwrap(), Ended::Finished);
    assert!(watch.begun.is_empty(), "{:?}", watch.begun);
    let after = bill(&study);
    assert_eq!((after.steps(), after.hours()), (0, Some(0.0)));

    // The report.
    let found = report(&study).unwrap();
    assert_eq!(found.runs, (16, 16));
    assert!(found.table.rows.iter().any(|row| row.blind) && found.table.rows.iter().any(|row| !row.blind));
    assert_eq!(found.csv().lines().count(), found.table.rows.len() + 1);
    let one = found.findings[0].difference.unwrap();
    assert_eq!(one.seeds, 2);
    assert_eq!(found.findings[0].verdict, Verdict::of(Some(one)));
    let headings: Vec<&str> = found.sections.iter().map(|(heading, _)| heading.as_str()).collect();
    for expected in ["eyes", "together", "One stage or two", "learn along", "Connectors", "needs the picture"]
    {
        assert!(headings.iter().any(|heading| heading.contains(expected)), "{expected}: {headings:?}");
    }
    let (html, markdown) = (found.html(), found.markdown());
    assert!(html.contains("<svg") && html.contains("Two stages are better") && !html.contains("src="));
    assert!(markdown.contains("| Two stages are better than one | section 3.2 |"), "{markdown}");
    // For whoever wants to look at it.
    if let Ok(folder) = std::env::var("ZOO_KEEP") {
        std::fs::write(Path::new(&folder).join("report.html"), html).unwrap();
    }
}

#[test]
fn wrong_studies_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for (from, to, said) in [
        ("title = ", "titel = ", "titel"),
        (
            "members = [\"labels\", \"segments\"]",
            "members = [\"label\"]",
            "no encoder of this study is called `label`",
        ),
        ("eyes = [\"both\"]", "eyes = [\"boths\"]", "no encoder or ensemble of this study is called `boths`"),
        ("connector = [\"mlp\"]", "connector = [\"mpl\"]", "no connector of this study is called `mpl`"),
        ("id = \"both\"", "id = \"labels\"", "two are called `labels`"),
        ("samples = 8\n\n[tune]", "\n[tune]", "`samples` says how many"),
        ("by = \"kind\"", "group = \"General\"\nby = \"kind\"", "a task has a `group`, or"),
        (
            "better = { adapter = \"1\" }",
            "better = { adaptor = \"1\" }",
            "`adaptor` is nothing that runs differ in",
        ),
        ("recipe = \"labels.toml\"", "recipe = \"segments.toml\"", "the recipe makes `segments`"),
        ("recipe = \"labels.toml\"", "recipe = \"none.toml\"", "none.toml"),
        (
            "[world]\nseed = 3\nsize = 64\ntrain = 24\ntest = 6\nkinds = [\"flat\"]\n",
            "",
            "there is no `[world]`",
        ),
    ] {
        let error = study(home.path(), from, to).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
    assert!(Part::parse("3/2").unwrap_err().contains("I/N"));
    assert!(Part::parse("0/2").is_err() && Part::parse("x").is_err() && Part::parse("2/2").is_ok());
}

#[test]
fn shipped_studies_have_a_bill() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies");
    for (name, runs, upbringings, tuned) in [("cambrian-mini", 105, 8, 105), ("cambrian-1", 66, 0, 66)] {
        let study =
            Study::open(&folder.join(format!("{name}.toml"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        let bill = bill(&study);
        let count = |kind| bill.lines.iter().find(|line| line.kind == kind).map_or(0, |line| line.stages);
        assert_eq!(
            (bill.runs, count(Kind::Upbringing), count(Kind::Tune)),
            (runs, upbringings, tuned),
            "{name}: {bill:?}"
        );
        assert!(bill.unshared > 2 * bill.lines.iter().map(|line| line.stages).sum::<usize>() / 3, "{name}");
        // What the world does not draw, its user has to bring.
        assert_eq!(bill.missing.is_empty(), name == "cambrian-mini", "{name}: {:?}", bill.missing);
    }
}
