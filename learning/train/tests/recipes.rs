//! Recipes that cannot be meant: what is said of them, and where.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;

use zoo_core::sdk::{InspectRequest, ObjectKind};
use zoo_core::{Precision, Spec};
use zoo_registry::{Registry, Row};
use zoo_train::{Error, Keys, PLUGINS, Recipe, Shape};

/// Published keys of a model.
const KEYS: [&str; 9] = [
    "model.mm_projector.0.weight",
    "model.mm_projector_aux_0.0.weight",
    "model.mm_projector_aux_0.3.bias",
    "model.vision_query",
    "model.vision_sampler_0.layers.0.proj_in.weight",
    "model.vision_sampler_layers.0.layers.0.proj_in.weight",
    "model.image_newline",
    "model.layers.0.mlp.up_proj.weight",
    "lm_head.weight",
];

const GOOD: &str = r#"model = "base"
out = "run"
train = ["*mm_projector*", "*vision_sampler*", "*vision_query*", "*image_newline*"]
steps = 10

[[data]]
records = "data.jsonl"

[optimizer]
rate = 1e-3

[[group]]
name = "sampler"
match = ["*vision_sampler*", "*vision_query*"]
rate = 1e-4
"#;

fn parse(text: &str) -> Result<Recipe, Error> {
    Recipe::parse("recipe.toml", text.to_owned(), Path::new("here"))
}

