//! What README and ARCHITECTURE count is counted again here, from the code and the registry.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A file's text, with line breaks as the blanks that they mean.
fn prose(file: &str) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(file: &str, sentence: &str) {
    assert!(prose(file).contains(sentence), "{file} does not say: {sentence}");
}

/// Ids of the rows of one kind in `registry.toml`.
fn rows(kind: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("registry.toml")).unwrap();
    let registry: toml::Table = text.parse().unwrap();
    registry[kind].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The backbones that Cambrian-1 compares (arXiv 2406.16860, appendix F.1), by the names that rows have or would have.
/// Several sizes of one row are several backbones.
const BACKBONES: [&str; 23] = [
    "clip-vit-l-14-336",
    "dfn-clip-vit-l-14-224",
    "dfn-clip-vit-h-14-378",
    "eva02-clip-vit-l-14-336",
    "siglip-vit-l-16-384",
    "siglip-so400m-14-384",
    "openclip-convnext-l@512",
    "openclip-convnext-l@1024",
    "openclip-convnext-xxl@1024",
    "dinov2-vit-l-14@336",
    "dinov2-vit-l-14@518",
    "moco-v3-vit-b-16",
    "moco-v3-vit-l-16",
    "mae-vit-l-16",
    "mae-vit-h-14",
    "ijepa-vit-h-14",
    "sam-vit-l-16",
    "sam-vit-h-16",
    "midas-dpt-large-384",
    "midas-dpt-beit-large-512",
    "sd-2.1",
    "supvit-l-16-in21k",
    "supvit-h-14-in21k",
];

#[test]
fn readme_counts_the_backbones_of_the_paper() {
    let rows = rows("encoder");
    let there = BACKBONES.iter().filter(|name| rows.contains(name.split('@').next().unwrap())).count();
    says("README.md", &format!("Of the paper's {} vision backbones, {there} have a plugin", BACKBONES.len()));
}

/// The table "What is in the house" has every plugin, and no other.
#[test]
fn readme_names_every_plugin() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let house = text.split("## What is in the house").nth(1).unwrap();
    let table: BTreeSet<String> = house
        .lines()
        .skip_while(|line| !line.starts_with("| `"))
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| line.split('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect();
    let folders = fs::read_dir(root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let plugins = folders
        .filter(|folder| folder.join("plugin.toml").is_file())
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(table, plugins);
}

/// Methods without a body in the trait `name` of the waist.
fn required(name: &str) -> usize {
    let text = fs::read_to_string(root().join("core/src/traits.rs")).unwrap();
    let body = text.split(&format!("pub trait {name}:")).nth(1).unwrap().split("\n}").next().unwrap();
    let methods = body.split("\n    fn ").skip(1);
    methods.filter(|method| !method[..method.find(';').unwrap_or(method.len())].contains('{')).count()
}

#[test]
fn architecture_counts_required_methods() {
    let [encoder, connector, llm, text] =
        ["Encoder", "Connector", "LanguageModel", "TextTower"].map(required);
    says(
        "ARCHITECTURE.md",
        &format!(
            "Required of an `Encoder` are {encoder} methods, of a `Connector` {connector}, of a `LanguageModel` {llm}, of a \
             `TextTower` {text};"
        ),
    );
}

/// Every path that ARCHITECTURE gives in code font and that begins at the root is there. The section on adding a family
/// names files of a folder that is yet to be.
#[test]
fn architecture_names_what_exists() {
    let text = prose("ARCHITECTURE.md");
    let (before, after) = text.split_once("## Adding a family").unwrap();
    let after = after.split_once("## Tests").unwrap().1;
    let from_root = |code: &&str| {
        let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        plain && code.split_once('/').is_some_and(|(folder, _)| root().join(folder).is_dir())
    };
    let paths: Vec<&str> = [before, after]
        .into_iter()
        .flat_map(|text| text.split('`').skip(1).step_by(2).filter(from_root))
        .collect();
    let missing: Vec<&&str> =
        paths.iter().filter(|path| !path.starts_with("target/") && !root().join(path).exists()).collect();
    assert!(paths.len() > 20 && missing.is_empty(), "ARCHITECTURE.md names {missing:?} (of {})", paths.len());
}

/// `zoo` runs the commands of `zoo-learn`, so it has to name each of them as that one does.
#[test]
fn the_program_names_the_commands_of_the_other() {
    use clap::CommandFactory;
    let zoo = zoo::Cli::command();
    let others =
        [zoo_learn::Cli::command(), zoo_extract::args::Cli::command(), zoo_serve::args::Cli::command()];
    for command in others.iter().flat_map(clap::Command::get_subcommands) {
        let named = zoo.find_subcommand(command.get_name());
        let named = named.unwrap_or_else(|| panic!("`zoo` does not know `{}`", command.get_name()));
        assert_eq!(named.get_about().map(ToString::to_string), command.get_about().map(ToString::to_string));
    }
}
