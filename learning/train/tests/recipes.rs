//! Recipes that cannot be meant: what is said of them, and where.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;

use zoo_train::{Error, Recipe};

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
    let message = recipe.and_then(|recipe| recipe.assign(&KEYS).map(|_| ())).unwrap_err().to_string();
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
    // Everything that is wrong is said at once.
    check("*mm_projector*\", \"*vision_sampler*", "x*\", \"y*", &["called `x*`", "called `y*`"]);
}

/// The groups of the reference's stage 1, by its own rule: `vision_sampler` or `vision_query` in the name.
#[test]
fn groups_are_those_of_the_reference() {
    let assigned = parse(GOOD).unwrap().assign(&KEYS).unwrap();
    for key in KEYS {
        let expected = match key {
            _ if key.contains("vision_sampler") || key.contains("vision_query") => Some(1e-4),
            _ if key.contains("mm_projector") || key.contains("image_newline") => Some(1e-3),
            _ => None,
        };
        assert_eq!(assigned.trained.get(key).map(|&group| assigned.groups[group].rate), expected, "{key}");
    }
}

#[test]
fn paths_count_from_the_recipe() {
    let plan = parse(GOOD).unwrap().plan;
    assert_eq!(plan.out, Path::new("here/run"));
    assert_eq!(plan.data[0].records, Path::new("here/data.jsonl"));
    // Beside the recipe if it is there, else a name of the registry.
    assert_eq!(plan.model.get_ref(), "base");
}
