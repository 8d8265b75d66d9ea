//! The program from end to end: real plugins from a plugin folder, the embedded untrained ensemble, real files.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Value, json};

const ALL: [&str; 16] = [
    "plugins/aimv2",
    "plugins/c-radio",
    "plugins/clip",
    "plugins/convnext",
    "plugins/dinov2",
    "plugins/dinov3",
    "plugins/dpt",
    "plugins/eva02",
    "plugins/internvit",
    "plugins/openclip-vit",
    "plugins/pe",
    "plugins/projectors",
    "plugins/sam",
    "plugins/sd-unet",
    "plugins/sva",
    "plugins/timm-vit",
];
const MEMBERS: [&str; 4] = ["trilobite-siglip", "trilobite-clip", "trilobite-dinov2", "trilobite-convnext"];

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

/// A folder to run the program in, with the plugins of encoders and connectors.
struct Sandbox(program::Sandbox);

impl std::ops::Deref for Sandbox {
    type Target = program::Sandbox;
    fn deref(&self) -> &program::Sandbox {
        &self.0
    }
}

impl std::ops::DerefMut for Sandbox {
    fn deref_mut(&mut self) -> &mut program::Sandbox {
        &mut self.0
    }
}

impl Sandbox {
    fn new() -> Self {
        Self(program::Sandbox::new(&ALL))
    }

    /// Tokens and channels of an encoder's features, as the registry has them.
    fn shape_of(&self, encoder: &str) -> (usize, usize) {
        let info = self.json(&format!("info {encoder}"), 0);
        let number = |value: &Value| value.as_u64().unwrap() as usize;
        (number(&info["grid"][0]) * number(&info["grid"][1]), number(&info["channels"]))
    }

    /// Tokens and width after the connector of the embedded ensemble.
    fn fused(&self) -> (usize, usize) {
        let info = self.json("info trilobite-four", 0);
        let number = |key: &str| info["connector"][key].as_u64().unwrap() as usize;
        (number("tokens"), number("width"))
    }
}

#[test]
fn a_row_that_its_plugin_contradicts_is_not_in_order() {
    let place = Sandbox::new();
    let shipped = include_str!("../../registry.toml");
    let start = shipped.find("[[encoder]]\nid = \"trilobite-clip\"").unwrap();
    let row = shipped[start..].split("\n\n").next().unwrap().replace("channels = 64", "channels = 65");
    let ensemble = "[[ensemble]]\nid = \"one\"\ndescription = \"one\"\nmembers = [{ encoder = \"mine\" }]\n";
    let row = row.replace("id = \"trilobite-clip\"", "id = \"mine\"");
    fs::write(place.path("mine.toml"), format!("version = 1\n{row}\n{ensemble}")).unwrap();
    let ran = place.run("check mine.toml", 1);
    assert!(ran.out.contains("mine.toml is not in order"), "{}", ran.out);
    assert!(ran.out.contains("the encoder `mine`: `channels` is 65, but its plugin gives 64"), "{}", ran.out);
}