/// What is said of [`GOOD`] with `from` replaced by `to`.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    let recipe = parse(&GOOD.replacen(from, to, 1));
    let message = recipe
        .and_then(|recipe| recipe.assign(&Keys { model: &KEYS, ..Keys::default() }).map(|_| ()))
        .unwrap_err()
        .to_string();
    for expected in expected {
        assert!(message.contains(expected), "`{expected}` is not in:\n{message}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    check("steps = 10", "stepps = 10", &["recipe.toml:4:1: unknown key `stepps`", "did you mean `steps`?"]);
    check("steps = 10\n", "", &["does not say how long", "write `steps` or `epochs`"]);
    check("steps = 10", "steps = 10\nepochs = 1", &["recipe.toml:5:10", "both say how long"]);
    check("steps = 10", "steps = 0", &["recipe.toml:4:9: nothing is trained in 0"]);
    check("rate = 1e-3", "rate = -1e-3", &["recipe.toml:10:8: a rate is a number that is not negative"]);
    check("[optimizer]", "[batch]\nsize = 0\n\n[optimizer]", &["recipe.toml:10:8: a batch has at least one"]);
    check("[optimizer]", "[schedule]\nshape = \"cosin\"\n\n[optimizer]", &["did you mean `cosine`?"]);
    check(
        "[optimizer]",
        "[schedule]\nwarmup = 3\n\n[optimizer]",
        &["recipe.toml:10:10: `warmup` is a share"],
    );
    check("records =", "record =", &["recipe.toml:7:1: unknown key `record`", "did you mean `records`?"]);
    check("name = \"sampler\"", "name = \"base\"", &["`base` is everything without a group"]);
    check(
        "records = \"data.jsonl\"",
        "records = \"data.jsonl\"\nweight = -1.0",
        &["recipe.toml:8:10: `weight` says"],
    );
    check(
        "records = \"data.jsonl\"",
        "records = \"data.jsonl\"\nweight = 0.0",
        &["recipe.toml:8:10: all sources have weight 0"],
    );
    check("[optimizer]", "[stop]\ntimes = -2.0\n\n[optimizer]", &["recipe.toml:10:9: `times` is a number"]);
    check("[optimizer]", "[batch]\nlong = \"drop\"\n\n[optimizer]", &["`cut`", "`leave_out`"]);
    check(
        "steps = 10",
        "steps = 10\nlora = { rank = 0 }",
        &["recipe.toml:5:17: a difference of rank 0 is none"],
    );
    check("steps = 10", "steps = 10\nlora = { dropout = 1.0 }", &["recipe.toml:5:20: `dropout` is a share"]);
    check(
        "steps = 10",
        "steps = 10\nlora = { ranc = 4 }",
        &["recipe.toml:5:10: unknown key `ranc`", "`rank`"],
    );
    check(
        "steps = 10",
        "steps = 10\nfeatures = \"seen\"\nunfreeze = [\"*\"]",
        &["recipe.toml:6:13: what encoders see is kept", "leave out one of the two"],
    );
}

#[test]
fn patterns_that_match_nothing_or_twice_are_refused() {
    check(
        "*mm_projector*",
        "*mm_projektor*",
        &[
            "recipe.toml:3:10: no tensor of this model is called `*mm_projektor*`",
            "keys are such as `model.mm_projector.0.weight`",
        ],
    );
    check("*mm_projector*", "model.vision_quer", &["did you mean `model.vision_query`?"]);
    let second = "rate = 1e-4\n\n[[group]]\nname = \"query\"\nmatch = [\"*query\"]\nrate = 1e-5";
    check(
        "rate = 1e-4",
        second,
        &["recipe.toml:19:10: `model.vision_query` is in group `sampler` and in group `query`"],
    );
    check("steps = 10", "steps = 10\nfreeze = [\"*\"]", &["everything that `train` names is frozen again"]);
    check(
        "steps = 10",
        "steps = 10\nunfreeze = [\"*x*\"]",
        &["recipe.toml:5:13: no tensor of this model is called `*x*`"],
    );
    // Everything that is wrong is said at once.
    check("*mm_projector*\", \"*vision_sampler*", "x*\", \"y*", &["called `x*`", "called `y*`"]);
}

/// Matrices that get a low-rank difference, and what is wrong with asking for them.
#[test]
fn low_rank_differences_go_to_matrices_of_the_language_model() {
    let llm =
        ["model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight", "lm_head.weight"];
    let targets = |line: &str| {
        let recipe = parse(&GOOD.replace("steps = 10", &format!("steps = 10\n{line}"))).unwrap();
        recipe.targets(&llm).map(|keys| keys.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(targets("").unwrap(), [""; 0]);
    assert_eq!(targets("lora = {}").unwrap(), llm[..2]);
    assert_eq!(targets("lora = { targets = [\"lm_head*\"] }").unwrap(), llm[2..]);
    let message = |line: &str| targets(line).unwrap_err().to_string();
    let found = message("lora = { targets = [\"*gate*\"] }");
    assert!(
        found.contains("recipe.toml:5:21: no matrix of the language model is called `*gate*`"),
        "{found}"
    );
    let both =
        GOOD.replace("[\"*mm_projector*\"", "[\"*up_proj*\"").replace("steps = 10", "steps = 10\nlora = {}");
    let found = parse(&both).unwrap().targets(&llm).unwrap_err().to_string();
    assert!(
        found.contains("recipe.toml:3:9: `model.layers.0.mlp.up_proj.weight` is trained as a whole"),
        "{found}"
    );
}

/// The recipes of the paper's study of encoders: what learns at which rate.
#[test]
fn recipes_of_the_study_are_the_papers() {
    let model = ["model.mm_projector.0.weight", "model.layers.0.mlp.up_proj.weight", "lm_head.weight"];
    let encoders = ["model.vision_tower_aux_list.0.vision_tower.vision_model.post_layernorm.weight"];
    for (name, projector, llm, encoder) in [
        ("adapter-0.5m", 1e-3, None, None),
        ("adapter-1.2m", 1e-3, None, None),
        ("tune-0m", 2e-5, Some(2e-5), None),
        ("tune-0.5m", 2e-5, Some(2e-5), None),
        ("tune-1.2m", 2e-5, Some(2e-5), None),
        ("tune-1.2m-unfrozen", 2e-5, Some(2e-5), Some(1e-5)),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("recipes/study-{name}.toml"));
        let recipe = Recipe::open(&path).unwrap_or_else(|e| panic!("{e}"));
        let encoders = if recipe.plan.unfreeze.is_empty() { &[][..] } else { &encoders };
        let assigned = recipe.assign(&Keys { model: &model, encoders, adapters: &[] }).unwrap();
        let rate = |key: &str| assigned.trained.get(key).map(|&group| assigned.groups[group].rate);
        assert_eq!(rate(model[0]), Some(projector), "{name}");
        assert_eq!([rate(model[1]), rate(model[2])], [llm; 2], "{name}");
        assert_eq!(encoders.first().and_then(|key| rate(key)), encoder, "{name}");
        assert_eq!((recipe.samples_per_step(), recipe.plan.optimizer.weight_decay), (512, 0.0), "{name}");
    }
}

/// The groups of the reference's stage 1, by its own rule: `vision_sampler` or `vision_query` in the name.
#[test]
fn groups_are_those_of_the_reference() {
    let assigned = parse(GOOD).unwrap().assign(&Keys { model: &KEYS, ..Keys::default() }).unwrap();
    for key in KEYS {
        let expected = match key {
            _ if key.contains("vision_sampler") || key.contains("vision_query") => Some(1e-4),
            _ if key.contains("mm_projector") || key.contains("image_newline") => Some(1e-3),
            _ => None,
        };
        assert_eq!(assigned.trained.get(key).map(|&group| assigned.groups[group].rate), expected, "{key}");
    }
}

/// All of it at once, before anything is opened.
#[test]
fn data_that_are_not_there_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.jsonl"), "{}").unwrap();
    let look = |row: &str| {
        let text = GOOD.replace("records = \"data.jsonl\"", row);
        Recipe::parse("recipe.toml", text, folder.path()).unwrap().look().map_err(|e| e.to_string())
    };
    assert_eq!(look("records = \"data.jsonl\""), Ok(()));
    assert_eq!(look("records = \".\"\nimages = \".\""), Ok(()));
    let message = look("records = \"deta.jsonl\"\nimages = \"photos\"").unwrap_err();
    for expected in
        ["recipe.toml:7:11: there are no records `", "recipe.toml:8:10: there is no folder of images `"]
    {
        assert!(message.contains(expected), "{message}");
    }
    // A file is no folder.
    assert!(look("records = \"data.jsonl\"\nimages = \"data.jsonl\"").unwrap_err().contains(":8:10: "));
}

#[test]
fn paths_count_from_the_recipe() {
    let plan = parse(GOOD).unwrap().plan;
    assert_eq!(plan.out, Path::new("here/run"));
    assert_eq!(plan.data[0].records.get_ref(), Path::new("here/data.jsonl"));
    // Beside the recipe if it is there, else a name of the registry.
    assert_eq!(plan.model.get_ref(), "base");
}

/// The published keys of a row of the registry.
fn keys<R: Row>(row: &R, kind: ObjectKind, arch: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let (plugin, architecture) = row.plugin().unwrap();
    let plugin = PLUGINS.iter().find(|p| p.name == plugin).unwrap();
    let spec = Spec {
        id: row.id().to_owned(),
        architecture: architecture.to_owned(),
        arch: arch.clone(),
        precision: Precision::F32,
    };
    let found =
        plugin.inspect(kind, &InspectRequest { spec, layout: None, dims: None, vectors: false }).unwrap();
    found.tensors.into_iter().map(|tensor| tensor.key).collect()
}

/// The recipes of the released models, on all tensors of these models: what is trained, at which rates, in which batches.
/// Counts are those of the released checkpoints.
#[test]
fn recipes_of_the_released_models_are_the_papers() {
    let registry = Registry::shipped().unwrap();
    for (model, llm, connector, whole, batch, rate) in [
        ("cambrian-8b", "llama-3-8b-instruct", 485, 776, 512, 4e-5),
        ("cambrian-13b", "vicuna-13b-v1.5", 485, 848, 512, 4e-5),
        ("cambrian-34b", "nous-hermes-2-yi-34b", 450, 993, 1024, 2e-5),
        ("cambrian-phi3-3b", "phi-3-mini-4k-instruct", 485, 680, 512, 4e-5),
    ] {
        let row = registry.connector(&format!("{model}-sva")).unwrap();
        let mut all = keys(row, ObjectKind::Connector, &row.arch);
        let row = registry.llm(llm).unwrap();
        all.extend(keys(row, ObjectKind::Llm, &row.arch));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        for (stage, count) in [(1, connector), (2, whole)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
            let recipe =
                Recipe::open(&folder.join(format!("{model}-{stage}.toml"))).unwrap_or_else(|e| panic!("{e}"));
            let assigned =
                recipe.assign(&Keys { model: &all, ..Keys::default() }).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(assigned.trained.len(), count, "{model} {stage}");
            assert_eq!(recipe.samples_per_step(), batch, "{model} {stage}");
            assert_eq!(recipe.plan.schedule.shape, Shape::Cosine);
            for (key, &group) in &assigned.trained {
                let sampler = key.contains("vision_sampler") || key.contains("vision_query");
                let expected = match stage {
                    1 if sampler => 1e-4,
                    1 => 1e-3,
                    _ => rate,
                };
                assert_eq!(assigned.groups[group].rate, expected, "{model} {stage} {key}");
            }
        }
    }
}
