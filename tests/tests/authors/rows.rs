//! Rows held against their plugins: what does not fit is said with file and line, by every command that names the row.

use std::fs;

use crate::program::Sandbox;
use crate::support::{library, sources};

const PLUGINS: [&str; 3] = ["plugins/clip", "plugins/convnext", "plugins/sva"];

/// A row of the shipped registry under the name `mine`, with one text replaced. The line of the change comes along.
fn changed(shipped: &str, change: (&str, &str)) -> (String, usize) {
    let registry = include_str!("../../../registry.toml");
    let start = registry.find(&format!("id = \"{shipped}\"")).unwrap();
    let table = registry[..start].rfind("[[").unwrap();
    let row = registry[table..].split("\n\n").next().unwrap().replace(shipped, "mine");
    let (from, to) = change;
    assert!(row.contains(from), "{row} should contain {from}");
    let text = format!("version = 1\n\n{}\n", row.replace(from, to));
    let at = row.find(from).unwrap();
    (text, 3 + row[..at].matches('\n').count())
}

#[track_caller]
fn check(shipped: &str, change: (&str, &str), parts: &[&str]) {
    let place = Sandbox::new(&PLUGINS);
    let (text, line) = changed(shipped, change);
    place.write("mine.toml", &text);
    let ran = place.run("check mine.toml", 1);
    let kind = if shipped.contains("sva") { "connector" } else { "encoder" };
    let start = format!("error: mine.toml:{line}: the {kind} `mine`: ");
    let said = ran.out.lines().find(|l| l.starts_with(&start));
    let said = said.unwrap_or_else(|| panic!("no line begins with {start:?}:\n{}", ran.out));
    for part in parts {
        assert!(said.contains(part), "{said:?} should contain {part:?}");
    }
    assert!(ran.out.contains("mine.toml is not in order"), "{}", ran.out);
    // Whoever asks about the row hears the same, and it cannot be opened.
    let info = place.run("info mine --registry mine.toml", 1);
    assert!(info.out.contains(&start[7..]), "{}", info.out);
    let json = place.json("check mine.toml", 1);
    assert_eq!((&json["valid"], &json["problems"][0]["line"]), (&false.into(), &line.into()), "{json}");
}

#[test]
fn encoders() {
    let clip = "trilobite-clip";
    for (change, parts) in [
        (("num_heads", "num_haeds"), &["unknown key `num_haeds`", "did you mean `num_heads`?"][..]),
        (("depth = 3, ", "depth = 3, colour = 3, "), &["unknown key `colour`", "the keys here: `embed_dim`"]),
        (("arch = { embed_dim = 64, ", "arch = { "), &["the key `embed_dim` is missing here"]),
        (("depth = 3", "depth = \"three\""), &["`depth`: invalid type: string \"three\""]),
        (("num_heads = 4", "num_heads = 5"), &["`embed_dim` = 64 is no multiple of `num_heads` = 5"]),
        (
            ("\"clip-vit\"", "\"clip-vti\""),
            &["no encoder architecture `clip-vti`", "did you mean `clip-vit`?"],
        ),
        (
            ("channels = 64", "channels = 65"),
            &["`channels` is 65, but its plugin gives 64", "write `channels = 64`"],
        ),
        (("stride = 14", "stride = 7"), &["`stride` is 7, but its plugin gives 14"]),
        (("layers = [-2]", "layers = [5]"), &["layer 5 is out of range: this encoder has 3 layers, -3..=2"]),
    ] {
        check(clip, change, parts);
    }
    let convnext = "trilobite-convnext";
    check(
        convnext,
        ("norm = false", "norm = true"),
        &["there is no final norm to apply", "write `norm = false`"],
    );
}

#[test]
fn connectors() {
    let sva = "trilobite-sva";
    for (change, parts) in [
        (
            ("connector_depth", "conector_depth"),
            &["unknown key `conector_depth`", "did you mean `connector_depth`?"][..],
        ),
        (
            ("vision_hidden_size = 64", "vision_hidden_size = 60"),
            &["vision_hidden_size = 60 is not a multiple of"],
        ),
        (("architecture = \"sva\"", "architecture = \"svb\""), &["no connector architecture `svb`", "`sva`"]),
    ] {
        check(sva, change, parts);
    }
}

