//! Rows that come with plugins: what is wrong with them is no reason to stop.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use zoo_registry::{Kind, Layer, LookupError, Registry, Row};

const GOOD: &str = include_str!("messages/good.toml");

/// A manifest with these rows.
fn manifest(rows: &str) -> Layer {
    let text = format!("name = \"optics\"\nabi = 1\n\n[registry]\nversion = 1\n\n{rows}");
    Layer::manifest("optics.plugin.toml", text)
}

fn encoder(id: &str, more: &str) -> String {
    format!(
        "[[registry.encoder]]\nid = \"{id}\"\ndescription = \"x\"\nplugin = \"optics\"\narchitecture = \"lens\"\n\
         supervision = \"language\"\nlicence = \"MIT\"\nresolution = 112\nstride = 28\nchannels = 32\n\
         select = {{ layers = [-1], norm = true }}\npreprocess = {{ pad = [0, 0, 0], normalise = \"half\" }}\n\
         weights = {{ seed = 2 }}\n{more}\n"
    )
}

fn ensemble(id: &str, member: &str) -> String {
    format!(
        "[[registry.ensemble]]\nid = \"{id}\"\ndescription = \"x\"\nmembers = [{{ encoder = \"{member}\" }}]\n"
    )
}

fn load(rows: &str) -> Registry {
    Registry::load(&[Layer::new("good.toml", GOOD), manifest(rows)]).unwrap()
}

/// What is wrong: row, line, message.
fn aside(registry: &Registry) -> Vec<(Option<&str>, usize, &str)> {
    registry
        .set_aside()
        .iter()
        .map(|p| (p.row.as_ref().map(|(_, id)| id.as_str()), p.place.line, p.message.as_str()))
        .collect()
}

#[test]
fn good_rows_are_used_and_stand_where_they_stand_in_the_manifest() {
    let registry = load(&encoder("eagle", ""));
    assert_eq!(aside(&registry), []);
    let origin = registry.origin(Kind::Encoder, "eagle").unwrap();
    assert_eq!((origin.file.as_str(), origin.line), ("optics.plugin.toml", 7));
}

#[test]
fn a_wrong_row_is_set_aside_alone() {
    let registry = load(&[encoder("blind", "colour = 3"), encoder("eagle", "")].concat());
    assert_eq!(aside(&registry), [(Some("blind"), 20, "unknown key `colour`")]);
    assert!(registry.encoder("eagle").is_ok() && registry.encoder("fly").is_ok());
    let error = registry.select("blind").unwrap_err();
    assert!(matches!(error, LookupError::SetAside { .. }), "{error:?}");
    let message = error.to_string();
    for part in ["encoder `blind` cannot be used", "optics.plugin.toml:20", "unknown key `colour`"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn so_are_the_rows_that_need_it() {
    let rows = [encoder("blind", "").replace("stride = 28", "stride = 0"), ensemble("pair", "blind")];
    let registry = load(&rows.concat());
    let wrong: Vec<_> = aside(&registry).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(wrong, [Some("blind"), Some("pair")]);
    let message = registry.ensemble("pair").unwrap_err().to_string();
    assert!(message.contains("encoder `blind` cannot be used"), "{message}");
}

#[test]
fn a_name_that_is_taken_is_left_to_its_owner() {
    let registry = load(&encoder("eagle", "aliases = [\"fly\"]"));
    let [(Some("eagle"), 20, message)] = aside(&registry)[..] else { panic!("{:?}", aside(&registry)) };
    assert!(message.contains("`fly` stands at good.toml:"), "{message}");
    assert_eq!(registry.encoder("fly").unwrap().id(), "fly");
}

#[test]
fn a_wrong_row_leaves_the_row_that_it_would_replace() {
    let registry = load(&encoder("fly", "colour = 3"));
    assert_eq!(registry.origin(Kind::Encoder, "fly").unwrap().file, "good.toml");
    assert_eq!(aside(&registry).len(), 1);
}

#[test]
fn nothing_is_taken_from_rows_of_another_version() {
    let rows = encoder("eagle", "");
    let Layer { name, text, .. } = manifest(&rows);
    let newer = Layer::manifest(name, text.replace("version = 1", "version = 2"));
    let registry = Registry::load(&[Layer::new("good.toml", GOOD), newer]).unwrap();
    assert!(registry.encoder("eagle").is_err());
    let [(None, 5, message)] = aside(&registry)[..] else { panic!("{:?}", aside(&registry)) };
    assert!(message.contains("version 2"), "{message}");
}

#[test]
fn what_its_user_wrote_must_be_right() {
    let layers = [Layer::new("good.toml", GOOD), manifest(""), Layer::new("mine.toml", "version = 2\n")];
    assert!(Registry::load(&layers).unwrap_err().to_string().contains("mine.toml:1"));
}