#[test]
fn a_wrong_row_of_a_plugin_stops_nothing_but_its_own_use() {
    let place = Sandbox::new();
    place.image("a.png", 60, 40);
    let shipped = include_str!("../../registry.toml");
    let start = shipped.find("[[encoder]]\nid = \"trilobite-clip\"").unwrap();
    let row = shipped[start..].split("\n\n").next().unwrap().replace("[[encoder]]", "[[registry.encoder]]");
    let good = row.replace("id = \"trilobite-clip\"", "id = \"mine\"");
    let odd = row.replace("id = \"trilobite-clip\"", "id = \"odd\"\ncolour = 3");
    let zeros = "0".repeat(64);
    let head = format!(
        "name = \"extra\"\nversion = \"1.0.0\"\ndescription = \"x\"\nlicence = \"MIT\"\nabi = 1\n\
         target = \"t\"\nbackend = \"cpu\"\nfile = \"libextra.so\"\nsha256 = \"{zeros}\"\n\
         [provides]\nencoders = [\"e\"]\n[registry]\nversion = 1\n"
    );
    let line = head.lines().count() + 3;
    let over = row.replace("architecture = ", "colour = 3\narchitecture = ");
    place.write("extra/extra.plugin.toml", &format!("{head}{odd}\n\n{good}\n\n{over}\n"));
    let wrong = format!("extra.plugin.toml:{line}: the encoder `odd`: unknown key `colour`");
    let ran = place.run("encode a.png --encoder mine --plugin-dir extra --out f.safetensors", 0);
    assert!(ran.err.contains(&wrong) && ran.err.contains("ask the author of the plugin"), "{}", ran.err);
    let ran = place.run("encode a.png --encoder odd --plugin-dir extra --out g.safetensors", 1);
    let error = format!("extra.plugin.toml:{line}: unknown key `colour`");
    assert!(ran.err.contains("the encoder `odd` cannot be used") && ran.err.contains(&error), "{}", ran.err);
    // A shipped row means what it meant, whatever a plugin calls its own, and the warning is not a note.
    let ran =
        place.run("encode a.png --encoder trilobite-clip --plugin-dir extra --quiet --out g.safetensors", 0);
    assert!(ran.err.contains(&wrong) && place.path("g.safetensors").exists(), "{}", ran.err);
    let needs =
        "version = 1\n[[ensemble]]\nid = \"pair\"\ndescription = \"x\"\nmembers = [{ encoder = \"odd\" }]\n";
    place.write("needs.toml", needs);
    let ran = place.run("check needs.toml --plugin-dir extra", 1);
    assert!(ran.out.contains("needs.toml is not in order"), "{}", ran.out);
    // It has something else to complain of besides: the library is for no machine.
    let doctor = place.run("doctor --plugin-dir extra", 1).out;
    assert!(doctor.contains(&wrong), "{doctor}");
}

#[test]
fn what_is_counted_stands_in_its_number() {
    let info = Sandbox::new().run("info trilobite-clip", 0).out;
    assert!(info.contains(" layers, 1 prefix token\n"), "{info}");
}

