//! `zoo chat` and `zoo explain` from end to end, on the test checkpoints.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;
use std::path::Path;

use program::{QUESTION, Ran, Sandbox, model};
use serde_json::{Value, json};

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

/// A landscape and a portrait.
fn place() -> Sandbox {
    let place = Sandbox::new(&support::CAMBRIAN);
    place.image("photo.png", 120, 60);
    place.image("other.png", 50, 70);
    place
}

#[track_caller]
fn chat(place: &Sandbox, arguments: &[&str], lines: &[&str], code: i32) -> Ran {
    let model = model();
    let all = [&["chat"], arguments, &["--model", &model, "--max-new-tokens", "6"]].concat();
    place.run_typing(&all, lines.join("\n"), code)
}

#[track_caller]
fn turns(place: &Sandbox, arguments: &[&str], lines: &[&str]) -> Vec<Value> {
    let ran = chat(place, &[arguments, &["--json"]].concat(), lines, 0);
    serde_json::from_str::<Value>(&ran.out).unwrap()["turns"].as_array().unwrap().clone()
}

fn kept(turn: &Value) -> u64 {
    turn["prompt"]["kept"].as_u64().unwrap()
}

#[test]
fn a_chat_goes_on_where_it_was_and_answers_as_ask_does() {
    let place = place();
    let turns = turns(&place, &["photo.png"], &[QUESTION, "Why?", "/reset", QUESTION]);
    let model = model();
    let asked =
        place.json_with(&["ask", "photo.png", QUESTION, "--model", &model, "--max-new-tokens", "6"], 0);
    assert_eq!(turns.len(), 3);
    assert_eq!(turns[0]["answer"], asked["answers"][0]["answer"]);
    assert_eq!((kept(&turns[0]), turns[0]["tokens"].as_u64()), (0, Some(6)));
    // The second turn keeps the first prompt and more; begun anew, only the last token is read.
    let first = turns[0]["prompt"]["positions"].as_u64().unwrap();
    assert!(kept(&turns[1]) >= first, "{turns:?}");
    assert_eq!(kept(&turns[2]), first - 1);
    assert_eq!(turns[2]["answer"], turns[0]["answer"]);
    assert_eq!((&turns[1]["question"], &turns[1]["image"]), (&json!("Why?"), &json!("photo.png")));
}

#[test]
fn a_turn_after_others_is_that_of_a_model_without_memory() {
    let place = place();
    let long = turns(&place, &["photo.png"], &["Hi", QUESTION, "/reset", QUESTION, "Why?"]);
    let short = turns(&place, &["photo.png"], &[QUESTION, "Why?"]);
    for (long, short) in long[2..].iter().zip(&short) {
        assert_eq!(long["answer"], short["answer"]);
    }
}

#[test]
fn images_are_shown_and_conversations_saved() {
    let place = place();
    let ran = chat(
        &place,
        &["photo.png"],
        &[
            "/help",
            QUESTION,
            "/save one.json",
            "/image other.png",
            QUESTION,
            "Why?",
            "/save two.md",
            "/quit",
            "Never",
        ],
        0,
    );
    assert!(ran.out.starts_with("/image PATH"), "{}", ran.out);
    for note in ["1 turn in one.json", "a new conversation about other.png", "2 turns in two.md"] {
        assert!(ran.err.contains(note), "{note}: {}", ran.err);
    }
    let saved: Value = serde_json::from_str(&fs::read_to_string(place.path("one.json")).unwrap()).unwrap();
    let turns = &saved[0]["conversations"];
    assert_eq!((&saved[0]["image"], turns.as_array().unwrap().len()), (&json!("photo.png"), 2));
    assert_eq!(turns[0], json!({"from": "human", "value": format!("<image>\n{QUESTION}")}));
    assert_eq!(turns[1]["from"], "gpt");
    assert!(ran.out.contains(turns[1]["value"].as_str().unwrap()), "{}", ran.out);
    let text = fs::read_to_string(place.path("two.md")).unwrap();
    assert!(text.starts_with(&format!("Image: other.png\n\n> {QUESTION}\n\n")), "{text}");
    assert!(text.contains("> Why?\n\n") && !text.contains("Never"), "{text}");
    let answers = self::turns(&place, &[], &["/image other.png", QUESTION]);
    let direct = self::turns(&place, &["other.png"], &[QUESTION]);
    assert_eq!(answers[0]["answer"], direct[0]["answer"]);
    place.is_tidy();
}

