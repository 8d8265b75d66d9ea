//! One file over another.

use zoo_registry::{Kind, Layer, Registry, Row};

const GOOD: &str = include_str!("messages/good.toml");

const EYE: &str = r#"version = 1
[[encoder]]
id = "eye"
description = "A sharper eye"
plugin = "optics"
architecture = "lens"
supervision = "language"
licence = "MIT"
resolution = 112
stride = 28
channels = 32
select = { layers = [-1], norm = true }
preprocess = { pad = [0, 0, 0], normalise = "half" }
weights = { seed = 2 }
"#;

fn load(layers: &[(&str, &str)]) -> Result<Registry, String> {
    let layers: Vec<_> = layers.iter().map(|(name, text)| Layer::new(*name, *text)).collect();
    Registry::load(&layers).map_err(|error| error.to_string())
}

#[test]
fn a_row_replaces_the_whole_row_of_its_id_in_its_place() {
    let registry = load(&[("a.toml", GOOD), ("b.toml", EYE)]).unwrap();
    let ids: Vec<_> = registry.encoders().map(Row::id).collect();
    assert_eq!(ids, ["eye", "fly"]);
    let eye = registry.encoder("eye").unwrap();
    assert_eq!(eye.description, "A sharper eye");
    assert!(eye.aliases.is_empty(), "the aliases of the row below are gone with it");
    let origin = registry.origin(Kind::Encoder, "eye").unwrap();
    assert_eq!((origin.file.as_str(), origin.line), ("b.toml", 2));
    assert_eq!(registry.origin(Kind::Encoder, "fly").unwrap().file, "a.toml");
    assert_eq!(registry.origin(Kind::Connector, "fly"), None);
}

#[test]
fn a_new_row_is_added_at_the_end() {
    let eagle = EYE.replace("\"eye\"", "\"eagle\"");
    let registry = load(&[("a.toml", GOOD), ("b.toml", &eagle)]).unwrap();
    let ids: Vec<_> = registry.encoders().map(Row::id).collect();
    assert_eq!(ids, ["eye", "fly", "eagle"]);
}

#[test]
fn rows_are_checked_against_the_rows_that_are_left() {
    let blunt = EYE.replace("channels = 32", "channels = 31");
    let error = load(&[("a.toml", GOOD), ("b.toml", &blunt)]).unwrap_err();
    assert!(
        error.starts_with("a.toml:43:24: `eye` gives 31 channels here, but `nerve` expects 32"),
        "{error}"
    );
}

#[test]
fn a_name_of_another_row_cannot_be_taken() {
    let thief =
        EYE.replace("\"eye\"", "\"thief\"").replace("resolution", "aliases = [\"study/EYE\"]\nresolution");
    let error = load(&[("a.toml", GOOD), ("b.toml", &thief)]).unwrap_err();
    assert!(error.starts_with("b.toml:9:12: the name `study/EYE` stands at a.toml:11 already"), "{error}");
}

#[test]
fn mistakes_of_all_files_are_reported_at_once() {
    let first = GOOD.replace("channels = 32", "chanels = 32");
    let second = EYE.replace("stride = 28", "stride = 0");
    let error = load(&[("a.toml", &first), ("b.toml", &second)]).unwrap_err();
    assert!(error.contains("a.toml:14:1: unknown key `chanels`"), "{error}");
    assert!(error.contains("b.toml:10:10: `stride` lies between 1 and 4294967295"), "{error}");
}

#[test]
fn a_row_that_is_replaced_must_be_right_all_the_same() {
    let first = GOOD.replace("channels = 32", "chanels = 32");
    assert!(load(&[("a.toml", &first), ("b.toml", EYE)]).is_err());
}

#[test]
fn rows_that_are_written_out_read_back_the_same() {
    #[derive(serde::Serialize)]
    struct File<'a> {
        version: u32,
        encoder: Vec<&'a zoo_registry::EncoderRow>,
        connector: Vec<&'a zoo_registry::ConnectorRow>,
        ensemble: Vec<&'a zoo_registry::EnsembleRow>,
        llm: Vec<&'a zoo_registry::LlmRow>,
        model: Vec<&'a zoo_registry::ModelRow>,
    }
    for layer in [Layer::shipped(), Layer::new("good.toml", GOOD)] {
        let one = Registry::load(&[layer]).unwrap();
        let text = toml::to_string(&File {
            version: 1,
            encoder: one.encoders().collect(),
            connector: one.connectors().collect(),
            ensemble: one.ensembles().collect(),
            llm: one.llms().collect(),
            model: one.models().collect(),
        })
        .unwrap();
        let two = Registry::parse(&text, "again.toml").unwrap_or_else(|error| panic!("{error}"));
        assert!(one.encoders().eq(two.encoders()));
        assert!(one.connectors().eq(two.connectors()));
        assert!(one.ensembles().eq(two.ensembles()));
        assert!(one.llms().eq(two.llms()));
        assert!(one.models().eq(two.models()));
    }
}
