//! Several processes that share a run: real ones of the program, on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::program::{File, Sandbox};
use super::{CONNECTOR, from_nothing, shapes, support, trilobite};

/// A port that is free.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts process `rank` of `size`, which runs in a folder of its own.
fn spawn(place: &Sandbox, line: &str, rank: usize, size: usize, port: u16) -> Child {
    let folder = place.path(&format!("process-{rank}"));
    fs::create_dir_all(&folder).unwrap();
    let mut command = place.command(&line.split_whitespace().collect::<Vec<_>>());
    command.current_dir(folder).env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
    command.env("LOCAL_RANK", rank.to_string()).env("LOCAL_WORLD_SIZE", size.to_string());
    command.env("RANK", rank.to_string()).env("WORLD_SIZE", size.to_string());
    command.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What each of the processes says at its end: its code, and what it wrote for people and programs.
fn ended(place: &Sandbox, children: Vec<Child>) -> Vec<(Option<i32>, String)> {
    let ended = |(rank, mut child): (usize, Child)| {
        let code = child.wait().unwrap().code();
        let read = |name: &str| {
            fs::read_to_string(place.path(&format!("process-{rank}/{name}"))).unwrap_or_default()
        };
        (code, read("stdout") + &read("stderr"))
    };
    children.into_iter().enumerate().map(ended).collect()
}

fn together(place: &Sandbox, line: &str, size: usize) -> Vec<(Option<i32>, String)> {
    let port = port();
    ended(place, (0..size).map(|rank| spawn(place, line, rank, size, port)).collect())
}

fn trained(folder: &Path, step: usize) -> BTreeMap<String, Vec<f32>> {
    let file = File::open(&folder.join(format!("checkpoints/step-{step:08}/trained.safetensors")));
    file.names().into_iter().map(|name| (name.clone(), file.values(&name))).collect()
}

/// The same parameters and the same log, but for rounding.
#[track_caller]
fn alike(folder: &Path, expected: &Path, step: usize) {
    let (got, expected_values) = (trained(folder, step), trained(expected, step));
    assert_eq!(got.keys().collect::<Vec<_>>(), expected_values.keys().collect::<Vec<_>>());
    for (key, one) in &expected_values {
        let rms = (one.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / one.len() as f64).sqrt();
        let apart = got[key].iter().zip(one).map(|(a, b)| f64::from(a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-4 * rms.max(1e-3), "{key}: {apart:.1e} apart, of {rms:.1e}");
    }
    let log = |folder: &Path| -> Vec<Value> {
        let text = fs::read_to_string(folder.join("log.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (got, expected) = (log(folder), log(expected));
    assert_eq!((got.len(), expected.len()), (step, step));
    for (a, b) in got.iter().zip(&expected) {
        let [x, y] = [a, b].map(|line| line["loss"].as_f64().unwrap());
        assert!((x - y).abs() < 1e-5 * y.max(1.0), "{a}\n{b}");
        for count in ["step", "samples", "tokens", "trained_tokens", "cut", "rates"] {
            assert_eq!(a[count], b[count], "{count}");
        }
        // Their places are seen from where the processes run.
        let [x, y] = [a, b].map(|line| line["skipped"].as_array().map_or(0, Vec::len));
        assert_eq!(x, y, "{a}\n{b}");
    }
}

/// Processes that share the batches of a step come to what one comes to, with what is left out at random, with a number of
/// batches that is not even, and samples that cannot be used; and one goes on where two ended.
#[test]
fn several_processes_learn_what_one_learns() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 10);
    let records = fs::read_to_string(place.path("shapes.jsonl")).unwrap();
    place.write("shapes.jsonl", &records.replace("3.png", "gone.png"));
    let stage = format!("train = {CONNECTOR}\nlora = {{ rank = 2, dropout = 0.2 }}");
    // With the usual epsilon, Adam makes whole steps of gradients that are nothing but rounding.
    let recipe = from_nothing(&trilobite(), "out", &stage, 4)
        .replace("\"shapes.jsonl\"", "\"../shapes.jsonl\"\nimages = \"..\"")
        .replace("size = 4", "size = 2\naccumulate = 3")
        + "rate = 1e-3\nepsilon = 1e-3\n[checkpoints]\nevery = 2\nkeep = 2\n";
    for name in ["one", "two", "three", "resumed"] {
        place.write(&format!("{name}/recipe.toml"), &recipe);
    }
    place.run("train one/recipe.toml --quiet", 0);
    for (name, size) in [("two", 2), ("three", 3)] {
        let line = format!("train ../{name}/recipe.toml --quiet");
        for (rank, (code, text)) in together(&place, &line, size).into_iter().enumerate() {
            let expected = if rank == 0 { "trained for 4 steps" } else { "did its share of 4 of 4 steps" };
            assert!(code == Some(0) && text.contains(expected), "{name}, process {rank}: {code:?} {text}");
        }
        alike(&place.path(&format!("{name}/out")), &place.path("one/out"), 4);
    }
    // Where two processes were after two steps, one goes on, and the other way round.
    for (from, to, size) in [("two", "resumed", 1), ("one", "two", 2)] {
        let out = place.path(&format!("{to}/out"));
        if to == "two" {
            fs::remove_dir_all(&out).unwrap();
        }
        copy(&place.path(&format!("{from}/out")), &out);
        fs::remove_dir_all(out.join("checkpoints/step-00000004")).unwrap();
        let line = format!("train ../{to}/recipe.toml --quiet --resume");
        let all = together(&place, &line, size);
        assert!(all.iter().all(|(code, _)| *code == Some(0)), "{all:?}");
        alike(&out, &place.path("one/out"), 4);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// One that is gone ends all of them with one message, and what was saved stays.
#[test]
fn a_lost_process_ends_all() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 6);
    let recipe = from_nothing(&trilobite(), "out", &format!("train = {CONNECTOR}"), 100_000)
        .replace("size = 4", "size = 1\naccumulate = 3")
        + "rate = 1e-3\n[checkpoints]\nevery = 1\n";
    place.write("recipe.toml", &recipe);
    for lost in [2, 0] {
        let (again, port) = (if lost == 0 { "--resume" } else { "" }, port());
        let line = format!("train ../recipe.toml --quiet {again}");
        let mut children: Vec<Child> = (0..3).map(|rank| spawn(&place, &line, rank, 3, port)).collect();
        let before = last(&place);
        while last(&place) == before {
            assert!(
                children.iter_mut().all(|child| child.try_wait().unwrap().is_none()),
                "it ended by itself"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        children[lost].kill().unwrap();
        for (rank, (code, text)) in ended(&place, children).into_iter().enumerate() {
            if rank != lost {
                assert_eq!(code, Some(1), "process {rank}: {text}");
                assert!(text.contains(&format!("process {lost} of 3 is gone")), "process {rank}: {text}");
                assert!(text.contains("--resume goes on from the last checkpoint"), "{text}");
            }
        }
        assert!(last(&place).is_some());
    }
}

/// The last checkpoint.
fn last(place: &Sandbox) -> Option<String> {
    let entries = fs::read_dir(place.path("out/checkpoints")).ok()?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("step-")).max()
}

/// Processes that do not belong together, or cannot share, are told why before anything is spent.
#[test]
fn processes_that_do_not_fit_are_told_why() {
    let place = Sandbox::new(&support::ALL);
    shapes(&place.path(""), 6);
    let recipe = |steps, batches: &str| {
        from_nothing(&trilobite(), "out", "train = [\"*\"]", steps).replace("size = 4", batches)
            + "rate = 1e-3\n"
    };
    place.write("recipe.toml", &recipe(2, "size = 1\naccumulate = 2"));
    place.write("other.toml", &recipe(3, "size = 1\naccumulate = 2"));
    place.write("one-batch.toml", &recipe(2, "size = 2"));
    let check = |lines: [&str; 2], expected: &str| {
        let port = port();
        let children =
            lines.iter().enumerate().map(|(rank, line)| spawn(&place, line, rank, 2, port)).collect();
        for (code, text) in ended(&place, children) {
            assert!(code == Some(1) && text.contains(expected), "{code:?}: {text}");
        }
    };
    check(
        ["train ../recipe.toml --quiet", "train ../other.toml --quiet"],
        "does not belong to this run: its recipe is another one",
    );
    check(["train ../one-batch.toml --quiet"; 2], "one-batch.toml:");
    check(["train ../one-batch.toml --quiet"; 2], "write `accumulate = 2` under `[batch]`");
    assert!(!place.path("out").exists());
}
