//! The program as a process: exit codes, streams, JSON. Nothing here needs a plugin.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// `zoo` with `line` as its arguments, in a folder of its own where there are no plugins, settings or caches. The program
/// is there too, away from where it was built: plugins that somebody staged beside it must not be found.
struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        // Where the program was built, so that it need not be copied.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (built, bin) = (env!("CARGO_BIN_EXE_zoo"), folder.path().join("bin"));
        std::fs::create_dir(&bin).unwrap();
        if std::fs::hard_link(built, bin.join("zoo")).is_err() {
            std::fs::copy(built, bin.join("zoo")).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, contents: &str) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(self.path("bin/zoo"));
        command.args(line.split_whitespace()).current_dir(self.folder.path()).stdin(Stdio::null());
        for (variable, folder) in [("ZOO_CONFIG", "config"), ("ZOO_DATA", "data"), ("ZOO_CACHE", "cache")] {
            command.env(variable, self.path(folder));
        }
        for variable in ["ZOO_PLUGIN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"] {
            command.env_remove(variable);
        }
        command.env("HF_HOME", self.path("hf"));
        command
    }

    #[track_caller]
    fn run(&self, line: &str, code: i32) -> Shown {
        let output = self.command(line).output().unwrap();
        let shown = Shown::from(&output);
        assert_eq!(output.status.code(), Some(code), "`zoo {line}`\n{}\n{}", shown.out, shown.err);
        shown
    }

    #[track_caller]
    fn json(&self, line: &str, code: i32) -> Value {
        let shown = self.run(&format!("{line} --json"), code);
        serde_json::from_str(&shown.out).unwrap_or_else(|e| panic!("no JSON ({e}): {}", shown.out))
    }
}

struct Shown {
    out: String,
    err: String,
}

impl From<&Output> for Shown {
    fn from(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { out: text(&output.stdout), err: text(&output.stderr) }
    }
}

#[test]
fn usage_errors_are_2_and_say_how() {
    let program = Program::new();
    for (line, part) in [
        ("frobnicate", "frobnicate"),
        ("list dogs", "encoders"),
        ("encode a.png --encoder x", "--out"),
        ("encode a.png --encoder x --ensemble y --out o.npy", "--ensemble"),
        ("encode a.png --encoder x --out o.pt", ".pt files cannot be written"),
        ("view a.png --encoder x --out o.jpg", ".png"),
        ("preprocess a.png --encoder x --out o.npy", ".safetensors"),
        ("bench --encoder x,y --weights f", "one at a time"),
        ("bench --encoder x --batch 1,2 --plot o.png", ".svg"),
        ("bench --encoder x --plot o.svg", "nothing was varied"),
        ("list --device gpu", "cuda:N"),
        ("list --threads none", "--threads"),
    ] {
        let shown = program.run(line, 2);
        assert!(shown.err.contains(part), "`zoo {line}`: {}", shown.err);
        assert_eq!(shown.out, "", "`zoo {line}`");
        let json = program.json(line, 2);
        assert!(json["error"].as_str().unwrap().contains(part), "`zoo {line} --json`: {json}");
    }
}

/// Whatever a command would write: what is there stays, and that is said before anything else is.
#[test]
fn nothing_is_replaced_unless_somebody_says_so() {
    let program = Program::new();
    image::RgbImage::new(3, 3).save(program.path("a.png")).unwrap();
    std::fs::create_dir(program.path("out")).unwrap();
    for (line, file) in [
        ("encode a.png --encoder x --out f.safetensors", "f.safetensors"),
        ("encode a.png --encoder x --out f.npy", "f.npy"),
        ("encode a.png --encoder x --out g.npy", "g.npy.json"),
        ("encode a.png --encoder x --out out/", "out/a.safetensors"),
        ("preprocess a.png --encoder x --out f.safetensors", "f.safetensors"),
        ("view a.png --encoder x --out v.png", "v.png"),
        ("explain a.png what --out v.png", "v.png"),
        ("trace a.png what --out f.safetensors", "f.safetensors"),
        ("quantize x --type q8_0 --out x.gguf", "x.gguf"),
        ("bench --encoder x --csv b.csv", "b.csv"),
        ("bench --encoder x --batch 1,2 --plot b.svg", "b.svg"),
    ] {
        program.file(file, "mine");
        let shown = program.run(line, 1);
        let message = format!("error: {file}: this file is there already; --overwrite replaces it\n");
        assert_eq!(shown.err, message, "`zoo {line}`");
        assert_eq!(std::fs::read(program.path(file)).unwrap(), b"mine", "`zoo {line}`");
        let shown = program.run(&format!("{line} --overwrite"), 1);
        assert!(!shown.err.contains("there already"), "`zoo {line} --overwrite`: {}", shown.err);
    }
}

