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

/// The message for an encoder that is not used.
fn refused(registry: &Registry, name: &str) -> String {
    let error = registry.select(name).unwrap_err();
    assert!(matches!(error, LookupError::SetAside { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_row_takes_the_place_of_none() {
    let good = include_str!("messages/good.toml");
    for (more, line, part) in
        [("", 8, "the encoder `fly` stands at good.toml:"), ("colour = 3", 20, "unknown key `colour`")]
    {
        let registry = load(&encoder("fly", more));
        let [(Some("fly"), at, message)] = aside(&registry)[..] else { panic!("{:?}", aside(&registry)) };
        assert!(at == line && message.contains(part), "{at}: {message}");
        // What was there before means what it meant.
        let alone = Registry::parse(good, "good.toml").unwrap();
        assert_eq!(registry.encoder("fly"), alone.encoder("fly"));
        assert!(registry.ensemble("face").is_ok() && registry.model("animal").is_ok());
    }
}

#[test]
fn nor_is_it_found_by_its_other_names() {
    let registry = load(&encoder("eye", "aliases = [\"retina\"]"));
    assert!(refused(&registry, "retina").contains("the encoder `eye` stands at good.toml:"));
    for name in ["eye", "oculus", "study/eye"] {
        assert_eq!(registry.encoder(name).unwrap().plugin, "optics", "{name}");
        assert_eq!(registry.origin(Kind::Encoder, "eye").unwrap().file, "good.toml");
    }
}

#[test]
fn a_row_of_the_user_stands_whatever_is_wrong_below_it() {
    let mine = GOOD.replace("A compound eye", "My eye");
    let layers = [
        Layer::new("good.toml", GOOD),
        manifest(&encoder("fly", "colour = 3")),
        Layer::new("mine.toml", mine),
    ];
    let registry = Registry::load(&layers).unwrap();
    assert_eq!(registry.encoder("fly").unwrap().description, "My eye");
    assert!(registry.model("animal").is_ok() && aside(&registry).len() == 1);
}

#[test]
fn a_row_of_the_user_that_needs_a_wrong_one_is_set_aside_too() {
    let mine = ensemble("pair", "blind").replace("registry.", "");
    let layers = [
        Layer::new("good.toml", GOOD),
        manifest(&encoder("blind", "colour = 3")),
        Layer::new("mine.toml", format!("version = 1\n{mine}")),
    ];
    let registry = Registry::load(&layers).unwrap();
    let wrong: Vec<_> = aside(&registry).into_iter().map(|(id, line, _)| (id, line)).collect();
    assert_eq!(wrong, [(Some("blind"), 20), (Some("pair"), 5)]);
    assert!(registry.ensemble("pair").unwrap_err().to_string().contains("unknown key `colour`"));
}

#[test]
fn an_id_that_another_kind_of_row_has_is_left_to_its_owner() {
    let registry = load(&encoder("face", ""));
    let [(Some("face"), 8, message)] = aside(&registry)[..] else { panic!("{:?}", aside(&registry)) };
    assert!(message.contains("the encoder `face` stands at good.toml:"), "{message}");
    assert!(registry.ensemble("face").is_ok() && registry.model("animal").is_ok());
    assert!(refused(&registry, "face").contains("optics.plugin.toml:8"));
}

#[test]
fn an_id_that_is_an_alias_is_left_to_its_owner() {
    let registry = load(&encoder("oculus", ""));
    let [(Some("oculus"), 8, message)] = aside(&registry)[..] else { panic!("{:?}", aside(&registry)) };
    assert!(message.contains("stands at good.toml:"), "{message}");
    assert_eq!(registry.encoder("oculus").unwrap().id(), "eye");
}

#[test]
fn an_alias_that_is_the_users_id_is_left_to_the_user() {
    let mine = encoder("mine", "").replace("registry.", "");
    let layers = [
        Layer::new("good.toml", GOOD),
        manifest(&encoder("eagle", "aliases = [\"mine\"]")),
        Layer::new("mine.toml", format!("version = 1\n{mine}")),
    ];
    let registry = Registry::load(&layers).unwrap();
    assert_eq!(registry.encoder("mine").unwrap().id(), "mine");
    assert!(refused(&registry, "eagle").contains("stands at mine.toml:"));
}

#[test]
fn a_user_who_sees_the_row_of_a_plugin_has_to_fit_it() {
    let mine = "version = 1\n[[ensemble]]\nid = \"pair\"\ndescription = \"x\"\n\
                members = [{ encoder = \"eagle\" }, { encoder = \"eye\" }]\nconnector = \"nerve\"\n";
    let layers =
        [Layer::new("good.toml", GOOD), manifest(&encoder("eagle", "")), Layer::new("mine.toml", mine)];
    assert!(Registry::load(&layers).unwrap_err().to_string().contains("mine.toml:5"));
}

#[test]
fn rows_beside_one_without_an_id_are_used() {
    let nameless = encoder("x", "").replace("id = \"x\"\n", "");
    let registry = load(&[nameless, encoder("eagle", ""), "[registry.llm]\nid = 3\n".into()].concat());
    let wrong = aside(&registry);
    assert!(matches!(wrong[..], [(None, 7, "the key `id` is missing here"), (None, 34, _)]), "{wrong:?}");
    assert!(registry.encoder("eagle").is_ok() && registry.llm("brain").is_ok());
}

#[test]
fn of_two_rows_with_one_id_the_first_is_used() {
    let second = encoder("eagle", "").replace("\"x\"", "\"y\"");
    let registry = load(&[encoder("eagle", ""), second].concat());
    assert_eq!(aside(&registry).len(), 1);
    assert_eq!(registry.encoder("eagle").unwrap().description, "x");
}

#[test]
fn of_two_rows_for_one_type_the_last_is_meant() {
    let projector = |id: &str, types: &str| {
        format!(
            "[[projector]]\nid = \"{id}\"\ndescription = \"x\"\nplugin = \"optics\"\narchitecture = \"{id}\"\n\
             types = {types}\ntokens = \"equal\"\n"
        )
    };
    let own = format!("{GOOD}\n{}", projector("lens", "[\"lens{thickness}mm\", \"glass\"]"));
    let guest = projector("prism", "[\"glass\"]").replace("[[", "[[registry.");
    let registry = Registry::load(&[Layer::new("good.toml", own), manifest(&guest)]).unwrap();
    let found = |name: &str| registry.projector(name).map(|(row, number)| (row.id(), number));
    assert_eq!(found("glass"), Ok(("prism", None)));
    assert_eq!(found("lens20mm"), Ok(("lens", Some(("thickness", 20)))));
    let message = found("lensmm").unwrap_err().to_string();
    assert!(
        message.contains("no projector for connectors of type `lensmm`; known are lens{thickness}mm"),
        "{message}"
    );
}

#[test]
fn nothing_is_taken_from_rows_of_another_version() {
    let rows = encoder("eagle", "");
    let Layer { name, text, .. } = manifest(&rows);
    let newer = Layer::manifest(name, text.replace("version = 1", "version = 2"));
    let registry = Registry::load(&[Layer::new("good.toml", GOOD), newer]).unwrap();
    assert!(refused(&registry, "eagle").contains("version 2"));
    let [(None, 5, message)] = aside(&registry)[..] else { panic!("{:?}", aside(&registry)) };
    assert!(message.contains("version 2"), "{message}");
}

#[test]
fn what_its_user_wrote_must_be_right() {
    let layers = [Layer::new("good.toml", GOOD), manifest(""), Layer::new("mine.toml", "version = 2\n")];
    assert!(Registry::load(&layers).unwrap_err().to_string().contains("mine.toml:1"));
}