#[test]
fn a_plugin_that_is_not_here_cannot_judge() {
    let place = Sandbox::new(&PLUGINS);
    place.write("mine.toml", &changed("trilobite-clip", ("plugin = \"clip\"", "plugin = \"clap\"")).0);
    let ran = place.run("check mine.toml", 0);
    let note = "mine.toml:3: the encoder `mine` was not judged: its plugin `clap` is not on this machine; did you mean `clip`?";
    assert!(ran.err.contains(note), "{}", ran.err);
    assert!(ran.out.contains("is in order, except for what the notes say"), "{}", ran.out);
    assert!(place.run("info mine --registry mine.toml", 0).out.contains(note));
}

#[test]
fn info_says_where_a_row_comes_from() {
    let place = Sandbox::new(&PLUGINS);
    place.write("mine.toml", &changed("trilobite-clip", ("tiny", "small")).0);
    let info = place.run("info mine --registry mine.toml", 0).out;
    assert!(info.contains("  row            mine.toml:3\n"), "{info}");
    let info = place.run("info trilobite-clip", 0).out;
    assert!(info.contains("  row            registry.toml:"), "{info}");
}

/// The shipped registry fits the plugins that are built with it.
#[test]
fn the_shipped_rows_are_in_order() {
    let json = Sandbox::new(&crate::support::ALL).json("check", 0);
    assert_eq!((&json["errors"], &json["notes"]), (&serde_json::json!([]), &serde_json::json!([])));
}

/// `plugins stage` judges before it writes, with the lines of the author's own file; `plugins check` judges what is
/// there, with those of the manifest, which are the same below a few of the library's.
#[test]
fn rows_that_a_plugin_brings() {
    let place = Sandbox::new(&[]);
    let template = fs::read_to_string(sources("tests/plugins/grids/plugin.toml")).unwrap();
    let (library, line) = (library("my-grids"), |text: &str, part: &str| {
        1 + text.lines().position(|l| l.contains(part)).unwrap_or_else(|| panic!("{part} in {text}"))
    });
    let stage = |code: i32| {
        let library = library.display().to_string();
        place.run_with(&["plugins", "stage", &library, "--manifest", "plugin.toml", "--into", "mine"], code)
    };
    for (from, to, part) in [
        ("embed_dim", "embed_din", "unknown key `embed_din` (did you mean `embed_dim`?)"),
        ("\nchannels = 24", "\nchannels = 25", "`channels` is 25, but its plugin gives 24"),
        (
            "\nresolution = 224",
            "\nresolution = 230",
            "grids-16: 230×230 pixels do not work; height and width must be multiples of 16",
        ),
        ("\nstride = 16", "\nstrid = 16", "unknown key `strid` (did you mean `stride`?)"),
    ] {
        let wrong = template.replace(from, to);
        place.write("plugin.toml", &wrong);
        let said = stage(1).err;
        let start = format!("plugin.toml:{}: the encoder `grids-16`: {part}", line(&wrong, to.trim()));
        assert!(said.contains(&start), "{said:?} should contain {start:?}");
        assert!(!place.path("mine").exists(), "nothing is staged");
    }
    place.write("plugin.toml", &template.replace("\"grids\"]", "\"grid\"]"));
    let said = stage(1).err;
    assert!(said.contains("plugin.toml: the library of plugin `my-grids` has other architectures; write\n[provides]\nencoders = [\"grids\"]"), "{said}");

    place.write("plugin.toml", &template);
    stage(0);
    let checked = place.run("plugins check my-grids --plugin-dir mine", 0).out;
    assert!(checked.starts_with("ok    my-grids"), "{checked}");
    let path = place.path("mine").join("my-grids.plugin.toml");
    let staged = fs::read_to_string(&path).unwrap();
    assert!(staged.ends_with(&template), "the author's words stay: {staged}");
    let wrong = staged.replace("\nchannels = 24", "\nchannels = 25");
    fs::write(&path, &wrong).unwrap();
    let checked = place.run("plugins check my-grids --plugin-dir mine", 1).out;
    let start = format!(
        "my-grids.plugin.toml:{}: the encoder `grids-16`: `channels` is 25",
        line(&wrong, "channels = 25")
    );
    assert!(checked.contains("FAIL  my-grids") && checked.contains(&start), "{checked}");
}