#[test]
fn help_and_version_are_results() {
    let program = Program::new();
    assert!(program.run("--help", 0).out.contains("Usage: zoo"));
    assert!(program.run("help encode", 0).out.contains("--arch-override"));
    assert_eq!(program.run("--version", 0).out, format!("zoo {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_registry_can_be_listed_without_plugins() {
    let program = Program::new();
    let all = program.json("list", 0);
    for kind in ["encoders", "ensembles", "connectors", "llms", "models"] {
        let rows = all[kind].as_array().unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row["id"].is_string()), "{kind}");
        assert_eq!(program.json(&format!("list {kind}"), 0)[kind], all[kind]);
    }
    let first = &all["encoders"][0];
    assert_eq!(first["plugin_found"], false);
    assert!(program.run("list encoders", 0).out.contains(first["id"].as_str().unwrap()));
    assert_eq!(program.json("list plugins", 0)["plugins"], Value::Array(Vec::new()));
}

#[test]
fn info_knows_every_row() {
    let program = Program::new();
    let all = program.json("list", 0);
    for (kind, rows) in all.as_object().unwrap() {
        for row in rows.as_array().unwrap() {
            let id = row["id"].as_str().unwrap();
            let info = program.json(&format!("info {id}"), 0);
            assert_eq!(info["row"]["id"], *id, "{kind}: {info}");
        }
    }
}

#[test]
fn the_model_of_the_program_is_among_the_models_and_shares_its_name_with_nothing() {
    let program = Program::new();
    let all = program.json("list", 0);
    let first = &all["models"][0];
    assert_eq!((&first["id"], &first["weights_status"]["state"]), (&"trilobite".into(), &"shipped".into()));
    let line = program.run("list models", 0).out.lines().nth(1).unwrap().to_owned();
    assert!(line.starts_with("trilobite ") && line.contains("shipped"), "{line}");
    assert_eq!(program.json("info trilobite", 0)["kind"], "model");
    let shown = program.run("info trilobite", 0).out;
    assert!(shown.contains("shipped with the program") && !shown.contains("UNTRAINED"), "{shown}");
    let named = all.as_object().unwrap().values().flat_map(|rows| rows.as_array().unwrap());
    assert_eq!(named.filter(|row| row["id"] == "trilobite").count(), 1);
}

#[test]
fn what_is_told_of_a_model_is_no_json() {
    let program = Program::new();
    for row in program.json("list models", 0)["models"].as_array().unwrap() {
        let shown = program.run(&format!("info {}", row["id"].as_str().unwrap()), 0).out;
        assert!(!shown.contains(['{', '"', '[']), "{shown}");
    }
}

#[test]
fn a_process_for_each_number_of_threads_says_why_it_failed() {
    let program = Program::new();
    let shown = program.run("bench --encoder no-such-encoder --threads 1,2 --rounds 1", 1);
    assert!(shown.err.contains("no-such-encoder") && !shown.err.contains("understand"), "{}", shown.err);
}