#[test]
fn an_encoder_that_looks_twice_is_numbered() {
    let place = Sandbox::new();
    place.image("a.png", 60, 40);
    let registry = r#"
        version = 1
        [[ensemble]]
        id = "twice"
        description = "One encoder at two sizes"
        members = [{ encoder = "trilobite-clip" }, { encoder = "trilobite-clip", resolution = 224 }]
    "#;
    fs::write(place.path("twice.toml"), registry).unwrap();
    place.run("encode a.png --ensemble twice --registry twice.toml --out a.safetensors", 0);
    let bytes = fs::read(place.path("a.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("features.trilobite-clip").unwrap().shape(), [1, 576, 64]);
    assert_eq!(file.tensor("features.trilobite-clip-2").unwrap().shape(), [1, 256, 64]);
}

#[test]
fn an_ensemble_writes_features_tokens_and_attention() {
    let place = Sandbox::new();
    place.image("in/a.png", 60, 40);
    place.image("in/b.png", 40, 60);
    place.image("in/c.png", 50, 50);
    let json = place.json("encode in --ensemble trilobite-four --batch 2 --out f.safetensors", 0);
    let file = place.tensors("f.safetensors");
    let mut names: Vec<String> =
        MEMBERS.iter().flat_map(|m| [format!("features.{m}"), format!("attention.{m}")]).collect();
    names.push("tokens".into());
    names.sort();
    assert_eq!(file.names(), names);
    let (tokens, width) = place.fused();
    assert_eq!(file.shape("tokens"), [3, tokens, width]);
    let members = place.json("info trilobite-four", 0)["members"].clone();
    for (member, id) in members.as_array().unwrap().iter().zip(MEMBERS) {
        assert_eq!(member["encoder"], id);
        let [tokens, channels] = ["tokens", "channels"].map(|key| member[key].as_u64().unwrap() as usize);
        assert_eq!(file.shape(&format!("features.{id}")), [3, tokens, channels]);
    }
    let shares: Vec<Vec<f32>> = MEMBERS.iter().map(|m| file.values(&format!("attention.{m}"))).collect();
    for query in 0..3 * tokens {
        let sum: f32 = shares.iter().map(|s| s[query]).sum();
        assert!((sum - 1.0).abs() < 1e-4, "shares of query {query} add up to {sum}");
    }
    assert!(file.values("tokens").iter().all(|v| v.is_finite()));
    assert_eq!(file.metadata("untrained"), "true");
    assert_eq!(file.metadata("inputs"), r#"["in/a.png","in/b.png","in/c.png"]"#);
    assert_eq!(file.metadata("image_sizes"), "[[60,40],[40,60],[50,50]]");
    let encoders: Vec<Value> = serde_json::from_str(&file.metadata("encoders")).unwrap();
    assert_eq!(encoders[3]["layers"], json!([0, 1, 2, 3]));
    assert!(encoders[0]["plugin"].as_str().unwrap().starts_with("timm-vit "), "{}", encoders[0]);
    assert_eq!((&json["images"], &json["untrained"]), (&3.into(), &true.into()));
    let text = place.run("encode in --ensemble trilobite-four --overwrite --out f.safetensors", 0).out;
    assert!(text.contains("UNTRAINED"), "{text}");
    place.is_tidy();
}

#[test]
fn batches_change_nothing() {
    let place = Sandbox::new();
    for (name, width, height) in [("a.png", 60, 40), ("b.png", 33, 90), ("c.png", 20, 20)] {
        place.image(name, width, height);
    }
    for batch in [1, 3] {
        let out = format!("{batch}.safetensors");
        place.run(
            &format!("encode a.png b.png c.png --encoder trilobite-dinov2 --batch {batch} --out {out}"),
            0,
        );
    }
    let (one, three) = (place.tensors("1.safetensors"), place.tensors("3.safetensors"));
    let (a, b) = (one.values("features"), three.values("features"));
    let largest = a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-5, "{largest}");
    place.run("encode a.png b.png c.png --encoder trilobite-dinov2 --out each/", 0);
    let second = place.tensors("each/b.safetensors");
    assert_eq!(second.shape("features"), [1, one.shape("features")[1], one.shape("features")[2]]);
    let row = second.values("features").len();
    let largest =
        second.values("features").iter().zip(&a[row..]).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-5, "{largest}");
    assert_eq!(second.metadata("inputs"), r#"["b.png"]"#);
}

#[test]
fn layers_norm_tokens_resolution_and_prefix_do_what_they_say() {
    let place = Sandbox::new();
    place.image("a.png", 64, 64);
    let encode = |options: &str| {
        place.run(
            &format!("encode a.png --encoder trilobite-dinov2 {options} --overwrite --out o.safetensors"),
            0,
        );
        place.tensors("o.safetensors")
    };
    let (tokens, channels) = place.shape_of("trilobite-dinov2");
    let plain = encode("");
    assert_eq!(plain.shape("features"), [1, tokens, channels]);
    assert_eq!(plain.names(), ["features"]);
    let both = encode("--layer -2,-1");
    assert_eq!(both.shape("features"), [1, tokens, 2 * channels]);
    let (last, before) = (encode("--layer -1").values("features"), encode("--layer -2").values("features"));
    let joined = both.values("features");
    assert_eq!(joined[..channels], before[..channels]);
    assert_eq!(joined[channels..2 * channels], last[..channels]);
    assert_ne!(encode("--layer -1 --norm").values("features"), last);
    let prefix = encode("--prefix");
    assert_eq!((prefix.shape("prefix")[0], prefix.shape("prefix")[2]), (1, channels));
    assert_eq!(encode("--tokens 25").shape("features"), [1, 25, channels]);
    let small = encode("--resolution 140");
    assert_eq!((small.shape("features"), small.metadata("grid")), (vec![1, 100, channels], "[10,10]".into()));
}

#[test]
fn pixels_that_were_prepared_before_give_the_same_features() {
    let place = Sandbox::new();
    place.image("a.png", 70, 30);
    place.run("preprocess a.png --encoder trilobite-clip --out p.safetensors", 0);
    place.run("encode a.png --encoder trilobite-clip --out a.safetensors", 0);
    place.run("encode p.safetensors --encoder trilobite-clip --out b.safetensors", 0);
    let (image, pixels) = (place.tensors("a.safetensors"), place.tensors("b.safetensors"));
    assert_eq!(image.values("features"), pixels.values("features"));
    assert!(pixels.metadata("preprocess").contains("none"));
    let ran = place.run("encode p.safetensors --ensemble trilobite-four --out c.safetensors", 1);
    assert!(ran.err.contains("give an ensemble images"), "{}", ran.err);
    assert!(!place.path("c.safetensors").exists());
}

#[test]
fn choices_are_recorded_and_quiet_is_quiet() {
    let place = Sandbox::new();
    place.image("a.png", 64, 48);
    place.image("b.png", 64, 48);
    let line = "encode *.png --encoder trilobite-siglip --fast-resize --upright --quiet --out f.safetensors";
    let ran = place.run(line, 0);
    assert_eq!(ran.err, "");
    let file = place.tensors("f.safetensors");
    assert_eq!(file.shape("features")[0], 2);
    // It was allowed, but these images are small.
    assert_eq!((file.metadata("resize"), file.metadata("orientation")), ("exact".into(), "upright".into()));
    assert_eq!((file.metadata("dtype"), file.metadata("device")), ("f32".into(), "cpu".into()));
    place.run("encode a.png --encoder trilobite-siglip --dtype bf16 --out g.safetensors", 0);
    let half = place.tensors("g.safetensors");
    assert_eq!(half.metadata("dtype"), "bf16");
    assert_ne!(half.values("features")[..64], file.values("features")[..64]);
}

/// Sizes are those of the original, and what was done to the pixels is recorded.
#[test]
fn a_large_photograph_may_be_decoded_at_a_reduced_size() {
    let place = Sandbox::new();
    place.image("a.jpg", 1920, 1441);
    for line in [
        "encode a.jpg --encoder trilobite-clip --fast-resize --overwrite --out f.safetensors",
        "encode a.jpg --ensemble trilobite-four --fast-resize --overwrite --out f.safetensors",
        "preprocess a.jpg --encoder trilobite-clip --fast-resize --overwrite --out f.safetensors",
    ] {
        place.run(line, 0);
        let file = place.tensors("f.safetensors");
        assert_eq!(file.metadata("image_sizes"), "[[1920,1441]]", "{line}");
        assert!(file.metadata("notes").contains("decoded at 1/2"), "{line}: {}", file.metadata("notes"));
        assert_eq!(file.metadata("resize"), "fast", "{line}");
    }
    // Commands that decode in full do not take the flag.
    for line in [
        "view a.jpg --encoder trilobite-clip --fast-resize --out v.png",
        "ask a.jpg what --fast-resize",
        "explain a.jpg what --fast-resize --out v.png",
        "trace a.jpg what --fast-resize --out t.safetensors",
        "chat a.jpg --fast-resize",
    ] {
        let ran = place.run(line, 2);
        assert!(ran.err.contains("unexpected argument '--fast-resize'"), "{line}: {}", ran.err);
    }
    let ran = place.run("encode a.jpg --encoder trilobite-clip --out e.safetensors", 0);
    assert!(!ran.err.contains("decoded at"), "{}", ran.err);
    assert_eq!(place.tensors("e.safetensors").metadata("resize"), "exact");
}

#[test]
fn npy_comes_with_its_metadata() {
    let place = Sandbox::new();
    place.image("a.png", 30, 30);
    place.run("encode a.png --ensemble trilobite-four --out t.npy", 0);
    let bytes = fs::read(place.path("t.npy")).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY"));
    let (tokens, width) = place.fused();
    let shape = format!("'shape': (1, {tokens}, {width})");
    assert!(String::from_utf8_lossy(&bytes[..128]).contains(&shape));
    assert_eq!(bytes.len(), 128 + tokens * width * 4);
    let beside: Value = serde_json::from_slice(&fs::read(place.path("t.npy.json")).unwrap()).unwrap();
    assert_eq!((&beside["untrained"], &beside["ensemble"]), (&true.into(), &"trilobite-four".into()));
}

#[test]
fn one_bad_image_does_not_take_the_others_with_it() {
    let place = Sandbox::new();
    place.image("a.png", 30, 30);
    place.image("c.png", 30, 30);
    fs::write(place.path("b.png"), "no image at all").unwrap();
    let line = "encode a.png b.png c.png missing.png --encoder trilobite-siglip --out f.safetensors";
    let ran = place.run(line, 1);
    assert!(ran.err.contains("b.png") && ran.err.contains("missing.png: no such file"), "{}", ran.err);
    let file = place.tensors("f.safetensors");
    assert_eq!(file.shape("features")[0], 2);
    assert_eq!(file.metadata("inputs"), r#"["a.png","c.png"]"#);
    let json = place.json(&format!("{line} --overwrite"), 1);
    assert_eq!(json["error"], "2 of 4 inputs could not be encoded");
    assert_eq!(json["failures"].as_array().unwrap().len(), 2);
    place.run("encode b.png --encoder trilobite-siglip --out none.safetensors", 1);
    assert!(!place.path("none.safetensors").exists());
    place.is_tidy();
}

#[test]
fn requests_that_cannot_be_served_say_what_could() {
    let place = Sandbox::new();
    place.image("a.png", 30, 30);
    fs::write(place.path("text.json"), "{ depth: 2 }").unwrap();
    fs::write(place.path("list.json"), "[1]").unwrap();
    fs::write(place.path("key.json"), "{ \"dept\": 2 }").unwrap();
    for (options, part) in [
        ("--layer 99", "out of range"),
        ("--tokens 37", "36 and 49"),
        ("--resolution 3", "pixels"),
        ("--arch-override none.json", "none.json: cannot be read"),
        ("--arch-override text.json", "text.json: this is no JSON"),
        ("--arch-override list.json", "JSON object"),
        ("--arch-override key.json", "dept"),
        ("--weights none.safetensors", "none.safetensors"),
    ] {
        let line = format!("encode a.png --encoder trilobite-clip {options} --out o.safetensors");
        let ran = place.run(&line, 1);
        assert!(ran.err.contains(part), "`{options}` should mention {part:?}: {}", ran.err);
        assert!(place.json(&line, 1)["error"].as_str().unwrap().contains(part));
        assert!(!place.path("o.safetensors").exists());
    }
    let ran = place.run("encode a.png --encoder clip-vit-l-14-336 --out o.safetensors", 1);
    // The folder that was searched is named.
    for part in ["zoo pull clip-vit-l-14-336", "is not in", "hf/hub"] {
        assert!(ran.err.contains(part), "no `{part}` in: {}", ran.err);
    }
}

#[test]
fn an_architecture_can_be_changed() {
    let place = Sandbox::new();
    place.image("a.png", 30, 30);
    fs::write(place.path("small.json"), "{ \"depth\": 1 }").unwrap();
    let line =
        "encode a.png --encoder trilobite-clip --arch-override small.json --layer -1 --out o.safetensors";
    place.run(line, 0);
    assert_eq!(place.tensors("o.safetensors").metadata("layers"), "[0]");
}

#[test]
fn the_picture_is_a_picture_and_always_the_same() {
    let place = Sandbox::new();
    place.image("a.png", 90, 60);
    let json = place.json("view a.png --ensemble trilobite-four --out 1.png", 0);
    place.run("view a.png --ensemble trilobite-four --out 2.png", 0);
    assert_eq!(fs::read(place.path("1.png")).unwrap(), fs::read(place.path("2.png")).unwrap());
    let picture = zoo_preprocess::open(place.path("1.png"), &Default::default()).unwrap().image;
    assert_eq!(json["size"], json!([picture.width(), picture.height()]));
    assert_eq!(json["encoders"].as_array().unwrap().len(), 4);
    let shares = json["attention"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum::<f64>();
    assert!((shares - 1.0).abs() < 1e-4, "{shares}");
    assert_eq!(json["untrained"], true);
    // The badge that says so.
    assert!(picture.pixels().any(|p| p.0 == [242, 184, 75]));
    let alone = place.json("view a.png --encoder trilobite-convnext --layer 1 --out 3.png", 0);
    assert_eq!((&alone["attention"], &alone["encoders"][0]["layers"]), (&Value::Null, &json!([1])));
    place.is_tidy();
}

#[test]
fn check_knows_parameters_memory_and_cost() {
    let place = Sandbox::new();
    let json = place.json("check", 0);
    // Every plugin of encoders and connectors is there.
    let notes: Vec<&str> = json["notes"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(notes.iter().all(|n| n.contains("language model") || n.contains("decoder")), "{notes:?}");
    let released =
        json["ensembles"].as_array().unwrap().iter().find(|e| e["ensemble"] == "cambrian-1").unwrap();
    // Hub metadata of the released models: 2.7 G tower parameters, 4.6 TMACs.
    let towers: u64 =
        released["members"].as_array().unwrap().iter().map(|m| m["parameters"].as_u64().unwrap()).sum();
    assert!((2.6e9..2.8e9).contains(&(towers as f64)), "{towers}");
    let gmacs = released["gmacs"].as_f64().unwrap();
    assert!((4400.0..4700.0).contains(&gmacs), "{gmacs}");
    assert_eq!(released["memory"]["bf16"].as_u64().unwrap() * 2, released["memory"]["f32"].as_u64().unwrap());
    let shapes: Vec<(u64, u64)> = released["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["tokens"].as_u64().unwrap(), m["channels"].as_u64().unwrap()))
        .collect();
    assert_eq!(shapes, [(576, 1152), (576, 1024), (576, 1536), (9216, 5760)]);
    let info = place.json("info openai/clip-vit-large-patch14-336", 0);
    assert!((303e6..304e6).contains(&info["parameters"].as_f64().unwrap()), "{}", info["parameters"]);
}

#[test]
fn plugins_are_listed_checked_and_trusted() {
    let place = Sandbox::new();
    let list = place.json("plugins list", 0);
    assert_eq!(list["plugins"].as_array().unwrap().len(), ALL.len());
    let check = place.json("plugins check", 0);
    assert!(check["plugins"].as_array().unwrap().iter().all(|p| p["ok"] == true), "{check}");
    let trusted = place.json("plugins trust clip", 0);
    assert_eq!(trusted["sha256"].as_str().unwrap().len(), 64);
    assert!(fs::read_to_string(place.path("data/plugins.lock")).unwrap().contains("clip"));
    assert!(place.run("plugins trust nothing", 1).err.contains("`nothing` was not found"));
    let doctor = place.json("doctor", 0);
    assert_eq!(doctor["ok"], true, "{doctor}");
}

#[test]
fn a_plugin_in_the_users_folder_is_remembered_and_must_be_trusted_again_when_it_changes() {
    let mut place = Sandbox::new();
    place.plugins = place.path("none");
    let user = place.path("data/plugins");
    let (library, template) =
        (support::library("zoo-toy"), support::sources("tests/plugins/toy/plugin.toml"));
    let stage = |library: &Path| {
        let (from, template) = (library.display(), template.display());
        place.json(
            &format!("plugins stage {from} --manifest {template} --overwrite --into {}", user.display()),
            0,
        )
    };
    let first = stage(&library)["sha256"].as_str().unwrap().to_owned();

    // Looking remembers nothing, using does.
    let list = place.json("plugins list", 0);
    let folder = user.canonicalize().unwrap();
    assert_eq!((&list["plugins"][0]["name"], &list["plugins"][0]["folder"]), (&json!("toy"), &json!(folder)));
    assert!(!place.path("data/plugins.lock").exists());
    let locked = || fs::read_to_string(place.path("data/plugins.lock")).unwrap();
    place.run("plugins check toy", 0);
    assert!(locked().contains(&first), "{}", locked());

    // Another build of the same plugin, properly staged.
    let changed = place.path("changed").join(library.file_name().unwrap());
    fs::create_dir(changed.parent().unwrap()).unwrap();
    let mut bytes = fs::read(&library).unwrap();
    bytes.push(0);
    fs::write(&changed, bytes).unwrap();
    let second = stage(&changed)["sha256"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let refused = place.json("plugins check toy", 1)["plugins"][0]["error"].as_str().unwrap().to_owned();
    for part in ["`toy` has changed since it was trusted", &first, &second, "run `zoo plugins trust toy`"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(locked().contains(&first), "a refusal changes nothing: {}", locked());
    let trusted = place.run("plugins trust toy", 0).out;
    assert!(trusted.contains("toy is trusted now") && trusted.contains(&second), "{trusted}");
    place.run("plugins check toy", 0);
    assert!(locked().contains(&second) && !locked().contains(&first), "{}", locked());
}

/// Not even `trust` accepts what somebody else could exchange.
#[cfg(unix)]
#[test]
fn unsafe_files_in_the_users_folder_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut place = Sandbox::new();
    place.plugins = place.path("none");
    let user = place.path("data/plugins");
    copy(&support::staged(&["tests/plugins/toy"]), &user, |name| name.contains("toy"));
    let library = user.join(support::library("zoo-toy").file_name().unwrap());
    let refused = |part: &str| {
        for command in ["plugins check toy", "plugins trust toy"] {
            let ran = place.run(command, 1);
            assert!(ran.out.contains(part) || ran.err.contains(part), "{}{}", ran.out, ran.err);
        }
        assert!(!place.path("data/plugins.lock").exists());
    };
    fs::set_permissions(&library, fs::Permissions::from_mode(0o666)).unwrap();
    refused("everybody may write to it");
    fs::rename(&library, place.path("elsewhere.so")).unwrap();
    fs::set_permissions(place.path("elsewhere.so"), fs::Permissions::from_mode(0o644)).unwrap();
    symlink(place.path("elsewhere.so"), &library).unwrap();
    refused("it leads out of the plugin folder");
    fs::remove_file(&library).unwrap();
    fs::rename(place.path("elsewhere.so"), &library).unwrap();
    place.run("plugins check toy", 0);
}

#[test]
fn without_one_library_the_rest_still_works() {
    let mut place = Sandbox::new();
    place.image("a.png", 30, 30);
    let some = place.path("some");
    copy(&place.plugins, &some, |name| !name.contains("dinov2"));
    place.plugins = some.clone();
    let ran = place.run("encode a.png --encoder trilobite-dinov2 --out o.safetensors", 1);
    assert!(ran.err.contains("plugin `dinov2` was not found"), "{}", ran.err);
    place.run("encode a.png --encoder trilobite-clip --out o.safetensors", 0);
    // The manifest alone: the library was deleted.
    copy(&support::staged(&ALL), &some, |name| name == "dinov2.plugin.toml");
    let ran = place.run("encode a.png --encoder trilobite-dinov2 --overwrite --out o.safetensors", 1);
    assert!(ran.err.contains("dinov2"), "{}", ran.err);
    let list = place.run("list encoders", 0).out;
    assert!(list.contains("trilobite-dinov2"), "{list}");
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if wanted(&name) {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
