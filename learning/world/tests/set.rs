//! Sets on the disk: the same bytes however they came to be, complete or not there, and nothing shared between splits.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use sha2::{Digest, Sha256};
use zoo_world::draw::Mix;
use zoo_world::scene::{Kind, Split};
use zoo_world::truth::Truth;
use zoo_world::write::{Begin, Ended, Format, Output, Pack, Plan, Watch, check, write};
use zoo_world::{Error, render, scene};

fn plan() -> Plan {
    Plan {
        seed: 5,
        side: 64,
        train: 260,
        val: 8,
        test: 24,
        mix: Mix::default(),
        outputs: Output::ALL.to_vec(),
        pack: Pack::Folder,
        format: Format::Jpg,
    }
}

fn go(out: &Path, plan: &Plan, begin: Begin) -> Result<Ended, Error> {
    write(out, plan, begin, &mut (), &AtomicBool::new(false))
}

/// Every file below a folder, by path, as a hash.
fn content(folder: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                out.insert(name, format!("{:x?}", Sha256::digest(fs::read(&path).unwrap()).as_slice()));
            }
        }
    }
    out
}

/// Stops after some scenes.
struct Stop<'a>(u64, &'a AtomicBool);

impl Watch for Stop<'_> {
    fn advance(&mut self, scenes: u64) {
        self.0 = self.0.saturating_sub(scenes);
        self.1.store(self.0 == 0, Ordering::Relaxed);
    }
}

#[test]
fn a_set_is_complete_or_not_there() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let Ended::Finished(leaks) = go(&one, &plan(), Begin::Anew).unwrap() else { panic!("nobody stopped it") };
    assert_eq!((leaks.shared, leaks.shared_parts, leaks.scenes["test"]), (0, 0, 24));
    let files = content(&one);
    for file in
        ["world.json", "train/instruct.jsonl", "test/questions.jsonl", "test/coco.json", "test/omni3d.json"]
    {
        assert!(files.contains_key(file), "{file} in {:?}", files.keys());
    }
    assert!(!files.keys().any(|file| file.contains("parts") || file.contains(".zoo-")), "{files:?}");

    // Stopped, with a part that is half there, and continued on one thread: the same bytes.
    let stop = AtomicBool::new(false);
    let ended = write(&two, &plan(), Begin::Anew, &mut Stop(1, &stop), &stop).unwrap();
    assert!(matches!(ended, Ended::Stopped(256)) && !two.exists(), "{ended:?}");
    let half = home.path().join(".two.unfinished/val/images/000");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("val-000000.jpg"), b"half").unwrap();
    for (begin, out, changed, message) in [
        (Begin::Anew, &one, plan(), "is there already"),
        (Begin::Resume, &one, plan(), "is there already"),
        (Begin::Anew, &two, plan(), "--resume goes on"),
        (Begin::Resume, &two, Plan { side: 72, ..plan() }, "side was 64"),
        (Begin::Resume, &home.path().join("three"), plan(), "leave out --resume"),
        (Begin::Anew, &home.path().join("three"), Plan { train: 0, val: 0, test: 0, ..plan() }, "how many"),
        (Begin::Anew, &home.path().join("three"), Plan { side: 8, ..plan() }, "8 pixels"),
    ] {
        let error = go(out, &changed, begin).unwrap_err().to_string();
        assert!(error.contains(message), "{begin:?} of {}: {error}", out.display());
    }
    // What a killed run leaves is no part of the set.
    let begun = home.path().join(".two.unfinished");
    for left in [".zoo-0.part", "train/.zoo-1.part", "train/images/000/.zoo-2.part"] {
        fs::write(begun.join(left), "half").unwrap();
    }
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    alone.install(|| go(&two, &plan(), Begin::Resume)).unwrap();
    assert_eq!(content(&two), files);

    // Replaced only when somebody says so, and then wholly.
    let small = Plan { train: 2, outputs: vec![], ..plan() };
    go(&two, &small, Begin::Overwrite).unwrap();
    assert!(!two.join("train/instruct.jsonl").exists() && two.join("train/scenes.jsonl").exists());
    // And never what is no set.
    let other = home.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "x").unwrap();
    for out in [&other, &other.join("precious")] {
        let error = go(out, &small, Begin::Overwrite).unwrap_err().to_string();
        assert!(error.contains("is not replaced"), "{error}");
    }
    assert_eq!(fs::read(other.join("precious")).unwrap(), b"x");
    fs::remove_dir_all(&other).unwrap();
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

