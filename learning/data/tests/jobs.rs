//! Jobs over small sets: what they keep, that they are the same however they are run, and what wrong input says.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use zoo_data::{
    Alike, CheckPlan, CurateRecipe, DataSource, Dataset, Error, FlawKind, HashKind, Job, Options, Part,
    Pictures, PicturesGo, Piece, Replace, Same, Sharding, Table, Target, check, convert, curate, dedup,
    inspect, leak, mix, page, prompt, split,
};

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, rows: &[Json]) -> PathBuf {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn target(&self, name: &str) -> Target {
        Target { path: self.path(name), replace: Replace::Never, shard: None }
    }

    fn rows(&self, name: &str) -> Vec<Json> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a job on some threads.
fn job<T: Send>(threads: usize, run: impl FnOnce(&mut Job<'_>) -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| run(&mut Job::new(&mut (), &AtomicBool::new(false))))
}

fn table(path: &Path) -> Table {
    Table::open(&[path], Options::default()).unwrap()
}

fn talk(question: &str, answer: &str) -> Json {
    json!([{"from": "human", "value": question}, {"from": "gpt", "value": answer}])
}

fn record(id: usize, source: &str) -> Json {
    json!({"id": id, "source": source, "conversations": talk(&format!("question {id} of {source}?"), "yes")})
}

const RECIPE: &str = "seed = 3\ntotal = 90\ncap = 80\n[ratio]\nsmall = 1\nlarge = 2\n\
    [[source]]\nname = \"a\"\ncategory = \"small\"\nrecords = [\"a.jsonl\"]\n\
    [[source]]\nname = \"b\"\ncategory = \"large\"\nrecords = [\"b.jsonl\"]\nimages = \"b/images\"\n\
    [[source]]\nname = \"c\"\ncategory = \"large\"\nrecords = [\"c.jsonl\"]\n";

fn sources(place: &Place) -> CurateRecipe {
    for (name, count) in [("a", 50), ("b", 200), ("c", 40)] {
        let mut rows: Vec<Json> = (0..count).map(|id| record(id, name)).collect();
        if name == "b" {
            for row in &mut rows {
                row["image"] = "x.png".into();
                row["conversations"] = talk("<image>\nq", "a");
            }
        }
        place.write(&format!("{name}.jsonl"), &rows);
    }
    CurateRecipe::parse("recipe.toml", place.0.path(), RECIPE).unwrap()
}

#[test]
fn a_mixture_is_the_same_on_any_number_of_threads_and_in_shards() {
    let place = Place::new();
    let recipe = sources(&place);
    let one = job(1, |job| curate(&recipe, &place.target("one.jsonl"), job)).unwrap();
    assert_eq!(one.plan.sources.iter().map(|q| q.taken).collect::<Vec<_>>(), [30, 40, 20]);
    job(4, |job| curate(&recipe, &place.target("four.jsonl"), job)).unwrap();
    assert_eq!(fs::read(place.path("one.jsonl")).unwrap(), fs::read(place.path("four.jsonl")).unwrap());
    let rows = place.rows("one.jsonl");
    let of_b = rows.iter().filter(|row| row["source"] == "b");
    assert!(of_b.clone().count() == 40 && of_b.clone().all(|row| row["image"] == "b/images/x.png"));
    // Cut off after the second of four shards, and gone on with.
    let shards = Target { shard: Some(Sharding::whole(25)), ..place.target("shards.jsonl") };
    job(2, |job| curate(&recipe, &shards, job)).unwrap();
    let shard = |number: usize| place.path(&format!("shards-0000{number}.jsonl"));
    let whole: Vec<Vec<u8>> = (0..4).map(|number| fs::read(shard(number)).unwrap()).collect();
    assert_eq!(whole.concat(), fs::read(place.path("one.jsonl")).unwrap());
    (2..4).for_each(|number| fs::remove_file(shard(number)).unwrap());
    job(1, |job| curate(&recipe, &shards, job)).unwrap();
    assert_eq!((0..4).map(|number| fs::read(shard(number)).unwrap()).collect::<Vec<_>>(), whole);
}

/// Every job that writes a row at a time, shared by processes of which each writes every n-th shard.
#[test]
fn shards_of_several_processes_are_those_of_one() {
    let place = Place::new();
    let recipe = sources(&place);
    let (a, b) = (place.path("a.jsonl"), place.path("b.jsonl"));
    let parts = [Part { records: a, times: 2.0 }, Part { records: b.clone(), times: 0.5 }];
    let data = pictures(&place, "data", "b.jsonl");
    let check = |name: &str, run: &(dyn Fn(&Target, &mut Job<'_>) -> Result<(), Error> + Sync)| {
        let target = |whole: &str, shard| Target { shard, ..place.target(&format!("{name}-{whole}.jsonl")) };
        job(2, |job| run(&target("one", None), job)).unwrap();
        for part in [2, 0, 1] {
            let target = target("many", Some(Sharding { rows: 7, part, of: 3 }));
            job(2, |job| run(&target, job)).unwrap();
        }
        let shards = fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let prefix = format!("{name}-many-");
        let mut shards: Vec<PathBuf> =
            shards.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix)).collect();
        shards.sort();
        assert!(shards.len() >= 3, "{name}: {shards:?}");
        let joined: Vec<u8> = shards.iter().flat_map(|path| fs::read(path).unwrap()).collect();
        assert!(joined == fs::read(place.path(&format!("{name}-one.jsonl"))).unwrap(), "{name}");
        // Another job of this name is told.
        let other = target("many", Some(Sharding { rows: 8, part: 0, of: 3 }));
        let message = job(1, |job| run(&other, job)).unwrap_err().to_string();
        assert!(message.contains("have 7 rows each"), "{message}");
    };
    check("curate", &|target, job| curate(&recipe, target, job).map(drop));
    check("mix", &|target, job| mix(&parts, 4, target, job).map(drop));
    check("convert", &|target, job| convert(&table(&b), &PicturesGo::Stay, target, job).map(drop));
    check("prompt", &|target, job| prompt::prompt(&table(&b), Some("DocVQA"), target, job).map(drop));
    place.write("b.jsonl", &(0..90).map(|id| record(id % 60, "b")).collect::<Vec<_>>());
    check("dedup", &|target, job| dedup(&data, Alike::Exact, target, job).map(drop));
}

#[test]
fn a_smaller_cap_takes_a_part_of_what_a_larger_one_takes() {
    let place = Place::new();
    let recipe = sources(&place);
    let ids = |cap: u64, name: &str| -> BTreeSet<String> {
        let recipe = CurateRecipe { cap: Some(cap), total: None, ratio: None, ..recipe.clone() };
        job(2, |job| curate(&recipe, &place.target(name), job)).unwrap();
        place.rows(name).iter().map(|row| format!("{} {}", row["source"], row["id"])).collect()
    };
    let (small, large) = (ids(10, "small.jsonl"), ids(30, "large.jsonl"));
    assert_eq!((small.len(), large.len()), (30, 90));
    assert!(small.is_subset(&large));
}

#[test]
fn records_that_name_their_source_need_no_files_of_their_own() {
    let place = Place::new();
    let rows: Vec<Json> = (0..60).map(|id| record(id, ["x", "y"][id % 3 / 2])).collect();
    place.write("all.jsonl", &rows);
    let text = "records = [\"all.jsonl\"]\ncap = 15\n[[source]]\nname = \"x\"\ncategory = \"k\"\n";
    let recipe = CurateRecipe::parse("r.toml", place.0.path(), text).unwrap();
    let message = job(1, |job| curate(&recipe, &place.target("out.jsonl"), job)).unwrap_err().to_string();
    assert!(
        message.contains("all.jsonl:3: it is of source `y`, which no [[source]] of the recipe names"),
        "{message}"
    );
    assert!(!place.path("out.jsonl").exists());
    let text = format!("{text}[[source]]\nname = \"y\"\ncategory = \"k\"\n");
    let recipe = CurateRecipe::parse("r.toml", place.0.path(), &text).unwrap();
    let done = job(3, |job| curate(&recipe, &place.target("out.jsonl"), job)).unwrap();
    assert_eq!(done.plan.total, 30);
}

#[test]
fn wrong_recipes_are_told_in_words() {
    let source = "[[source]]\nname = \"a\"\ncategory = \"k\"\ncount = 5\n";
    for (text, expected) in [
        ("capp = 1\n", "unknown field `capp`"),
        ("", "there is no [[source]]"),
        ("[[source]]\nname = \"a\"\ncategory = \"k\"\n", "source `a` has neither `records` nor a `count`"),
        (&format!("{source}{source}"), "two sources are called `a`"),
        (&format!("drop = [\"b\"]\n{source}"), "`drop` names `b`, which is no source"),
        (&format!("{source}[ratio]\nk = -1.0\n"), "ratios are numbers from 0 up"),
    ] {
        let message = CurateRecipe::parse("r.toml", Path::new(""), text).unwrap_err().to_string();
        assert!(message.starts_with("r.toml: ") && message.contains(expected), "{message}");
    }
    for (ratio, expected) in [("other = 1", "names `other`"), ("k = 1\nother = 1", "names `other`")] {
        let recipe =
            CurateRecipe::parse("r.toml", Path::new(""), &format!("{source}[ratio]\n{ratio}\n")).unwrap();
        let message = zoo_data::plan(&recipe, &[5]).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn recipes_that_lead_back_to_themselves_are_refused() {
    let place = Place::new();
    for (name, text) in [("a.toml", "sources_of = \"b.toml\"\n"), ("b.toml", "sources_of = \"a.toml\"\n")] {
        fs::write(place.path(name), text).unwrap();
    }
    let message = CurateRecipe::open(place.path("a.toml").to_str().unwrap()).unwrap_err().to_string();
    assert!(message.contains("recipes take their sources of each other in a circle"), "{message}");
}

#[test]
fn parts_come_as_often_as_they_are_to() {
    let place = Place::new();
    let parts: Vec<Part> = [("a", 40, 2.0), ("b", 100, 0.3), ("c", 10, 1.5)]
        .map(|(name, count, times)| {
            let rows: Vec<Json> = (0..count).map(|id| record(id, name)).collect();
            Part { records: place.write(&format!("{name}.jsonl"), &rows), times }
        })
        .into();
    let done = job(2, |job| mix(&parts, 5, &place.target("mixed.jsonl"), job)).unwrap();
    assert_eq!(done.parts, [80, 30, 15]);
    let rows = place.rows("mixed.jsonl");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    rows.iter().for_each(|row| *counts.entry(format!("{} {}", row["source"], row["id"])).or_default() += 1);
    assert!(counts.iter().filter(|(name, _)| name.contains('a')).all(|(_, count)| *count == 2));
    assert_eq!(counts.len(), 40 + 30 + 10);
    // Mixed: no part comes before another.
    let first: BTreeSet<&str> = rows[..30].iter().map(|row| row["source"].as_str().unwrap()).collect();
    assert_eq!(first.len(), 3);
    job(1, |job| mix(&parts, 5, &place.target("again.jsonl"), job)).unwrap();
    assert_eq!(fs::read(place.path("mixed.jsonl")).unwrap(), fs::read(place.path("again.jsonl")).unwrap());
    job(1, |job| mix(&parts, 6, &place.target("other.jsonl"), job)).unwrap();
    assert_ne!(fs::read(place.path("mixed.jsonl")).unwrap(), fs::read(place.path("other.jsonl")).unwrap());
}

#[test]
fn pieces_share_no_image_and_stay_where_they_were() {
    let place = Place::new();
    let row = |id: usize| json!({"id": id, "image": format!("{}.png", id % 100), "conversations": talk("<image>\nq", "a")});
    let rows: Vec<Json> = (0..400).map(row).collect();
    let data = place.write("data.jsonl", &rows);
    let pieces = |names: [&str; 2]| {
        names.map(|name| Piece {
            target: place.target(name),
            share: if name.contains('t') { 3.0 } else { 1.0 },
        })
    };
    let done = job(2, |job| split(&table(&data), &pieces(["t.jsonl", "v.jsonl"]), "image", 1, job)).unwrap();
    let images = |name: &str| -> BTreeSet<String> {
        place.rows(name).iter().map(|row| row["image"].to_string()).collect()
    };
    assert!(images("t.jsonl").is_disjoint(&images("v.jsonl")));
    assert_eq!(done.pieces.iter().map(|piece| piece.1).sum::<u64>(), 400);
    assert!((60..=90).contains(&images("t.jsonl").len()), "{}", images("t.jsonl").len());
    // Twice as much data: what was there stays in its piece.
    let more: Vec<Json> = rows
        .iter()
        .cloned()
        .chain((400..800).map(|id| {
            let mut row = row(id);
            row["image"] = format!("new {}.png", id % 100).into();
            row
        }))
        .collect();
    let data = place.write("more.jsonl", &more);
    job(1, |job| split(&table(&data), &pieces(["t2.jsonl", "v2.jsonl"]), "image", 1, job)).unwrap();
    assert!(images("t.jsonl").is_subset(&images("t2.jsonl")));
    let none = Piece { target: place.target("none.jsonl"), share: 0.0 };
    let message = job(1, |job| split(&table(&data), &[none], "image", 1, job)).unwrap_err().to_string();
    assert!(message.contains("0 is no share of a data set"), "{message}");
    // The second would take the place of the first.
    let twice = pieces(["same.jsonl", "same.jsonl"]);
    let message = job(1, |job| split(&table(&data), &twice, "image", 1, job)).unwrap_err().to_string();
    assert!(
        message.contains("two pieces would have this name") && !place.path("same.jsonl").exists(),
        "{message}"
    );
}

fn picture(place: &Place, name: &str, shift: u8) -> Vec<u8> {
    let path = place.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Stripes whose order depends on `shift`.
    let image = image::RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([(x as u8).wrapping_mul(shift | 1).wrapping_add(y as u8), shift, 9])
    });
    image.save(&path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn every_form_leads_back_to_the_same_records() {
    let place = Place::new();
    let bytes = picture(&place, "images/a.png", 3);
    let rows = [
        json!({"id": 1, "image": "images/a.png", "conversations": talk("<image>\nq", "a"), "n": 0.1}),
        json!({"id": "two", "image": null, "conversations": talk("q", "é\n😀")}),
        json!({"conversations": talk("q", "a"), "id": 18446744073709551615_u64}),
    ];
    let data = place.write("a.jsonl", &rows);
    let mut last = data.clone();
    for form in ["b.parquet", "c.tar", "d.json", "e.parquet", "f.jsonl"] {
        job(2, |job| convert(&table(&last), &PicturesGo::Stay, &place.target(form), job)).unwrap();
        last = place.path(form);
    }
    assert_eq!(place.rows("f.jsonl"), rows);
    // Pictures go inside, and out again under the name of their content.
    let inside = PicturesGo::Inside(vec!["image".into()]);
    let done = job(2, |job| convert(&table(&data), &inside, &place.target("in.parquet"), job)).unwrap();
    assert_eq!((done.rows, done.pictures), (3, 1));
    let outside = PicturesGo::Outside(place.path("out"));
    for (form, back) in [("in.parquet", "out-1.jsonl"), ("in.tar", "out-2.jsonl")] {
        if form == "in.tar" {
            job(1, |job| {
                convert(&table(&place.path("in.parquet")), &PicturesGo::Stay, &place.target(form), job)
            })
            .unwrap();
        }
        job(2, |job| convert(&table(&place.path(form)), &outside, &place.target(back), job)).unwrap();
        let rows = place.rows(back);
        let name = rows[0]["image"].as_str().unwrap();
        assert_eq!(fs::read(place.path("out").join(name)).unwrap(), bytes);
    }
    let lost = place.write("lost.jsonl", &[json!({"image": "none.png"})]);
    let message =
        job(1, |job| convert(&table(&lost), &inside, &place.target("no.tar"), job)).unwrap_err().to_string();
    assert!(message.contains("none.png: cannot read a picture"), "{message}");
    assert!(!place.path("no.tar").exists());
}

#[test]
fn response_formats_are_appended_once() {
    let place = Place::new();
    let rows = [
        json!({"source": "ChartQA", "conversations": talk("<image>\nHow many?", "3")}),
        json!({"source": "q-instruct", "conversations": talk("Which?", "B.")}),
        json!({"source": "Q-Instruct", "conversations": talk("Is it sharp?", "Yes")}),
        json!({"source": "ShareGPT", "conversations": talk("Tell me.", "Once")}),
        json!({"conversations": talk("Unnamed?", "B")}),
    ];
    let data = place.write("a.jsonl", &rows);
    let done =
        job(2, |job| prompt::prompt(&table(&data), Some("DocVQA"), &place.target("b.jsonl"), job)).unwrap();
    assert_eq!((done.rows, done.changed, done.had), (5, 4, 0));
    let asked = |name: &str| -> Vec<String> {
        place
            .rows(name)
            .iter()
            .map(|row| row["conversations"][0]["value"].as_str().unwrap().to_owned())
            .collect()
    };
    let expected = [
        format!("<image>\nHow many?\n{}", prompt::NUMBER),
        format!("Which?\n{}", prompt::OPTION),
        format!("Is it sharp?\n{}", prompt::WORD),
        "Tell me.".to_owned(),
        format!("Unnamed?\n{}", prompt::SHORT),
    ];
    assert_eq!(asked("b.jsonl"), expected);
    let again = job(1, |job| {
        prompt::prompt(&table(&place.path("b.jsonl")), Some("DocVQA"), &place.target("c.jsonl"), job)
    });
    let again = again.unwrap();
    assert_eq!((again.changed, again.had), (0, 4));
    assert_eq!(asked("c.jsonl"), expected);
}

fn pictures(place: &Place, name: &str, path: &str) -> Pictures {
    Pictures { name: name.into(), paths: vec![place.path(path)], column: "image".into(), images: None }
}

const SAME: Same = Same { hash: HashKind::Difference, distance: 0 };

#[test]
fn records_that_say_the_same_go() {
    let place = Place::new();
    picture(&place, "a.png", 3);
    picture(&place, "b.png", 90);
    // The same picture, larger.
    let image = image::open(place.path("a.png")).unwrap();
    image.resize_exact(128, 96, image::imageops::FilterType::Nearest).save(place.path("a2.png")).unwrap();
    let row = |id: usize, image: &str, question: &str| json!({"id": id, "image": image, "conversations": talk(&format!("<image>\n{question}"), "a")});
    let rows = [
        row(0, "a.png", "q"),
        row(1, "a2.png", "q"),
        row(2, "a.png", "q"),
        row(3, "b.png", "q"),
        row(4, "a.png", "other"),
    ];
    place.write("a.jsonl", &rows);
    let data = pictures(&place, "data", "a.jsonl");
    let kept = |alike: Alike, name: &str| -> Vec<Json> {
        let found = job(2, |job| dedup(&data, alike, &place.target(name), job)).unwrap();
        let ids: Vec<Json> = place.rows(name).iter().map(|row| row["id"].clone()).collect();
        assert_eq!((found.rows, found.kept, found.duplicates), (5, ids.len() as u64, 5 - ids.len() as u64));
        ids
    };
    assert_eq!(kept(Alike::Exact, "b.jsonl"), [0, 1, 3, 4]);
    assert_eq!(kept(Alike::Picture(SAME), "c.jsonl"), [0, 3, 4]);
    assert_eq!(kept(Alike::PictureAlone(SAME), "d.jsonl"), [0, 3]);
}

#[test]
fn near_duplicates_of_texts_are_found_as_a_search_finds_them() {
    let place = Place::new();
    let words = |from: usize, to: usize| (from..to).map(|i| format!("word{i}")).collect::<Vec<_>>().join(" ");
    let mut rows = Vec::new();
    for group in 0..30 {
        let base = group * 1000;
        // Of runs of five words: all but few in common, half, none.
        for (shift, id) in [(0, 0), (2, 1), (60, 2), (400, 3)] {
            rows.push(json!({"id": group * 4 + id, "conversations": talk(&words(base + shift, base + shift + 200), "a")}));
        }
    }
    place.write("a.jsonl", &rows);
    let data = pictures(&place, "data", "a.jsonl");
    let found = job(2, |job| dedup(&data, Alike::Text(0.8), &place.target("b.jsonl"), job)).unwrap();
    let ids: Vec<u64> = place.rows("b.jsonl").iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..120).filter(|id| id % 4 != 1).collect::<Vec<_>>());
    assert_eq!(found.duplicates, 30);
    assert!(
        found.pairs[0].0.ends_with("a.jsonl:2") && found.pairs[0].1.ends_with("a.jsonl:1"),
        "{:?}",
        found.pairs[0]
    );
    job(1, |job| dedup(&data, Alike::Text(0.8), &place.target("c.jsonl"), job)).unwrap();
    assert_eq!(fs::read(place.path("b.jsonl")).unwrap(), fs::read(place.path("c.jsonl")).unwrap());
    let message =
        job(1, |job| dedup(&data, Alike::Text(7.0), &place.target("d.jsonl"), job)).unwrap_err().to_string();
    assert!(message.contains("a number between 0 and 1 is expected"), "{message}");
}

#[test]
fn leaks_are_counted_and_taken_out() {
    let place = Place::new();
    for (name, shift) in [("train/a.png", 3), ("train/b.png", 90), ("bench/x.png", 90), ("bench/y.png", 200)]
    {
        picture(&place, name, shift);
    }
    let rows: Vec<Json> = ["train/a.png", "train/b.png", "train/gone.png"]
        .iter()
        .map(|image| json!({"image": image, "conversations": talk("<image>\nq", "a")}))
        .chain([json!({"conversations": talk("q", "a")})])
        .collect();
    place.write("a.jsonl", &rows);
    // The benchmark as a folder and inside an archive.
    let bench = place.path("bench");
    job(1, |job| {
        convert(
            &Table::open(&[&bench], Options::default()).unwrap(),
            &PicturesGo::Inside(vec!["image".into()]),
            &place.target("bench.tar"),
            job,
        )
    })
    .unwrap();
    let (training, kept) = (pictures(&place, "training", "a.jsonl"), place.path("hashes"));
    let benchmarks = [pictures(&place, "folder", "bench"), pictures(&place, "shard", "bench.tar")];
    let run = |kept: Option<&Path>, name: &str| {
        job(2, |job| leak(&training, &benchmarks, SAME, kept, Some(&place.target(name)), job)).unwrap()
    };
    let found = run(None, "clean.jsonl");
    assert_eq!((found.rows, found.pictures, found.unread, found.leaked), (4, 2, 1, 1));
    for leak in &found.benchmarks[..2] {
        assert_eq!((leak.pictures, leak.leaked, leak.percent), (2, 1, 50.0), "{}", leak.name);
    }
    assert_eq!((found.benchmarks[2].pictures, found.benchmarks[2].leaked), (4, 2));
    assert!(found.pairs[0].0.ends_with("a.jsonl:2") && found.pairs[0].1 == "folder", "{:?}", found.pairs);
    assert_eq!(place.rows("clean.jsonl"), [rows[0].clone(), rows[2].clone(), rows[3].clone()]);
    // Kept hashes: the pictures are not needed any more, and what is half written is finished.
    let first = run(Some(&kept), "clean-2.jsonl");
    assert_eq!(first.pairs, found.pairs);
    let files: Vec<PathBuf> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    let training_file = files.iter().find(|file| file.to_string_lossy().contains("a.jsonl-")).unwrap();
    let whole = fs::read(training_file).unwrap();
    let part = PathBuf::from(format!("{}.part", training_file.display()));
    fs::remove_file(training_file).unwrap();
    let line = whole.iter().position(|&b| b == b'\n').unwrap();
    fs::write(&part, &whole[..line + 5]).unwrap();
    fs::remove_file(place.path("train/a.png")).unwrap();
    assert_eq!(run(Some(&kept), "clean-3.jsonl").leaked, 1);
    // The first picture was not read again, or it would be missing.
    assert_eq!(fs::read(training_file).unwrap(), whole);
    // The rows in two files, hashed by two processes: a run over both only joins.
    place.write("one.jsonl", &rows[..1]);
    place.write("two.jsonl", &rows[1..]);
    let half = |name: &str| pictures(&place, name, &format!("{name}.jsonl"));
    let (shared, both) = (
        place.path("shared"),
        Pictures { paths: vec![place.path("one.jsonl"), place.path("two.jsonl")], ..half("one") },
    );
    picture(&place, "train/a.png", 3);
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let (training, shared, benchmarks) = (half(name), &shared, &benchmarks);
            scope.spawn(move || {
                job(1, |job| leak(&training, benchmarks, SAME, Some(shared), None, job)).unwrap()
            });
        }
    });
    fs::remove_dir_all(place.path("train")).unwrap();
    let clean = place.target("clean-4.jsonl");
    let joined = job(2, |job| leak(&both, &benchmarks, SAME, Some(&shared), Some(&clean), job)).unwrap();
    assert_eq!((joined.rows, joined.pictures, joined.leaked), (found.rows, found.pictures, found.leaked));
    assert_eq!(place.rows("clean-4.jsonl"), place.rows("clean.jsonl"));
    let empty = Pictures { column: "picture".into(), ..benchmarks[0].clone() };
    let message = job(1, |job| leak(&training, &[empty], SAME, None, None, job)).unwrap_err().to_string();
    assert!(message.contains("no picture can be read in column `picture` of 2 rows"), "{message}");
}

