//! Questions from annotations in the true forms of COCO, ADE20K and Omni3D: every stored answer follows from the annotation,
//! places of right options are used equally often, no two options are equal, the same seed gives the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use zoo_eval::build::{Decision, Rules, Verdict, ade20k, build, coco, finish, omni3d};
use zoo_eval::dataset::Dataset;
use zoo_eval::task::shipped;

const SIZE: (u32, u32) = (120, 90);

fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(SIZE.0, SIZE.1, image::Rgb([90, 90, 90])).save(path).unwrap();
}

/// Numbers that repeat themselves: 0 to `below`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

const CLASSES: [&str; 4] = ["cat", "dog", "bus", "kite"];

/// Pictures with a grid of places, each with at most one object.
fn coco_file(folder: &Path, pictures: usize) -> Value {
    let mut numbers = Numbers(7);
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for id in 0..pictures {
        let name = format!("{id:012}.png");
        picture(&folder.join(&name));
        images.push(json!({ "id": id, "file_name": name, "width": SIZE.0, "height": SIZE.1 }));
        for place in 0..9_u64 {
            if numbers.next(2) == 0 {
                let (x, y) = (40 * (place % 3) + 3, 30 * (place / 3) + 3);
                let category = numbers.next(4);
                let bbox = [x, y, 20 + numbers.next(10), 15 + numbers.next(8)];
                let crowd = u64::from(numbers.next(25) == 0);
                annotations.push(json!({ "id": annotations.len(), "image_id": id, "category_id": category, "bbox": bbox, "iscrowd": crowd }));
            }
        }
    }
    let categories: Vec<Value> =
        CLASSES.iter().enumerate().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    let all = json!({ "info": {}, "images": images, "annotations": annotations, "categories": categories });
    std::fs::write(folder.join("instances.json"), all.to_string()).unwrap();
    all
}

fn box_at([x, y, z]: [f64; 3], half: f64) -> [[f64; 3]; 8] {
    std::array::from_fn(|corner| {
        let side = |bit: usize| if corner >> bit & 1 == 0 { -half } else { half };
        [x + side(0), y + side(1), z + side(2)]
    })
}

fn omni_file(folder: &Path, pictures: usize) -> Value {
    let mut numbers = Numbers(11);
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for id in 0..pictures {
        let name = format!("SUNRGBD/{id}.png");
        picture(&folder.join(&name));
        let intrinsics = [[100.0, 0.0, 60.0], [0.0, 100.0, 45.0], [0.0, 0.0, 1.0]];
        images
            .push(json!({ "id": id, "file_path": name, "width": SIZE.0, "height": SIZE.1, "K": intrinsics }));
        for (place, class) in CLASSES.iter().enumerate() {
            let at = [place as f64 - 1.5, 0.0, 2.0 + numbers.next(40) as f64 / 8.0];
            let valid = numbers.next(12) > 0;
            annotations.push(json!({
                "image_id": id, "category_name": class, "category_id": place, "valid3D": valid, "behind_camera": false,
                "visibility": 1.0, "truncation": 0.0, "bbox3D_cam": box_at(at, 0.3),
            }));
        }
    }
    let all = json!({ "info": { "source": "SUNRGBD" }, "images": images, "annotations": annotations, "categories": [] });
    std::fs::write(folder.join("omni.json"), all.to_string()).unwrap();
    all
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item[key].as_str().unwrap()
}

/// The text of the right option.
fn right(item: &Value) -> &str {
    let letter = text(item, "answer").as_bytes()[1];
    item["choices"][usize::from(letter - b'A')].as_str().unwrap()
}

