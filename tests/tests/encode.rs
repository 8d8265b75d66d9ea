//! `zoo encode` where things go wrong around it: full disks, signals, names, folders, numbers; and what other commands
//! that write share with it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use program::{QUESTION, Sandbox};
use serde_json::{Value, json};

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

const DINO: &str = "--encoder trilobite-dinov2";

/// A place with `images` pictures in `in`.
fn place(images: u32) -> Sandbox {
    let place = Sandbox::new(&["plugins/dinov2", "plugins/clip"]);
    for i in 0..images {
        place.image(&format!("in/{i:02}.png"), 40 + i, 30);
    }
    place
}

fn read(place: &Sandbox, name: &str) -> Vec<u8> {
    fs::read(place.path(name)).unwrap()
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_full_disk_ends_the_run_and_the_next_one_goes_on() {
    let place = place(5);
    let line = |out: &str, more: &str| format!("encode in {DINO} --prefix --batch 2 --out {out} {more}");
    place.run(&line("whole.safetensors", ""), 0);
    // The tensor takes 187 KiB an image.
    let ran = place.run_within(1000, &line("f.safetensors", ""), 1);
    for part in ["cannot write: ", "2 images of 5 inputs are kept in f.safetensors.unfinished", "--resume"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
    assert!(!place.path("f.safetensors").exists());
    let ran = place.run(&line("f.safetensors", ""), 1);
    assert!(ran.err.contains("an earlier run was not finished; --resume goes on with it"), "{}", ran.err);

    let json = place.json(&line("f.safetensors", "--resume"), 0);
    assert_eq!(json["images"], 5);
    assert!(read(&place, "f.safetensors") == read(&place, "whole.safetensors"));
    assert!(!place.path("f.safetensors.unfinished").exists());
    let json = place.json(&line("f.safetensors", "--resume"), 0);
    assert_eq!(json["complete"], true);
    place.is_tidy();
}

#[test]
fn the_file_itself_may_be_what_no_longer_fits() {
    let place = place(3);
    // Sixteen tokens make rows of eight blocks, so that the limit can lie between the rows and the header.
    let line = |out: &str, more: &str| format!("encode in {DINO} --tokens 16 --batch 1 --out {out} {more}");
    place.run(&line("whole.npy", ""), 0);
    let length = read(&place, "whole.npy").len() as u64;
    // Room for the rows, and not for the header before them.
    let ran = place.run_within(length.div_ceil(512) - 1, &line("f.npy", ""), 1);
    assert!(ran.err.contains("3 images of 3 inputs are kept in f.npy.unfinished"), "{}", ran.err);
    assert!(!place.path("f.npy").exists());
    place.run(&line("f.npy", "--resume"), 0);
    assert!(read(&place, "f.npy") == read(&place, "whole.npy"));
    place.is_tidy();
}

/// Sends `signal` to a run as soon as it has kept something, and says how it ended.
#[cfg(unix)]
fn ended_by(place: &Sandbox, signal: &str, line: &str, kept: &dyn Fn() -> bool) -> Option<i32> {
    let mut command = place.command(&line.split_whitespace().collect::<Vec<_>>());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while !kept() {
        assert!(begun.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none(), "{line}");
        std::thread::yield_now();
    }
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    child.wait().unwrap().code()
}

#[cfg(unix)]
#[test]
fn a_run_that_is_told_to_end_is_tidy_and_goes_on() {
    let place = place(40);
    let line = |out: &str, more: &str| format!("encode in {DINO} --batch 1 --out {out} {more}");
    place.run(&line("whole.safetensors", ""), 0);
    let journal = place.path("f.safetensors.unfinished/rows.jsonl");
    let rows = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    let mut before = 0;
    for (signal, code) in [("-TERM", Some(130)), ("-KILL", None), ("-INT", Some(130))] {
        let more = if before == 0 { "" } else { "--resume" };
        let ended = ended_by(&place, signal, &line("f.safetensors", more), &|| rows() > before);
        assert_eq!(ended, code, "{signal}");
        assert!(!place.path("f.safetensors").exists(), "{signal}");
        before = rows();
    }
    assert!(before < 40);
    place.run(&line("f.safetensors", "--resume"), 0);
    assert!(read(&place, "f.safetensors") == read(&place, "whole.safetensors"));
    place.is_tidy();
}

#[cfg(unix)]
#[test]
fn a_folder_that_was_not_finished_gets_the_rest() {
    let place = place(40);
    let line = |more: &str| format!("encode in {DINO} --batch 1 --out out/ {more}");
    let some = || fs::read_dir(place.path("out")).is_ok_and(|all| all.count() > 1);
    assert_eq!(ended_by(&place, "-TERM", &line(""), &some), Some(130));
    let kept = names(&place.path("out"));
    assert!(kept.len() < 40 && kept.iter().all(|name| name.ends_with(".safetensors")), "{kept:?}");
    let ran = place.run(&line(""), 1);
    assert!(ran.err.contains("of the files to be written are there already"), "{}", ran.err);
    let ran = place.run(&format!("{} --layer -2", line("--resume")), 1);
    assert!(ran.err.contains("it was made by another encoder, or with other settings"), "{}", ran.err);
    let json = place.json(&line("--resume"), 0);
    assert_eq!((&json["kept"], &json["images"]), (&json!(kept.len()), &json!(40 - kept.len())));
    assert_eq!(names(&place.path("out")).len(), 40);
}

/// As with `xargs`: what the second run would write has the names of what the first one wrote.
#[test]
fn a_second_run_into_a_folder_replaces_nothing() {
    let place = place(1);
    place.image("other/00.png", 50, 20);
    place.run(&format!("encode in {DINO} --out out/"), 0);
    let first = read(&place, "out/00.safetensors");
    let ran = place.run(&format!("encode other {DINO} --out out/"), 1);
    assert!(ran.err.contains("out/00.safetensors: this file is there already; --overwrite"), "{}", ran.err);
    assert!(read(&place, "out/00.safetensors") == first);
    place.run(&format!("encode other {DINO} --out out/ --overwrite"), 0);
    assert!(read(&place, "out/00.safetensors") != first);
}

#[test]
fn an_output_that_cannot_be_written_costs_no_other() {
    let place = place(3);
    fs::create_dir_all(place.path("out/01.safetensors")).unwrap();
    let json = place.json(&format!("encode in {DINO} --batch 4 --out out/"), 1);
    assert_eq!((&json["images"], &json["error"]), (&json!(2), &json!("1 of 3 inputs could not be encoded")));
    assert!(json["failures"][0]["error"].as_str().unwrap().contains("this is a folder"), "{json}");
    assert_eq!(names(&place.path("out")).len(), 3);
    let long = "n".repeat(230);
    place.image(&format!("long/{long}.png"), 30, 30);
    place.run(&format!("encode long {DINO} --out out/"), 0);
    assert!(place.path("out").join(format!("{long}.safetensors")).is_file());
}

#[cfg(unix)]
#[test]
fn what_was_not_looked_at_is_told_with_the_reason_and_the_rest_is_done() {
    let place = place(2);
    fs::copy(place.path("in/00.png"), place.path("in/a.JPE")).unwrap();
    fs::copy(place.path("in/00.png"), place.path("in/b")).unwrap();
    for name in ["c.heic", "d.HEIC"] {
        fs::write(place.path("in").join(name), b"\0\0\0\x18ftypheic\0\0\0\0").unwrap();
    }
    std::os::unix::fs::symlink(".", place.path("in/loop")).unwrap();
    let line = format!("encode in {DINO} --out f.safetensors");
    let ran = place.run(&line, 0);
    let told =
        "passed over 2 files: this is a HEIC image; convert it to JPEG or PNG first (in/c.heic, in/d.HEIC)";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert!(ran.err.contains("this link leads to a folder that it stands in (in/loop)"), "{}", ran.err);
    assert_eq!(place.tensors("f.safetensors").shape("features")[0], 4);

    std::os::unix::fs::symlink("nowhere.png", place.path("in/e.png")).unwrap();
    let ran = place.run(&format!("{line} --overwrite"), 1);
    assert_eq!(ran.err.matches("in/e.png: this link leads nowhere").count(), 1, "{}", ran.err);
    let json = place.json(&format!("{line} --overwrite"), 1);
    assert_eq!((&json["images"], &json["failures"].as_array().unwrap().len()), (&json!(4), &1));
    assert_eq!(json["passed_over"][0]["files"], json!(["in/c.heic", "in/d.HEIC"]));
    // A failure is said once, wherever it comes from.
    for (input, part) in [("nowhere", "nowhere: no such file or folder"), ("in/e.png", "leads nowhere")] {
        let ran = place.run(&format!("encode {input} {DINO} --out g.safetensors"), 1);
        assert_eq!(ran.err.matches(part).count(), 1, "{}", ran.err);
    }
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = place(1);
    let name = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    // Some file systems refuse such names.
    if fs::rename(place.path("in/00.png"), place.path("in").join(name(b"caf\xe9.png"))).is_err() {
        return;
    }
    let encode = |input: &'static [u8], out: &'static [u8]| {
        let [input, out] = [input, out].map(name);
        let rest = ["--encoder", "trilobite-dinov2", "--overwrite", "--out"].map(OsStr::new);
        place.json_with(&[&[OsStr::new("encode"), input], &rest[..], &[out]].concat(), 0)
    };
    for input in [&b"in"[..], b"in/caf\xe9.png", b"in/*"] {
        let json = encode(input, b"out\xff/");
        assert_eq!(json["files"], json!([r"out\xFF/caf\xE9.safetensors"]), "{json}");
        assert!(place.path("").join(name(b"out\xff")).join(name(b"caf\xe9.safetensors")).is_file());
    }
    let json = encode(b"in", b"f\xfe.safetensors");
    assert_eq!(json["out"], r"f\xFE.safetensors");
    assert_eq!(json["metadata"]["inputs"], json!([r"in/caf\xE9.png"]));
    fs::write(place.path("").join(name(b"bad\xe9.png")), "no image").unwrap();
    let line = ["encode", "BAD", "--encoder", "trilobite-dinov2", "--out", "g.npy"].map(OsStr::new);
    let line = line.map(|word| if word == "BAD" { name(b"bad\xe9.png") } else { word });
    let ran = place.run_with(&line, 1);
    assert!(ran.err.contains(r"bad\xE9.png: this is text"), "{}", ran.err);
}

#[test]
fn inputs_come_from_lists_and_from_standard_input() {
    let place = place(3);
    let features = |place: &Sandbox| place.tensors("f.safetensors").shape("features")[0];
    place.write("list", "in/00.png\r\n\nin/02.png\n");
    place.run(&format!("encode --files-from list {DINO} --out f.safetensors"), 0);
    assert_eq!(features(&place), 2);
    let line = |input: &str| {
        format!("encode {input} {DINO} --overwrite --out f.safetensors")
            .split(' ')
            .map(str::to_owned)
            .collect()
    };
    let all: Vec<String> = line("in/01.png --files-from -");
    place.run_typing(&all, "in/00.png\0in\0", 0);
    assert_eq!(features(&place), 5);
    let ran = place.run(&format!("encode --files-from none {DINO} --out g.npy"), 1);
    assert!(ran.err.contains("none: cannot read the list of inputs"), "{}", ran.err);
    let ran = place.run(&format!("encode {DINO} --out g.npy"), 2);
    assert!(ran.err.contains("<INPUT>"), "{}", ran.err);
}

/// Before anything is decoded, and once, however many images there are.
#[test]
fn what_an_encoder_does_not_have_is_found_first() {
    let place = place(2);
    place.write("in/zz.png", "no image");
    for (options, part) in [
        ("--layer 99", "layer 99 is out of range"),
        ("--tokens 37", "36 and 49"),
        ("--resolution 335", "of 335 pixels the last 13 would not be seen"),
        ("--resolution 3", "3×3 pixels do not work"),
    ] {
        let ran = place.run(&format!("encode in {DINO} {options} --out f.npy"), 1);
        assert_eq!(ran.err.matches(part).count(), 1, "{options}: {}", ran.err);
        assert!(!ran.err.contains("zz.png"), "{options}: {}", ran.err);
        assert_eq!(names(&place.path("")).iter().filter(|name| name.starts_with("f.npy")).count(), 0);
    }
    let ran = place.run(&format!("encode in/00.png {DINO} --max-pixels 100 --out f.npy"), 1);
    assert!(ran.err.contains("raise the limit: --max-pixels 1200"), "{}", ran.err);
    place.run(&format!("encode in/00.png {DINO} --max-pixels 1200 --out f.npy"), 0);
    let ran = place.run(&format!("encode in {DINO} --prefix --out g.npy"), 2);
    assert!(ran.err.contains("--prefix needs .safetensors"), "{}", ran.err);
}

const WORTHLESS: &str = "the model overflowed (try bf16 or f32 instead of f16) or its weights are damaged";

/// Spoils a tensor of a weight file.
fn spoil(path: &Path, tensor: &str) {
    let mut all: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let name = all.keys().find(|name| name.contains(tensor)).unwrap().clone();
    let spoilt = Tensor::full(f32::NAN, all[&name].shape(), &Device::Cpu).unwrap();
    let spoilt = spoilt.to_dtype(all[&name].dtype()).unwrap();
    all.insert(name, spoilt);
    candle_core::safetensors::save(&all, path).unwrap();
}

#[test]
fn numbers_that_are_none_are_an_error_in_encode_and_view() {
    let place = place(2);
    let pixels = Tensor::full(f32::NAN, (1, 3, 378, 378), &Device::Cpu).unwrap();
    let all = HashMap::from([("pixels".to_owned(), pixels.to_dtype(DType::F32).unwrap())]);
    candle_core::safetensors::save(&all, place.path("bad.safetensors")).unwrap();
    let line = format!("encode in bad.safetensors {DINO} --out f.safetensors");
    let json = place.json(&line, 1);
    assert_eq!(json["images"], 2);
    let error = json["failures"][0]["error"].as_str().unwrap();
    assert_eq!(error, "trilobite-dinov2: the input `pixels` holds NaN");

    let encoders = support::checkpoints().join("encoders");
    fs::copy(encoders.join("clip.safetensors"), place.path("w.safetensors")).unwrap();
    spoil(&place.path("w.safetensors"), "layers.0.mlp.fc1.weight");
    let subject = format!(
        "--encoder clip-vit-l-14-336 --weights w.safetensors --arch-override {}",
        encoders.join("clip.json").display()
    );
    for line in ["encode in --out g.npy", "view in/00.png --out v.png"] {
        let ran = place.run(&format!("{line} {subject}"), 1);
        assert!(ran.err.contains(WORTHLESS), "{line}: {}", ran.err);
        // Once, and how many more.
        assert_eq!(ran.err.matches("holds NaN").count(), 1, "{line}: {}", ran.err);
    }
    assert!(!place.path("g.npy").exists() && !place.path("v.png").exists());
}

#[test]
fn numbers_that_are_none_are_an_error_in_trace() {
    let place = Sandbox::new(&support::CAMBRIAN);
    place.image("a.png", 60, 40);
    place.checkpoint("cambrian-vicuna", "model");
    spoil(&place.path("model/model-00001-of-00002.safetensors"), "lm_head");
    let ran = place.run_with(&["trace", "a.png", QUESTION, "--model", "model", "--out", "t.safetensors"], 1);
    assert!(
        ran.err.contains("the result `logits` of `model` (plugin `llama`) holds NaN")
            && ran.err.contains(WORTHLESS),
        "{}",
        ran.err
    );
    assert!(!place.path("t.safetensors").exists());
}

/// The document says the same to programs.
#[test]
fn a_run_that_gave_nothing_lists_its_failures() {
    let place = place(0);
    for name in ["a.png", "b.png"] {
        place.write(name, "no image");
    }
    let json: Value = place.json(&format!("encode a.png b.png {DINO} --out f.npy"), 1);
    assert_eq!(json["error"], "none of 2 inputs could be encoded");
    assert_eq!(json["failures"].as_array().unwrap().len(), 2);
    assert_eq!(names(&place.path("")).iter().filter(|name| name.starts_with("f.npy")).count(), 0);
}
