//! What people give to the commands that ask a model, beyond what was meant: names that are not UTF-8, folders with broken
//! images, images of which something is lost, models that are none, standard input.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;

use program::{QUESTION, Sandbox, model};
use serde_json::{Value, json};

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

fn place() -> Sandbox {
    let place = Sandbox::new(&support::CAMBRIAN);
    place.image("photo.png", 120, 90);
    place
}

/// `zoo ask` of these images, with few tokens.
fn ask(place: &Sandbox, images: &[&str], more: &[&str], code: i32) -> Value {
    let model = model();
    let all = [&["ask"], images, &[QUESTION, "--model", &model, "--max-new-tokens", "3"], more].concat();
    place.json_with(&all, code)
}

#[test]
fn a_folder_is_asked_about_image_by_image_and_a_broken_one_costs_no_other() {
    let place = place();
    place.image("photos/a.png", 40, 30);
    place.image("photos/c.png", 30, 40);
    let whole = fs::read(place.path("photos/c.png")).unwrap();
    fs::write(place.path("photos/b.png"), &whole[..whole.len() / 2]).unwrap();
    place.write("photos/d.txt", "no image");
    let alone = |name: &str| ask(&place, &[name], &[], 0)["answers"][0].clone();
    let expected = json!([alone("photos/a.png"), alone("photos/c.png")]);
    for more in [&[][..], &["--drop-encoders"]] {
        let all = ask(&place, &["photos"], more, 1);
        assert_eq!(all["answers"], expected);
        let failures = all["failures"].as_array().unwrap();
        assert!(failures.len() == 1 && failures[0]["error"].as_str().unwrap().contains("b.png"), "{all}");
        assert_eq!(all["error"], "1 input got no answer");
    }
    // For people: what was answered on one stream, what was not on the other, once.
    let model = model();
    let line = ["ask", "photos", "none.png", QUESTION, "--model", &model, "--max-new-tokens", "3"];
    let ran = place.run_with(&line, 1);
    assert_eq!(ran.out.lines().filter(|l| l.starts_with("a.png: ") || l.starts_with("c.png: ")).count(), 2);
    for name in ["b.png", "none.png"] {
        assert_eq!(ran.err.matches(name).count(), 1, "{}", ran.err);
    }
    assert!(ran.err.contains("2 inputs got no answer") && ran.err.contains("d.txt"), "{}", ran.err);
    // Nothing left: said once each, and no model is loaded for it.
    let ran = place.run_with(&["ask", "photos/b.png", "none.png", QUESTION, "--model", &model], 1);
    assert!(ran.err.contains("none of 2 inputs got an answer"), "{}", ran.err);
    let ran = place.run_with(&["ask", "none.png", QUESTION, "--model", "no-such-model"], 1);
    assert_eq!(ran.err.matches("none.png").count(), 1, "{}", ran.err);
}

/// Images of which something is lost, and what is said of it.
fn lossy(place: &Sandbox) -> Vec<(&'static str, &'static str)> {
    let grey = image::ImageBuffer::from_fn(40, 30, |x, y| image::Luma([(x * 900 + y) as u16]));
    grey.save(place.path("grey16.png")).unwrap();
    image::RgbaImage::from_pixel(40, 30, image::Rgba([9, 200, 30, 128]))
        .save(place.path("alpha.png"))
        .unwrap();
    let golden = support::sources("inputs/preprocess/golden/decode");
    for name in ["animated.gif", "turned.png"] {
        fs::copy(golden.join(name), place.path(name)).unwrap();
    }
    vec![
        ("grey16.png", "16-bit grey clipped"),
        ("alpha.png", "transparency dropped"),
        ("animated.gif", "the first of several frames"),
        ("turned.png", "EXIF orientation 6 not applied"),
    ]
}