#[test]
fn answers_follow_from_boxes_in_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let all = coco_file(folder.path(), 60);
    let scenes = coco(&folder.path().join("instances.json")).unwrap();
    let out = folder.path().join("out");
    let rules = Rules { per_picture: 2, absent_every: 7, ..Rules::default() };
    let built = build(&scenes, folder.path(), &out, &rules).unwrap();
    assert!(built.items["Count"] > 60 && built.items["Relation"] > 60, "{built:?}");
    let objects = |file: &str, class: &str| -> Vec<[f64; 4]> {
        let image =
            all["images"].as_array().unwrap().iter().find(|image| image["file_name"] == file).unwrap();
        let category = CLASSES.iter().position(|c| *c == class).unwrap();
        let of = all["annotations"].as_array().unwrap().iter();
        let of = of.filter(|a| a["image_id"] == image["id"] && a["category_id"] == category);
        of.map(|a| serde_json::from_value(a["bbox"].clone()).unwrap()).collect()
    };
    let mut zero = 0;
    for item in lines(&out.join("items.jsonl")) {
        let file = text(&item, "source_filename");
        let class = text(&item, "target_class");
        if item["task"] == "Count" {
            assert_eq!(right(&item), objects(file, class).len().to_string(), "{item}");
            assert!((4..=6).contains(&item["choices"].as_array().unwrap().len()), "{item}");
            zero += usize::from(right(&item) == "0");
            continue;
        }
        // The object and the anchor are those in boxes, or the only ones of their class.
        let question = text(&item, "question");
        let anchor = question.rsplit(" with respect to the ").next().unwrap().trim_end_matches('?');
        let boxes: Vec<[f64; 4]> = serde_json::from_value(item["bbox"].clone()).unwrap_or_default();
        let mut boxes = boxes.into_iter();
        let mut find = |class: &str| {
            let all = objects(file, class);
            match all.as_slice() {
                [[x, y, w, h]] => [*x, *y, x + w, y + h],
                _ => boxes.next().unwrap_or_else(|| panic!("no box for one of {} in {item}", all.len())),
            }
        };
        let (a, b) = (find(class), find(anchor));
        let holds = match right(&item) {
            "left" => a[2] < b[0],
            "right" => a[0] > b[2],
            "above" => a[3] < b[1],
            "below" => a[1] > b[3],
            other => panic!("{other}"),
        };
        assert!(holds, "{a:?} {b:?} {item}");
    }
    assert!(zero > 3, "some are about what is not there");
    for reason in lines(&out.join("rejected.jsonl")) {
        assert!(!text(&reason, "reason").is_empty() && !text(&reason, "file").is_empty());
    }
}

