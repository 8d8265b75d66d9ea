//! Plugin folders: what is said of what lies in them, which of two plugins is used, and what can be pasted.

use std::fs;
use std::path::Path;

use crate::program::Sandbox;
use crate::support::{library, sources};

/// Stages the toy into `folder` of `place`.
fn stage(place: &Sandbox, folder: &str, more: &[&str]) -> String {
    let (library, template) = (library("zoo-toy"), sources("tests/plugins/toy/plugin.toml"));
    let (library, template) = (library.display().to_string(), template.display().to_string());
    let arguments = ["plugins", "stage", &library, "--manifest", &template, "--into", folder];
    place.run_with(&[&arguments[..], more].concat(), 0).out
}

/// A place where no plugin is found but in folders that are named.
fn place() -> Sandbox {
    let mut place = Sandbox::new(&[]);
    place.plugins = place.path("none");
    fs::create_dir(&place.plugins).unwrap();
    place
}

#[track_caller]
fn warned(place: &Sandbox, line: &str, part: &str) {
    for command in ["list encoders", "info trilobite-clip", "check", "plugins list"] {
        let ran = place.run(&format!("{command} {line} --quiet"), 0);
        let count = ran.err.matches(part).count();
        assert_eq!(count, 1, "`zoo {command}` should warn once of {part:?}: {}", ran.err);
        assert!(ran.err.starts_with("warning: "), "{}", ran.err);
    }
}

#[test]
fn every_command_warns_of_folders_and_manifests_that_are_wrong() {
    let place = place();
    warned(&place, "--plugin-dir nowhere", "nowhere: there is no such folder (--plugin-dir)");
    place.write("torn/torn.plugin.toml", "name = \"torn\nversion = 3");
    warned(&place, "--plugin-dir torn", "torn.plugin.toml: TOML parse error at line 1");
    // Manifests that somebody copied instead of staging them.
    stage(&place, "staged", &[]);
    let manifest = fs::read_to_string(place.path("staged/toy.plugin.toml")).unwrap();
    place.write("alone/toy.plugin.toml", &manifest);
    warned(&place, "--plugin-dir alone", "is missing, although its manifest is there");
    let template = fs::read_to_string(sources("tests/plugins/toy/plugin.toml")).unwrap();
    for file in ["plugin.toml", "toy.plugin.toml"] {
        let folder = format!("by-hand-{}", file.len());
        place.write(&format!("{folder}/{file}"), &template);
        let advice = format!(
            "{file}: this is the author's part of a manifest; `zoo plugins stage LIBRARY --manifest "
        );
        warned(&place, &format!("--plugin-dir {folder}"), &advice);
    }
}

#[test]
fn a_folder_that_is_named_goes_before_the_others() {
    let mut place = place();
    stage(&place, "usual", &[]);
    stage(&place, "own", &[]);
    place.plugins = place.path("usual");
    let ran = place.run("plugins check toy --plugin-dir own", 0);
    let [own, usual] = ["own", "usual"]
        .map(|f| place.path(f).canonicalize().unwrap().join("toy.plugin.toml").display().to_string());
    let warning = format!("warning: plugin `toy`: {own} is used, as --plugin-dir says, and {usual} is not");
    assert_eq!(ran.err.matches(&warning).count(), 1, "{}", ran.err);
    let list = place.json("plugins list --plugin-dir own", 0);
    assert_eq!(
        (list["plugins"].as_array().unwrap().len(), &list["plugins"][0]["manifest"]),
        (1, &own.into())
    );
    // Of two that are named, neither is.
    let ran = place.run("plugins check toy --plugin-dir own --plugin-dir usual", 1);
    assert!(ran.out.contains("two plugins are called `toy`"), "{}", ran.out);
}

/// The words of a command between two marks, pasted into a shell.
fn pasted(place: &Sandbox, text: &str, start: &str, end: &str) {
    let command = text.split(start).nth(1).and_then(|rest| rest.split(end).next()).unwrap();
    let words = std::process::Command::new("sh")
        .args([
            "-c",
            &format!(
                "for word in {}; do printf '%s\\n' \"$word\"; done",
                command.strip_prefix("zoo ").unwrap()
            ),
        ])
        .output()
        .unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    place.run_with(&words.lines().collect::<Vec<_>>(), 0);
}

#[cfg(unix)]
#[test]
fn what_is_advised_can_be_pasted() {
    let place = place();
    let said = stage(&place, "my plugins", &[]);
    pasted(&place, &said, "next: ", "\n");
    // Other builds of the same plugin.
    let again = |build: &str, more: &[&str], code: i32| {
        let other = place.path("other").join(library("zoo-toy").file_name().unwrap());
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, [&fs::read(library("zoo-toy")).unwrap(), build.as_bytes()].concat()).unwrap();
        let template = sources("tests/plugins/toy/plugin.toml");
        let [other, template] = [other, template].map(|path| path.display().to_string());
        let arguments = ["plugins", "stage", &other, "--manifest", &template, "--into", "my plugins"];
        let ran = place.run_with(&[&arguments[..], more].concat(), code);
        ran.out + &ran.err
    };
    let stays = |text: &str| {
        assert!(
            text.contains("toy.plugin.toml: this file is there already; --overwrite replaces it"),
            "{text}"
        )
    };
    stays(&again("2", &[], 1));
    let said = again("2", &["--overwrite"], 0);
    assert!(
        said.contains("has changed since it was trusted") && said.contains("or stage it with --trust"),
        "{said}"
    );
    let folder = place.path("my plugins").display().to_string();
    let check = ["plugins", "check", "toy", "--plugin-dir", &folder];
    let refused = place.run_with(&check, 1).out;
    assert!(refused.contains("has changed since it was trusted"), "{refused}");
    pasted(&place, &refused, "run `", "`");
    place.run_with(&check, 0);
    let said = again("3", &["--trust", "--overwrite"], 0);
    assert!(said.contains("trusted now"), "{said}");
    pasted(&place, &said, "next: ", "\n");
}

/// A row for a plugin of the test library `zoo-bad`.
fn speaker(place: &Sandbox) {
    let row = r#"
        version = 1
        [[encoder]]
        id = "speaker"
        description = "Says something and gives nothing"
        plugin = "panics"
        architecture = "speaks"
        supervision = "language"
        licence = "MIT"
        resolution = 1
        stride = 1
        channels = 1
        select = { layers = [-1], norm = false }
        preprocess = { pad = [0, 0, 0], normalise = "none" }
        weights = { seed = 1 }
    "#;
    place.write("speaker.toml", row);
}

#[test]
fn what_a_plugin_logs_is_shown_with_its_name() {
    let place = Sandbox::new(&["tests/plugins/bad"]);
    speaker(&place);
    place.image("a.png", 4, 4);
    let line = "encode a.png --encoder speaker --registry speaker.toml --out f.npy";
    let ran = place.run(line, 1);
    assert!(ran.log.contains("warning: plugin `panics`: something to say rank=4\n"), "{}", ran.log);
    let mut place = place;
    place.environment.push(("ZOO_LOG".into(), "error".into()));
    assert!(!place.run(line, 1).log.contains("something to say"));
}

#[test]
fn a_template_that_is_not_there_is_called_what_it_is() {
    let place = place();
    let library = library("zoo-toy").display().to_string();
    let ran = place.run_with(&["plugins", "stage", &library, "--into", "x"], 1);
    assert!(
        ran.err.contains("plugin.toml: cannot read the author's part of the manifest (--manifest)"),
        "{}",
        ran.err
    );
    assert!(!Path::new(&place.path("x")).exists());
}