#[test]
fn what_was_lost_of_an_image_is_said_by_every_command_that_looks_at_one() {
    let place = place();
    let model = model();
    let encoder = "clip-vit-l-14-336";
    let weights = support::checkpoints().join("encoders/clip.safetensors").display().to_string();
    let arch = support::checkpoints().join("encoders/clip.json").display().to_string();
    for (image, words) in lossy(&place) {
        let asking = ["--model", &model, "--max-new-tokens", "2"];
        let encoding = ["--encoder", encoder];
        let small = ["--weights", &weights, "--arch-override", &arch];
        let commands = [
            [&["ask", image, QUESTION], &asking[..]].concat(),
            [&["chat", image], &asking[..]].concat(),
            [&["explain", image, QUESTION, "--overwrite", "--out", "x.png"], &asking[..]].concat(),
            vec!["trace", image, QUESTION, "--overwrite", "--out", "t.safetensors", "--model", &model],
            [&["view", image, "--overwrite", "--out", "v.png"], &encoding[..], &small].concat(),
            [&["preprocess", image, "--overwrite", "--out", "p.safetensors"], &encoding[..]].concat(),
        ];
        for command in commands {
            let ran = place.run_typing(&[&command[..], &["--json"]].concat(), "Why?\n", 0);
            let json: Value = serde_json::from_str(&ran.out).unwrap();
            let notes = [&json["notes"], &json["answers"][0]["notes"], &json["turns"][0]["notes"]];
            let said = notes.iter().filter(|notes| notes.to_string().contains(words)).count();
            assert_eq!(said, 1, "{command:?}: {json}");
            assert_eq!(ran.err.matches(words).count(), 1, "{command:?}: {}", ran.err);
            let line = ran.err.lines().find(|line| line.contains(words)).unwrap();
            assert!(line.starts_with(&format!("{image}: ")), "{line}");
        }
        for file in ["t.safetensors", "p.safetensors"] {
            assert!(place.tensors(file).metadata("notes").contains(words), "{file}");
        }
    }
    assert_eq!(ask(&place, &["photo.png"], &[], 0)["answers"][0]["notes"], json!([]));
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt as _;

    let place = place();
    let name = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    place.checkpoint("cambrian-vicuna", "model");
    let (image, folder) = (name(b"caf\xe9.png"), name(b"mod\xe8le"));
    fs::rename(place.path("photo.png"), place.path("x").with_file_name(&image)).unwrap();
    fs::rename(place.path("model"), place.path("x").with_file_name(&folder)).unwrap();
    let weights = name(b"cl\xefp.safetensors");
    fs::copy(
        support::checkpoints().join("encoders/clip.safetensors"),
        place.path("x").with_file_name(&weights),
    )
    .unwrap();
    let arch = support::checkpoints().join("encoders/clip.json");
    let question = OsString::from(QUESTION);
    let words = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
    let out = |end: &str| [b"\xe9t\xe9.", end.as_bytes()].concat();
    let out = |end: &str| vec!["--overwrite".into(), "--out".into(), name(&out(end))];
    let asking = [vec!["--model".into(), folder.clone()], words("--max-new-tokens 2")].concat();
    let looking = [
        words("--encoder clip-vit-l-14-336 --weights"),
        vec![weights, "--arch-override".into(), arch.into()],
    ]
    .concat();
    let commands: Vec<Vec<OsString>> = vec![
        [vec!["ask".into(), image.clone(), question.clone()], asking.clone()].concat(),
        [vec!["chat".into(), image.clone(), "--overwrite".into()], asking.clone()].concat(),
        [vec!["explain".into(), image.clone(), question.clone()], asking.clone(), out("png")].concat(),
        [vec!["trace".into(), image.clone(), question], asking[..2].to_vec(), out("safetensors")].concat(),
        [vec!["view".into(), image.clone()], looking, out("png")].concat(),
        [vec!["preprocess".into(), image.clone()], words("--encoder clip-vit-l-14-336"), out("safetensors")]
            .concat(),
        [words("quantize --type q8_0"), vec![folder], out("gguf")].concat(),
    ];
    for command in commands {
        let session = b"Why?\n/image caf\xe9.png\n/save said.json\nHi\n";
        let chat = command[0] == "chat";
        // A line of a chat is text; the one with the name is told of, and the chat goes on.
        let code = i32::from(chat);
        let plain = place.run_typing(&command, session, code);
        assert!(!plain.err.contains("panicked"), "{}", plain.err);
        let json = place.run_typing(&[command.clone(), words("--json")].concat(), session, code);
        let shown: Value =
            serde_json::from_str(&json.out).unwrap_or_else(|e| panic!("{command:?}: {e}: {}", json.out));
        let text = shown.to_string();
        assert!(text.contains(r"caf\\xE9.png") || text.contains(r"\\xE9t\\xE9."), "{text}");
        if chat {
            assert_eq!(shown["turns"].as_array().unwrap().len(), 2);
            assert!(json.err.contains("line 2 of standard input is not UTF-8"), "{}", json.err);
            let saved: Value =
                serde_json::from_str(&fs::read_to_string(place.path("said.json")).unwrap()).unwrap();
            assert_eq!(saved[0]["image"], r"caf\xE9.png");
        }
    }
    let ran = place.run_with(&[OsString::from("info"), image.clone()], 2);
    assert!(ran.err.contains(r"`caf\xE9.png`: not UTF-8"), "{}", ran.err);
    let ran = place.run_with(&[OsString::from("ask"), image], 2);
    assert!(ran.err.contains(r"`caf\xE9.png` is a file"), "{}", ran.err);
}