#[test]
fn answers_follow_from_boxes_in_space() {
    let folder = tempfile::tempdir().unwrap();
    let all = omni_file(folder.path(), 40);
    let scenes = omni3d(&folder.path().join("omni.json")).unwrap();
    let out = folder.path().join("out");
    let rules = Rules { per_picture: 2, ..Rules::default() };
    let built = build(&scenes, folder.path(), &out, &rules).unwrap();
    assert!(built.items["Depth"] > 30 && built.items["Distance"] > 30 && built.rejected > 0, "{built:?}");
    let corners = |file: &str, class: &str| -> Vec<[f64; 3]> {
        let image =
            all["images"].as_array().unwrap().iter().find(|image| image["file_path"] == file).unwrap();
        let of = all["annotations"].as_array().unwrap().iter();
        let one =
            of.into_iter().find(|a| a["image_id"] == image["id"] && a["category_name"] == class).unwrap();
        assert_eq!(one["valid3D"], true, "boxes that are not valid are not asked about");
        serde_json::from_value(one["bbox3D_cam"].clone()).unwrap()
    };
    for item in lines(&out.join("items.jsonl")) {
        let file = text(&item, "source_filename");
        let choices: Vec<&str> =
            item["choices"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        let other = choices.iter().find(|choice| **choice != right(&item)).unwrap();
        let from = if item["task"] == "Depth" {
            [0.0; 3]
        } else {
            let anchor =
                text(&item, "question").split("closer to the ").nth(1).unwrap().split(" (").next().unwrap();
            let corners = corners(file, anchor);
            std::array::from_fn(|i| corners.iter().map(|c| c[i]).sum::<f64>() / 8.0)
        };
        let far = |c: &[f64; 3]| (0..3).map(|i| (c[i] - from[i]).powi(2)).sum::<f64>().sqrt();
        let most = corners(file, right(&item)).iter().map(far).fold(0.0, f64::max);
        let least = corners(file, other).iter().map(far).fold(f64::INFINITY, f64::min);
        assert!(most + rules.depth_margin < least, "{item}");
        assert_eq!(item["bbox"].as_array().unwrap().len(), if item["task"] == "Depth" { 2 } else { 3 });
    }
}

#[test]
fn options_are_balanced_and_distinct_and_follow_from_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    coco_file(folder.path(), 50);
    let scenes = coco(&folder.path().join("instances.json")).unwrap();
    let made = |name: &str, seed: u64| {
        let out = folder.path().join(name);
        build(&scenes, folder.path(), &out, &Rules { seed, ..Rules::default() }).unwrap();
        let files = [
            "items.jsonl",
            "test_2d.jsonl",
            "test_2d.parquet",
            "rejected.jsonl",
            "img/2D/relation/coco_0.png",
        ];
        files.map(|file| std::fs::read(out.join(file)).unwrap())
    };
    let first = made("a", 1);
    assert!(first == made("b", 1), "the same seed gives the same bytes");
    assert!(first[0] != made("c", 2)[0]);
    let mut places: BTreeMap<(String, usize), BTreeMap<String, usize>> = BTreeMap::new();
    for item in lines(&folder.path().join("a/items.jsonl")) {
        let choices: Vec<String> = serde_json::from_value(item["choices"].clone()).unwrap();
        let distinct: std::collections::BTreeSet<&String> = choices.iter().collect();
        assert_eq!(distinct.len(), choices.len(), "{item}");
        let key = (text(&item, "task").to_owned(), choices.len());
        *places.entry(key).or_default().entry(text(&item, "answer").to_owned()).or_default() += 1;
    }
    for ((task, options), counts) in places {
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        let least = if counts.len() < options { 0 } else { *least };
        assert!(most - least <= 1, "{task} of {options}: {counts:?}");
    }
}