#[test]
fn a_line_that_fails_is_told_and_the_chat_goes_on() {
    let place = place();
    let ran = chat(&place, &[], &["/imagine", "/image none.png", "/image", "", "Hi", "/save"], 1);
    for message in ["no command /imagine", "none.png", "/image needs a file", "/save needs a file"] {
        assert!(ran.err.contains(message), "{}", ran.err);
    }
    assert_eq!(ran.out.trim().lines().count(), 1, "one answer: {}", ran.out);
    // More than the context: said with figures, and the question is forgotten.
    let long = "word ".repeat(6000);
    let ran = chat(&place, &["--json"], &[&long, "Hi"], 1);
    assert!(ran.err.contains("shorten the prompt or the history"), "{}", ran.err);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["turns"].as_array().unwrap().len(), 1);
    let ran = chat(&place, &["--top-k", "3"], &[], 2);
    assert!(ran.err.contains("--top-k means nothing to greedy search"), "{}", ran.err);
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|v| v.as_f64().unwrap())
        .collect()
}

#[test]
fn an_explanation_has_every_layer_and_adds_up() {
    let place = place();
    let model = model();
    let explain = |image: &str| {
        let arguments = [
            "explain",
            image,
            QUESTION,
            "--model",
            &model,
            "--out",
            "x.png",
            "--overwrite",
            "--max-new-tokens",
            "4",
        ];
        place.json_with(&arguments, 0)
    };
    let config: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&model).join("config.json")).unwrap()).unwrap();
    let number = |key: &str| config[key].as_u64().unwrap() as usize;
    let (depth, inside) = (number("connector_depth"), number("num_of_vision_sampler_layers"));
    let (start, stride) =
        (number("start_of_vision_sampler_layers"), number("stride_of_vision_sampler_layers"));
    let mut pictures = Vec::new();
    for image in ["photo.png", "other.png"] {
        let json = explain(image);
        let layers = json["layers"].as_array().unwrap();
        let places: Vec<_> =
            layers.iter().map(|l| (l["where"].clone(), l["layer"].clone(), l["after"].clone())).collect();
        let mut expected: Vec<_> = (0..depth).map(|l| (json!("before"), json!(l), Value::Null)).collect();
        expected.extend((0..inside).map(|n| (json!("inside"), Value::Null, json!(start + n * stride))));
        assert_eq!(places, expected);
        for layer in layers {
            let shares = layer["shares"].as_object().unwrap();
            assert_eq!(shares.len(), json["encoders"].as_array().unwrap().len());
            let [rows, columns] = ["rows", "columns"].map(|key| {
                layer[key][1].as_u64().unwrap() as usize - layer[key][0].as_u64().unwrap() as usize
            });
            let side = layer["grid"][0].as_u64().unwrap() as usize;
            assert!(if image == "photo.png" {
                rows < side && columns == side
            } else {
                columns < side && rows == side
            });
            let shares: Vec<(String, Vec<f64>)> =
                shares.iter().map(|(id, v)| (id.clone(), numbers(v))).collect();
            for cell in 0..rows * columns {
                let sum: f64 = shares.iter().map(|(_, values)| values[cell]).sum();
                assert!((sum - 1.0).abs() < 1e-4, "{sum}");
            }
            for (id, values) in &shares {
                assert_eq!(values.len(), rows * columns);
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                assert!((mean - layer["mean"][id].as_f64().unwrap()).abs() < 1e-5);
            }
        }
        let asked = place.json_with(&["ask", image, QUESTION, "--model", &model, "--max-new-tokens", "4"], 0);
        assert_eq!(json["answer"], asked["answers"][0]["answer"], "watching changes nothing");
        let picture = image::open(place.path("x.png")).unwrap().to_rgb8();
        assert_eq!(json["size"], json!([picture.width(), picture.height()]));
        pictures.push(picture);
    }
    assert_ne!(pictures[0], pictures[1]);
    place.is_tidy();
}

#[test]
fn what_cannot_be_explained_is_said() {
    let llava = support::checkpoints().join("llava-1.5").display().to_string();
    let place = Sandbox::new(&[&support::CAMBRIAN[..], &["plugins/projectors"]].concat());
    place.image("photo.png", 60, 60);
    let ran = place.run_with(&["explain", "photo.png", QUESTION, "--model", &llava, "--out", "x.png"], 1);
    assert!(ran.err.contains("telling where its layers look"), "{}", ran.err);
    let ran = place.run_with(&["explain", "photo.png", QUESTION, "--model", &llava, "--out", "x.jpg"], 2);
    assert!(ran.err.contains("give a name in .png"), "{}", ran.err);
    assert!(!place.path("x.png").exists());
}