#[test]
fn an_image_may_come_on_standard_input() {
    let place = place();
    let bytes = fs::read(place.path("photo.png")).unwrap();
    let model = model();
    let named = ask(&place, &["photo.png"], &[], 0)["answers"][0]["answer"].clone();
    let line = ["ask", "-", QUESTION, "--model", &model, "--max-new-tokens", "3", "--json"];
    let ran = place.run_typing(&line, &bytes, 0);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["answers"][0]["answer"], &json["answers"][0]["image"]), (&named, &"-".into()));
    let preprocess = |image: &str, out: &str| {
        let line = ["preprocess", image, "--encoder", "clip-vit-l-14-336", "--out", out];
        place.run_typing(&line, &bytes, 0);
        place.tensors(out).values("pixels")
    };
    assert_eq!(preprocess("-", "a.safetensors"), preprocess("photo.png", "b.safetensors"));
    let ran = place.run_typing(&line, "no image", 1);
    assert!(ran.out.contains("standard input: this is text, not an image"), "{}", ran.out);
}

#[test]
fn a_model_that_is_none_gets_a_hint() {
    let place = place();
    place.write("some.gguf", "GGUF");
    place.write("weights/model.safetensors", "");
    for (model, parts) in [
        ("org/name", &["there is no folder `org/name`", "hf download org/name"][..]),
        ("nyu-visionx/cambrian-8b", &["is the model `cambrian-8b` here: --model cambrian-8b"]),
        ("some.gguf", &["holds the language model alone", "weights = \"some.gguf\""]),
        ("./some.gguf", &["holds the language model alone"]),
        ("weights/model.safetensors", &["this is a file", "give the folder"]),
        ("no/such/folder", &["there is no such folder"]),
    ] {
        let ran = place.run_with(&["ask", "photo.png", QUESTION, "--model", model], 1);
        for part in parts {
            assert!(ran.err.contains(part), "{model}: {}", ran.err);
        }
    }
}

#[test]
fn a_chat_loses_nothing_to_a_line_that_is_no_text() {
    let place = place();
    let model = model();
    let line = ["chat", "photo.png", "--model", &model, "--max-new-tokens", "2", "--json"];
    let clean = place.run_typing(&line, "Hi\nWhy?\n", 0);
    let marked = place.run_typing(&line, "\u{feff}Hi\r\nWhy?", 0);
    let spoilt = place.run_typing(&line, b"Hi\nna\xefve\nWhy?\n", 1);
    let turns = |out: &str| serde_json::from_str::<Value>(out).unwrap()["turns"].clone();
    assert_eq!(turns(&marked.out), turns(&clean.out));
    assert_eq!(turns(&spoilt.out), turns(&clean.out));
    assert!(spoilt.err.contains("line 2 of standard input is not UTF-8 (byte 3 of it)"), "{}", spoilt.err);
}

#[test]
fn a_chat_says_what_it_is_about_when_an_image_cannot_be_shown() {
    let place = place();
    let model = model();
    let line = ["chat", "photo.png", "--model", &model, "--max-new-tokens", "2", "--json"];
    let ran = place.run_typing(&line, "/image none.png\nHi\n", 1);
    assert!(ran.err.contains("none.png: ") && ran.err.contains("still about photo.png"), "{}", ran.err);
    let ran = place.run_typing(&["chat", "--model", &model], "/image none.png\n", 1);
    assert!(ran.err.contains("still about no image"), "{}", ran.err);
}

#[test]
fn a_template_that_leaves_the_question_out_is_refused_before_anything_is_answered() {
    let place = place();
    place.checkpoint("cambrian-vicuna", "model");
    let ask = |template: &str, code: i32| {
        place.write("model/chat_template.json", &json!({ "chat_template": template }).to_string());
        let line = ["ask", "photo.png", QUESTION, "--model", "model", "--template", "chat_template"];
        place.run_with(&[&line[..], &["--max-new-tokens", "2"]].concat(), code)
    };
    let loop_ = |body: &str| format!("{{% for m in messages %}}{body}{{% endfor %}}</s>");
    let ran = ask(&loop_("{{ m.role }}: <image>"), 1);
    assert!(
        ran.err.contains("chat_template.json") && ran.err.contains("leaves `What is unusual here?` out"),
        "{}",
        ran.err
    );
    let ran = ask(&loop_("{{ m.content.replace('<image>', '') }}"), 1);
    assert!(ran.err.contains("1 images are shown, and the prompt that it writes has 0"), "{}", ran.err);
    let parts = "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}";
    ask(&loop_(parts), 0);
}