#[test]
fn unknown_names_get_the_nearest() {
    let program = Program::new();
    let id = program.json("list", 0)["encoders"][0]["id"].as_str().unwrap().to_owned();
    let typo = &id[..id.len() - 1];
    let shown = program.run(&format!("info {typo}"), 1);
    assert!(shown.err.contains(typo) && shown.err.contains(&format!("did you mean `{id}`")), "{}", shown.err);
    assert_eq!(shown.out, "");
    let json = program.json(&format!("info {typo}"), 1);
    assert!(json["error"].as_str().unwrap().contains(&id), "{json}");
}

const BAD_REGISTRY: &str = "version = 1\n\n[[ensemble]]\nid = \"mine\"\ndescription = \"x\"\nmembers = [{ encoder = \"no-such-encoder\" }]\n";

#[test]
fn a_wrong_registry_is_shown_in_its_place() {
    let program = Program::new();
    program.file("bad.toml", BAD_REGISTRY);
    for line in ["check bad.toml", "list --registry bad.toml", "doctor --registry bad.toml"] {
        program.run(line, 1);
    }
    let shown = program.run("check bad.toml", 1);
    assert!(shown.err.contains("bad.toml:6:24") && shown.err.contains("no-such-encoder"), "{}", shown.err);
    let json = program.json("check bad.toml", 1);
    let problem = &json["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&6.into(), &24.into()), "{json}");
    assert!(program.run("check none.toml", 1).err.contains("none.toml"));
}

#[test]
fn the_settings_folder_is_a_layer() {
    let program = Program::new();
    std::fs::create_dir(program.path("config")).unwrap();
    program.file("config/registry.toml", BAD_REGISTRY);
    assert!(program.run("list", 1).err.contains("registry.toml:6:24"));
}

#[test]
fn check_prints_shapes_even_without_plugins() {
    let program = Program::new();
    let json = program.json("check", 0);
    let ensembles = json["ensembles"].as_array().unwrap();
    assert_eq!(json["valid"], true);
    assert!(!ensembles.is_empty());
    for ensemble in ensembles {
        for member in ensemble["members"].as_array().unwrap() {
            assert!(member["tokens"].as_u64().unwrap() > 0 && member["channels"].as_u64().unwrap() > 0);
        }
    }
    let notes = json["notes"].as_array().unwrap();
    let first = notes[0].as_str().unwrap();
    assert!(first.contains("its plugin `clip` is not on this machine, and 4 more rows name it"), "{first}");
    // One for each plugin, however many rows there are.
    assert_eq!(notes.iter().filter(|note| note.as_str().unwrap().contains("`clip`")).count(), 1, "{notes:?}");
}

#[test]
fn a_user_file_shows_its_own_ensembles() {
    let program = Program::new();
    let id = program.json("list", 0)["encoders"][0]["id"].as_str().unwrap().to_owned();
    let text = format!(
        "version = 1\n\n[[ensemble]]\nid = \"mine\"\ndescription = \"x\"\nmembers = [{{ encoder = \"{id}\", tokens = 144 }}]\n"
    );
    program.file("mine.toml", &text);
    let json = program.json("check mine.toml", 0);
    assert_eq!(json["ensembles"].as_array().unwrap().len(), 1);
    assert_eq!(json["ensembles"][0]["members"][0]["tokens"], 144);
    let text = program.run("check mine.toml", 0).out;
    assert!(text.contains("mine") && text.contains("144"), "{text}");
}

#[test]
fn preprocessing_needs_no_plugin() {
    let program = Program::new();
    let id = program.json("list", 0)["encoders"][0]["id"].as_str().unwrap().to_owned();
    image::RgbImage::from_pixel(31, 17, image::Rgb([10, 200, 90])).save(program.path("a.png")).unwrap();
    let json =
        program.json(&format!("preprocess a.png --encoder {id} --resolution 56 --out p.safetensors"), 0);
    assert_eq!(json["tensors"]["pixels"], serde_json::json!([1, 3, 56, 56]));
    let bytes = std::fs::read(program.path("p.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("pixels").unwrap().shape(), [1, 3, 56, 56]);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(metadata["encoder"], id);
    assert_eq!((metadata["resize"].as_str(), metadata["image_sizes"].as_str()), ("exact", "[[31,17]]"));
    assert!(
        program
            .run(&format!("preprocess none.png --encoder {id} --out q.safetensors"), 1)
            .err
            .contains("none.png")
    );
    assert!(!program.path("q.safetensors").exists());
}

#[test]
fn a_missing_plugin_is_a_clear_failure() {
    let program = Program::new();
    let encoder = program.json("list", 0)["encoders"][0].clone();
    let (id, plugin) = (encoder["id"].as_str().unwrap(), encoder["plugin"].as_str().unwrap());
    image::RgbImage::new(8, 8).save(program.path("a.png")).unwrap();
    let shown = program.run(&format!("encode a.png --encoder {id} --out f.safetensors"), 1);
    assert!(shown.err.contains(&format!("plugin `{plugin}` was not found")), "{}", shown.err);
    assert!(shown.err.contains("device: cpu (auto"), "auto says what it chose: {}", shown.err);
    assert!(!program.path("f.safetensors").exists());
}

#[test]
fn inputs_that_lead_nowhere_fail_before_anything_is_opened() {
    let program = Program::new();
    let shown = program.run("encode none.png *.bmp --encoder nobody --out f.safetensors", 1);
    assert!(shown.err.contains("none.png: no such file") && shown.err.contains("*.bmp"), "{}", shown.err);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_there_is_an_error() {
    let program = Program::new();
    let shown = program.run("list --device cuda", 1);
    assert!(shown.err.contains("cuda") && shown.err.contains("--device cpu"), "{}", shown.err);
    assert!(program.json("doctor --device cuda:3", 1)["checks"].to_string().contains("cuda:3"));
    program.run("list --device auto", 0);
}

#[test]
fn doctor_reports_every_part_and_fails_when_nothing_can_run() {
    let program = Program::new();
    let json = program.json("doctor --offline", 1);
    let states: Vec<(&str, &str)> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["check"].as_str().unwrap(), c["state"].as_str().unwrap()))
        .collect();
    for part in [
        "program",
        "device",
        "threads",
        "processor",
        "plugins",
        "registry",
        "hub",
        "models",
        "weights",
        "settings",
    ] {
        assert!(states.iter().any(|(what, _)| *what == part), "{part}: {states:?}");
    }
    assert!(states.contains(&("plugins", "fail")) && states.contains(&("hub", "warn")), "{states:?}");
    assert!(program.run("doctor", 1).out.contains("→"), "each finding has a way out");
}

/// A home that cannot be written, as in many containers: a file stands where the folders should be made, which holds up
/// the superuser too.
#[test]
fn doctor_sees_folders_that_cannot_be_written() {
    let program = Program::new();
    program.file("home", "");
    let output = program
        .command("doctor --json")
        .envs(["ZOO_DATA", "ZOO_CACHE", "ZOO_CONFIG"].map(|name| (name, program.path("home/zoo"))))
        .env("HF_HOME", "$ZOO_CACHE/hf")
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = |what: &str, state: &str, parts: &[&str]| {
        let check = json["checks"].as_array().unwrap().iter().find(|c| c["check"] == what).unwrap();
        assert_eq!(check["state"], state, "{check}");
        for part in parts {
            assert!(check.to_string().contains(part), "no `{part}` in: {check}");
        }
    };
    found("models", "fail", &["home/zoo/models", "is no folder", "`trilobite`", "ZOO_DATA"]);
    found("weights", "warn", &["home/zoo", "ZOO_CACHE"]);
    found("settings", "warn", &["ZOO_CONFIG"]);
    found("hub", "warn", &["home/zoo/hf/hub", "cannot be written", "HF_HOME"]);
}

/// What `zoo doctor` says of one part.
fn finding(program: &Program, command: &str, check: &str) -> String {
    let checks = program.json(command, 1)["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|c| c["check"] == check).unwrap()["message"].as_str().unwrap().to_owned()
}

#[test]
fn threads_reach_the_pools() {
    assert!(finding(&Program::new(), "doctor --threads 3", "threads").starts_with("3 of"));
}

#[test]
fn doctor_says_which_instructions_are_taken_and_why() {
    let message = finding(&Program::new(), "doctor", "processor");
    let level = zoo_kernels::Isa::detect();
    assert!(message.starts_with(&format!("kernels of level {}", level.name())), "{message}");
    let asked = level.features().iter().all(|feature| message.contains(feature));
    let wanted = zoo_kernels::Isa::ALL.into_iter().filter(|l| *l > level).take(1);
    let missing = wanted.flat_map(zoo_kernels::Isa::missing).all(|feature| message.contains(feature));
    assert!(asked && (missing || cfg!(not(target_arch = "x86_64"))), "{message}");
}

#[test]
fn completions_for_every_shell() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = program.run(&format!("completions {shell}"), 0).out;
        assert!(script.contains("zoo") && script.contains("encode"), "{shell}");
    }
    program.run("completions tcsh", 2);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let program = Program::new();
    let mut child =
        program.command("list --json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stderr, b"");
}

#[test]
fn pull_stays_offline_when_told() {
    let program = Program::new();
    let all = program.json("list", 0);
    let remote =
        all["encoders"].as_array().unwrap().iter().find(|e| e["weights_status"]["state"] == "missing");
    let id = remote.unwrap()["id"].as_str().unwrap();
    let shown = program.run(&format!("pull {id} --offline"), 1);
    assert!(shown.err.contains("--offline"), "{}", shown.err);
    let seeded =
        all["encoders"].as_array().unwrap().iter().find(|e| e["weights_status"]["state"] == "generated");
    let id = seeded.unwrap()["id"].as_str().unwrap();
    assert_eq!(program.json(&format!("pull {id} --offline"), 0)["files"], Value::Array(Vec::new()));
}

#[test]
fn weights_with_terms_of_their_own_wait_for_a_word() {
    let program = Program::new();
    let shown = program.run("pull mae-vit-b-16 --offline", 1);
    for part in ["CC-BY-NC-4.0 (non-commercial)", "timm/vit_base_patch16_224.mae", "--accept-licence"] {
        assert!(shown.err.contains(part), "{part}: {}", shown.err);
    }
    let shown = program.run("pull mae-vit-b-16 --offline --accept-licence", 1);
    assert!(shown.err.contains("--offline") && !shown.err.contains("licence"), "{}", shown.err);
    assert!(program.run("list encoders", 0).out.contains("CC-BY-NC-4.0 (non-commercial)"));
}

#[test]
fn encoders_are_listed_by_family_and_by_what_they_learnt_from() {
    let program = Program::new();
    let text = program.run("list encoders", 0).out;
    let json = program.json("list encoders", 0);
    let rows = json["encoders"].as_array().unwrap();
    let mut groups: Vec<String> = Vec::new();
    let mut listed = Vec::new();
    for line in text.lines().skip(1) {
        match line.starts_with("  ") {
            false => groups.push(line.replace(" (plugin missing)", "")),
            true => listed.push((groups.len() - 1, line.trim_start().split(' ').next().unwrap())),
        }
    }
    for row in rows {
        let (plugin, id) = (row["plugin"].as_str().unwrap(), row["id"].as_str().unwrap());
        let group = format!("{plugin}: {}", row["supervision"].as_str().unwrap().replace('_', " "));
        let at = groups.iter().position(|known| *known == group).unwrap_or_else(|| panic!("{group}: {text}"));
        assert!(listed.contains(&(at, id)), "{group} {id}: {text}");
        assert_eq!(groups.iter().filter(|known| **known == group).count(), 1, "{text}");
    }
    assert_eq!(listed.len(), rows.len());
    assert!(text.contains("(plugin missing)"), "{text}");
}

#[test]
fn blanks_in_lists_are_no_part_of_what_stands_in_them() {
    let program = Program::new();
    let line = |list: &str| {
        let output = program.command("bench --rounds 1 --encoder").arg(list).output().unwrap();
        Shown::from(&output).err
    };
    assert!(line(" nobody , noone").contains("`nobody`"), "{}", line(" nobody , noone"));
    assert!(
        line("nobody,").contains("`--encoder <ID>` has an entry in which nothing stands"),
        "{}",
        line("nobody,")
    );
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8_where_files_are_named() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let program = Program::new();
    let run = |line: &str, name: &[u8], more: &str, code: i32| {
        let mut command = program.command(line);
        let output = command.arg(OsStr::from_bytes(name)).args(more.split_whitespace()).output().unwrap();
        let shown = Shown::from(&output);
        assert_eq!(output.status.code(), Some(code), "{line}: {}{}", shown.out, shown.err);
        shown
    };
    let rows = "version = 1\n\n[[llm]]\nid = \"mine\"\ndescription = \"x\"\nplugin = \"llama\"\narchitecture = \"llama\"\n\
                hidden = 64\nlicence = \"MIT\"\nweights = { path = \"there\" }\n";
    std::fs::write(program.path("x").with_file_name(OsStr::from_bytes(b"r\xe9.toml")), rows).unwrap();
    for json in ["", "--json"] {
        run("check", b"r\xe9.toml", json, 0);
        run("list --registry", b"r\xe9.toml", json, 0);
        run("doctor --registry", b"r\xe9.toml", json, 1);
        assert!(run("check", b"no\xe9.toml", json, 1).err.contains("no") || !json.is_empty());
        run("list --plugin-dir", b"pl\xfcgins", json, 0);
        run("plugins list --plugin-dir", b"pl\xfcgins", json, 0);
        for line in ["info", "pull", "plugins trust", "preprocess a.png --out o.safetensors --encoder"] {
            let shown = run(line, b"na\xefve", json, 2);
            assert!(
                format!("{}{}", shown.out, shown.err).contains("xEFve"),
                "{line}: {}{}",
                shown.out,
                shown.err
            );
        }
        run("plugins stage --into pl", b"lib\xe9.so", json, 1);
        run("quantize --type q8_0 --out x.gguf", b"mod\xe8le", json, 1);
    }
}

#[test]
fn a_command_of_another_program_is_run_from_beside_this_one() {
    let program = Program::new();
    let shown = program.run("train r.toml", 1);
    assert!(
        shown.err.contains("`zoo-learn`") && shown.err.contains("cargo build --release -p zoo-learn"),
        "{}",
        shown.err
    );
    assert!(program.run("--json data check x.json", 1).out.contains("\"error\""));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let other = program.path("bin/zoo-learn");
        std::fs::write(&other, "#!/bin/sh\nprintf '<%s>' \"$@\"; exit 7\n").unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
        for line in ["train r.toml --dry-run", "--threads 2 data check --help", "train --json -x=1 -- -y"] {
            let expected: String = line.split_whitespace().map(|word| format!("<{word}>")).collect();
            assert_eq!(program.run(line, 7).out, expected);
        }
    }
}

/// The help of every command, as files: what users read is reviewed like code. `ZOO_UPDATE=1` writes them anew.
#[test]
fn help_is_as_reviewed() {
    let program = Program::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut stale = Vec::new();
    for command in [
        "",
        "list",
        "info",
        "check",
        "pull",
        "preprocess",
        "encode",
        "view",
        "classify",
        "search",
        "similar",
        "ask",
        "chat",
        "explain",
        "trace",
        "quantize",
        "bench",
        "plugins",
        "plugins list",
        "plugins check",
        "plugins stage",
        "plugins trust",
        "doctor",
        "completions",
    ] {
        let output = program.command(command).arg("--help").env("COLUMNS", "100").output().unwrap();
        let help = Shown::from(&output).out;
        let name = if command.is_empty() { "zoo".to_owned() } else { command.replace(' ', "-") };
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("ZOO_UPDATE").is_some() {
            std::fs::write(&path, help).unwrap();
        } else if std::fs::read_to_string(&path).ok().as_deref() != Some(&help) {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "run this test with ZOO_UPDATE=1 and review: {stale:?}");
}