fn rows(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn files_say_the_same_as_the_truth() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("set");
    let plan = Plan { train: 20, val: 0, test: 40, side: 96, format: Format::Png, ..plan() };
    go(&out, &plan, Begin::Anew).unwrap();
    let home = out.join("test");
    let read = |file: &str| -> Value { serde_json::from_slice(&fs::read(home.join(file)).unwrap()).unwrap() };
    let (coco, omni, scenes) = (read("coco.json"), read("omni3d.json"), rows(&home.join("scenes.jsonl")));
    assert_eq!((scenes.len(), coco["images"].as_array().unwrap().len()), (40, 40));
    let (mut boxes, mut bodies) = (0, 0);
    for row in &scenes {
        let truth: Truth = serde_json::from_value(row["truth"].clone()).unwrap();
        let picture = image::open(home.join(row["image"].as_str().unwrap())).unwrap().to_rgb8();
        let scene = serde_json::from_value(row["scene"].clone()).unwrap();
        // The scene on the disk is the scene: the picture comes out of it again, byte by byte.
        let seen = render(&scene, 96);
        assert_eq!(picture.as_raw(), &seen.rgb, "{}", truth.name);
        assert_eq!(Truth::of(&scene, &seen), truth);
        let mask = row["image"].as_str().unwrap().replace("images/", "masks/");
        let mask = image::open(home.join(&mask)).unwrap().to_luma8();
        assert!(mask.as_raw().iter().zip(&seen.instance).all(|(a, b)| u16::from(*a) == *b));
        if truth.kind == Kind::Room {
            let depth = row["image"].as_str().unwrap().replace("images/", "depth/");
            let depth = image::open(home.join(&depth)).unwrap().to_luma16();
            let far =
                |(a, b): (&u16, &f32)| (f64::from(*a) - (f64::from(*b) * 1000.0).min(65535.0)).abs() <= 0.51;
            assert!(depth.as_raw().iter().zip(&seen.depth).all(far), "{}", truth.name);
        }
        let of = |document: &Value| -> Vec<Value> {
            let all = document["annotations"].as_array().unwrap().iter();
            all.filter(|a| a["image_id"] == row["scene"]["index"]).cloned().collect()
        };
        let annotations = of(&coco);
        boxes += annotations.len();
        for annotation in &annotations {
            let number = annotation["id"].as_u64().unwrap() as usize % 64;
            let thing = &truth.things[number - 1];
            assert_eq!(annotation["area"], thing.pixels);
            assert_eq!(annotation["bbox"], serde_json::json!(thing.seen));
        }
        for annotation in of(&omni) {
            bodies += 1;
            let numbers = |value: &Value| -> Vec<f64> {
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|v| match v {
                        Value::Array(inner) => inner.iter().map(|v| v.as_f64().unwrap()).collect(),
                        v => vec![v.as_f64().unwrap()],
                    })
                    .collect()
            };
            let image = omni["images"]
                .as_array()
                .unwrap()
                .iter()
                .find(|i| i["id"] == annotation["image_id"])
                .unwrap();
            let (k, rotation) = (numbers(&image["K"]), numbers(&annotation["R_cam"]));
            let (centre, size) = (numbers(&annotation["center_cam"]), numbers(&annotation["dimensions"]));
            let corners = numbers(&annotation["bbox3D_cam"]);
            // Omni3D's own rule: corners from centre, dimensions and rotation, in its order.
            let signs = [
                (-1., -1., -1.),
                (1., -1., -1.),
                (1., 1., -1.),
                (-1., 1., -1.),
                (-1., -1., 1.),
                (1., -1., 1.),
                (1., 1., 1.),
                (-1., 1., 1.),
            ];
            let bounds = numbers(&annotation["bbox2D_proj"]);
            for (i, (x, y, z)) in signs.into_iter().enumerate() {
                let local = [x * size[0] / 2.0, y * size[1] / 2.0, z * size[2] / 2.0];
                let at: Vec<f64> = (0..3)
                    .map(|r| centre[r] + (0..3).map(|c| rotation[3 * r + c] * local[c]).sum::<f64>())
                    .collect();
                for (part, expected) in at.iter().enumerate() {
                    assert!((corners[3 * i + part] - expected).abs() < 2e-3, "{} corner {i}", truth.name);
                }
                // Every corner lies before the camera and near the box in the picture.
                let (u, v) = (k[0] * at[0] / at[2] + k[2], k[4] * at[1] / at[2] + k[5]);
                let slack = 0.35 * (bounds[2] - bounds[0]).max(bounds[3] - bounds[1]) + 2.0;
                assert!(
                    at[2] > 0.0 && u > bounds[0] - slack && u < bounds[2] + slack,
                    "{} corner {i} at {u}",
                    truth.name
                );
                assert!(v > bounds[1] - slack && v < bounds[3] + slack, "{} corner {i} at {v}", truth.name);
            }
        }
    }
    assert!(boxes > 80 && bodies > 40, "{boxes} {bodies}");
    let questions = rows(&home.join("questions.jsonl"));
    assert!(questions.len() > 100, "{}", questions.len());
    for row in &questions {
        let choices: Vec<&str> =
            row["choices"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        let letter = row["answer"].as_str().unwrap().as_bytes()[1];
        assert_eq!(choices[usize::from(letter - b'A')], row["text"].as_str().unwrap());
        assert!(row["prompt"].as_str().unwrap().contains(&format!(
            "({}) {}",
            char::from(letter),
            row["text"].as_str().unwrap()
        )));
    }
    for record in rows(&out.join("train/instruct.jsonl")) {
        let turns = record["conversations"].as_array().unwrap();
        assert!(turns.len() >= 2 && turns.len().is_multiple_of(2));
        for (i, turn) in turns.iter().enumerate() {
            assert_eq!(turn["from"], if i % 2 == 0 { "human" } else { "gpt" });
            assert_eq!(turn["value"].as_str().unwrap().contains("<image>"), i == 0);
        }
        assert!(out.join("train").join(record["image"].as_str().unwrap()).is_file());
    }
}