#[test]
fn a_draft_is_read_as_cv_bench_and_decisions_make_the_set() {
    let folder = tempfile::tempdir().unwrap();
    coco_file(folder.path(), 8);
    let scenes = coco(&folder.path().join("instances.json")).unwrap();
    let (draft, set) = (folder.path().join("draft"), folder.path().join("set"));
    build(&scenes, folder.path(), &draft, &Rules::default()).unwrap();
    assert!(
        build(&scenes, folder.path(), &draft, &Rules::default()).unwrap_err().to_string().contains("already")
    );
    let task = shipped("cv-bench").unwrap();
    let items = lines(&draft.join("items.jsonl"));
    let dataset = Dataset::open(&task, &draft, None).unwrap();
    assert_eq!(dataset.items.len(), items.len());
    assert!(dataset.items[0].prompt.starts_with(text(&items[0], "prompt")));
    let sheet = std::fs::read_to_string(draft.join("review.html")).unwrap();
    assert_eq!(
        sheet.matches("data-idx=").count(),
        items.len() + 1,
        "a card each, and the script that finds them"
    );

    let decide = |verdict: Verdict, idx: usize| Decision {
        idx: idx as u64,
        verdict,
        question: None,
        answer: None,
        note: None,
    };
    let mut decisions: Vec<Decision> = (0..items.len()).map(|idx| decide(Verdict::Accept, idx)).collect();
    decisions[0].verdict = Verdict::Reject;
    decisions[1] =
        Decision { answer: Some("b".into()), question: Some("Which?".into()), ..decide(Verdict::Modify, 1) };
    let path = folder.path().join("decisions.json");
    let save = |decisions: &[Decision]| std::fs::write(&path, json!(decisions).to_string()).unwrap();
    save(&decisions[1..]);
    assert!(
        finish(&draft, &path, &set).unwrap_err().to_string().contains("1 items are not decided, such as 0")
    );
    save(&decisions);
    assert_eq!(finish(&draft, &path, &set).unwrap(), items.len() - 1);
    let kept = lines(&set.join("test_2d.jsonl"));
    assert_eq!(kept[0]["answer"], "(B)");
    assert!(text(&kept[0], "prompt").starts_with("Which?") && kept[0].get("because").is_none());
    assert_eq!(Dataset::open(&task, &set, None).unwrap().items.len(), kept.len());
    // Nothing of a set that is there is touched.
    let pictures = [&draft, &set].map(|folder| folder.join(text(&kept[0], "filename")));
    pictures.iter().for_each(|picture| std::fs::write(picture, "mine").unwrap());
    for refused in [
        build(&scenes, folder.path(), &set, &Rules::default()).map(drop),
        build(&scenes, folder.path(), &draft, &Rules::default()).map(drop),
        finish(&draft, &path, &set).map(drop),
    ] {
        assert!(refused.unwrap_err().to_string().contains("holds a set already"));
    }
    assert!(pictures.iter().all(|picture| std::fs::read(picture).unwrap() == b"mine"));
    let none: Vec<Decision> = (0..items.len()).map(|idx| decide(Verdict::Reject, idx)).collect();
    save(&none);
    assert!(finish(&draft, &path, &folder.path().join("none")).unwrap_err().to_string().contains("rejected"));
    decisions[1].answer = Some("Q".into());
    save(&decisions);
    let error = finish(&draft, &path, &folder.path().join("other")).unwrap_err().to_string();
    assert!(error.contains("item 1") && error.contains("`Q`"), "{error}");
}

#[test]
fn ade20k_is_read_from_the_files_beside_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let object = |name: &str, part: u8, x: [u32; 3]| {
        json!({ "id": 1, "name": format!("{name}, thing"), "raw_name": name, "crop": 0, "parts": { "ispart": part },
                "polygon": { "x": x, "y": [10, 60, 60] } })
    };
    let objects =
        [object("car", 0, [5, 40, 20]), object("tree", 0, [70, 110, 90]), object("wheel", 1, [8, 14, 10])];
    let annotation = json!({ "annotation": { "filename": "ADE_val_1.png", "folder": "x", "imsize": [SIZE.1, SIZE.0, 3], "object": objects } });
    picture(&folder.path().join("street/ADE_val_1.png"));
    std::fs::write(folder.path().join("street/ADE_val_1.json"), annotation.to_string()).unwrap();
    let scenes = ade20k(folder.path()).unwrap();
    assert_eq!(scenes[0].file, "street/ADE_val_1.png");
    let classes: Vec<&str> = scenes[0].objects.iter().map(|object| object.class.as_str()).collect();
    assert_eq!(classes, ["car", "tree"], "parts do not count");
    let out = folder.path().join("out");
    build(&scenes, folder.path(), &out, &Rules::default()).unwrap();
    for item in lines(&out.join("items.jsonl")) {
        assert_eq!(item["source"], "ADE20K");
        if item["task"] == "Relation" {
            let expected = if item["target_class"] == "car" { "left" } else { "right" };
            assert_eq!(right(&item), expected);
        }
    }
    assert!(ade20k(&out).unwrap_err().to_string().contains("ADE20K"));
}

#[test]
fn what_is_wrong_with_annotations_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    for (text, said) in [
        ("{}", "images"),
        ("[", "not annotations"),
        (
            r#"{"images": [], "annotations": [{"image_id": 3, "category_id": 0, "bbox": [0,0,1,1]}], "categories": []}"#,
            "annotation 0: there is no category 0",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = coco(&path).unwrap_err().to_string();
        assert!(error.contains("a.json") && error.contains(said), "{error}");
    }
}