/// A slip in a name must not look like a result.
#[test]
fn columns_that_nobody_has_are_told() {
    let place = Place::new();
    let rows = [json!({"image": "gone.png", "conversations": talk("<image>\nq", "a")}), record(1, "x")];
    let data = place.write("a.jsonl", &rows);
    let training = pictures(&place, "data", "a.jsonl");
    picture(&place, "bench/x.png", 90);
    let bench = pictures(&place, "bench", "bench");
    let inside = PicturesGo::Inside(vec!["imag".into()]);
    let piece = [Piece { target: place.target("c.jsonl"), share: 1.0 }];
    let (b, d, e) = (place.target("b.jsonl"), place.target("d.jsonl"), place.target("e.jsonl"));
    for (result, expected) in [
        (job(1, |job| convert(&table(&data), &inside, &b, job).map(drop)), "no row has a column `imag`"),
        (
            job(1, |job| split(&table(&data), &piece, "imag", 0, job).map(drop)),
            "no record has a column `imag`",
        ),
        (
            job(1, |job| dedup(&training, Alike::Picture(SAME), &d, job).map(drop)),
            "no picture can be read in column `image`",
        ),
        (
            job(1, |job| leak(&training, std::slice::from_ref(&bench), SAME, None, Some(&e), job).map(drop)),
            "no picture can be read in column `image` of 1 rows",
        ),
        (
            job(1, |job| {
                inspect(&[DataSource { records: place.write("f.jsonl", &[]), images: "".into() }], None, job)
                    .map(drop)
            }),
            "there is no record here",
        ),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    for name in ["b.jsonl", "c.jsonl", "d.jsonl", "e.jsonl"] {
        assert!(!place.path(name).exists(), "{name}");
    }
}

#[test]
fn what_can_be_repaired_is_and_the_rest_is_left_out() {
    let place = Place::new();
    picture(&place, "Images/A.png", 3);
    let rows = [
        json!({"id": 0, "image": "images/a.PNG", "conversations": talk("<image>\nq", "a")}),
        json!({"id": 1, "image": "Images/A.png", "conversations": talk("no tag", "a")}),
        json!({"id": 2, "image": "None", "conversations": talk("text", "a")}),
        json!({"id": 3, "conversations": talk("<image>\nq", "a")}),
        json!({"id": 4, "image": "gone.png", "conversations": talk("<image>\nq", "a")}),
        json!({"id": 5, "image": "Images/A.png", "conversations": talk("<image>\nno tag", "a")}),
    ];
    let data = place.write("a.jsonl", &rows);
    let source = DataSource { records: data, images: place.0.path().into() };
    let plan = CheckPlan { decode: true, repair: Some(place.target("b.jsonl")) };
    let found = job(2, |job| check(std::slice::from_ref(&source), &plan, job)).unwrap();
    assert_eq!((found.sound, found.repaired, found.with_image), (3, 3, 2));
    let counts: Vec<(FlawKind, usize)> = found.counts.iter().map(|(kind, count)| (*kind, *count)).collect();
    assert_eq!(counts, [(FlawKind::Tags, 1), (FlawKind::MissingImage, 1), (FlawKind::Duplicate, 1)]);
    let ids: Vec<Json> = place.rows("b.jsonl").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(place.rows("b.changes.jsonl").len(), 3);
    // A list that is there stays, as everything does; and nothing is written beside it.
    fs::rename(place.path("b.changes.jsonl"), place.path("c.changes.jsonl")).unwrap();
    let other = CheckPlan { decode: true, repair: Some(place.target("c.jsonl")) };
    let message = job(1, |job| check(std::slice::from_ref(&source), &other, job)).unwrap_err().to_string();
    assert!(message.contains("c.changes.jsonl: there is a file of this name already"), "{message}");
    assert!(!place.path("c.jsonl").exists());
    // Where a row stands is said once.
    fs::write(place.path("broken.jsonl"), "{\"id\": 1, \"conv\n").unwrap();
    let broken = DataSource { records: place.path("broken.jsonl"), images: place.0.path().into() };
    let plan = CheckPlan { decode: false, repair: Some(place.target("d.jsonl")) };
    let found = job(1, |job| check(&[broken], &plan, job)).unwrap();
    assert_eq!(found.flaws[0].to_string().matches("broken.jsonl").count(), 1, "{}", found.flaws[0]);
    // What was repaired is sound, and is what training reads.
    let repaired = DataSource { records: place.path("b.jsonl"), images: place.0.path().into() };
    let again =
        job(1, |job| check(std::slice::from_ref(&repaired), &CheckPlan { decode: true, repair: None }, job))
            .unwrap();
    assert_eq!((again.sound, again.flaws.len()), (3, 0));
    assert_eq!(Dataset::open(&[repaired]).unwrap().len(), 3);
}

#[test]
fn a_set_at_a_glance() {
    let place = Place::new();
    picture(&place, "p/a.png", 3);
    let rows = [
        json!({"source": "s<1>", "image": "p/a.png", "conversations": talk("<image>\none two three", "yes")}),
        json!({"source": "s<1>", "image": "p/gone.png", "conversations": talk("<image>\nq", "yes")}),
        json!({"source": "other", "category": "k", "conversations": talk("q", "")}),
        json!({"no": "record"}),
    ];
    let data = place.write("a.jsonl", &rows);
    let source = DataSource { records: data, images: place.0.path().into() };
    let found = job(2, |job| inspect(std::slice::from_ref(&source), None, job)).unwrap();
    assert_eq!(
        (found.records, found.sound, found.with_image, found.images_broken, found.empty_answers),
        (4, 3, 2, 1, 1)
    );
    assert_eq!(found.answers.first(2), [("yes", 2), ("", 1)]);
    assert_eq!(found.sources.first(9), [("s<1>", 2), ("other", 1)]);
    assert_eq!(found.image_sizes.first(9), [("64×48", 1)]);
    assert_eq!(found.flaws[&FlawKind::Form], 1);
    let page = page(&found);
    assert!(page.contains("<svg") && page.contains("s&lt;1&gt;") && !page.contains("s<1>"), "{page}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["question_words"]["most"], 4);
}

#[test]
fn a_job_ends_when_somebody_asks_for_it() {
    let place = Place::new();
    let rows: Vec<Json> = (0..20_000).map(|id| record(id, "a")).collect();
    let data = place.write("a.jsonl", &rows);
    let stop = AtomicBool::new(false);
    let mut seen = Vec::new();
    let mut watch = |done: u64| {
        seen.push(done);
        stop.store(true, Ordering::Relaxed);
    };
    let done =
        convert(&table(&data), &PicturesGo::Stay, &place.target("b.jsonl"), &mut Job::new(&mut watch, &stop));
    assert!(matches!(done, Err(Error::Stopped)));
    assert!(seen.len() == 1 && seen[0] < 20_000, "{seen:?}");
    let left: Vec<_> =
        fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["a.jsonl"]);
}