#[test]
fn archives_hold_what_folders_hold() {
    let home = tempfile::tempdir().unwrap();
    let (packed, loose) = (home.path().join("packed"), home.path().join("loose"));
    let plan = Plan { train: 6, val: 0, test: 0, ..plan() };
    go(&loose, &plan, Begin::Anew).unwrap();
    go(&packed, &Plan { pack: Pack::Tar, ..plan }, Begin::Anew).unwrap();
    let mut archive = tar::Archive::new(fs::File::open(packed.join("train/shard-00000.tar")).unwrap());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".jpg") {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            assert_eq!(bytes, fs::read(loose.join("train/images/000").join(&name)).unwrap(), "{name}");
        }
        names.push(name);
    }
    // What belongs together has one name up to the first dot, and stands together.
    let mut stems: Vec<&str> = names.iter().map(|name| name.split('.').next().unwrap()).collect();
    stems.dedup();
    assert_eq!(stems.len(), 6, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".json")).count(), 6);
}

#[test]
fn a_scene_in_the_wrong_split_is_found() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("set");
    go(&out, &Plan { train: 4, val: 0, test: 3, outputs: vec![], ..plan() }, Begin::Anew).unwrap();
    let (train, test) = (out.join("train/scenes.jsonl"), out.join("test/scenes.jsonl"));
    let line = fs::read_to_string(&train).unwrap().lines().next().unwrap().to_owned();
    fs::write(&test, fs::read_to_string(&test).unwrap() + &line + "\n").unwrap();
    let error = check(&out).unwrap_err().to_string();
    assert!(error.contains("test/scenes.jsonl: line 4") && error.contains("another split"), "{error}");
    fs::write(&test, "{}\n").unwrap();
    assert!(check(&out).unwrap_err().to_string().contains("line 1"));
    assert!(check(home.path()).unwrap_err().to_string().contains("no set of the world"));
}

#[test]
fn splits_of_any_two_seeds_share_no_scene() {
    let mut owners: BTreeMap<String, Split> = BTreeMap::new();
    for seed in [1, 2] {
        for split in Split::ALL.iter().copied() {
            for index in 0..60 {
                for key in zoo_world::scene::keys(&scene(seed, Mix::default(), split, index)) {
                    assert_eq!(*owners.entry(key.clone()).or_insert(split), split, "{key}");
                }
            }
        }
    }
    assert!(owners.len() > 300);
}

#[test]
fn pictures_are_the_same_on_every_machine() {
    // Of SHA-256 of pictures, masks and depths, as they were when the world had version 1. A change here draws another
    // world: then its version grows.
    let expected = ["4be7decec327a60a", "335a6bd4665c4c9d", "13ff2d8ca0aea8ea"];
    let of = |kind: &Kind| -> String {
        let mut hash = Sha256::new();
        for index in 0..4 {
            let seen = render(&scene(1, Mix::only(*kind), Split::Train, index), 72);
            hash.update(&seen.rgb);
            seen.instance.iter().for_each(|id| hash.update(id.to_le_bytes()));
            seen.depth.iter().for_each(|depth| hash.update(depth.to_le_bytes()));
        }
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let found: Vec<String> = [Kind::Room, Kind::Flat, Kind::Page].iter().map(of).collect();
    assert_eq!(found, expected);
}
