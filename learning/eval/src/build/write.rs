//! Writing a set: tables in the published schema, pictures, reasons, a sheet for people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;
use zoo_records::{Place, Replace, Row, Spot, Value, Writer};

use super::ask::{Dice, questions};
use super::{Question, Rejected, Rules, Scene, draw, review};
use crate::run::keep_file;
use crate::{Error, Result};

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Built {
    /// Items of each task.
    pub items: BTreeMap<&'static str, usize>,
    /// Candidates that are none.
    pub rejected: usize,
}

/// An item of the published schema, without its picture's bytes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Item {
    pub idx: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub task: String,
    pub question: String,
    pub choices: Vec<String>,
    pub answer: String,
    pub prompt: String,
    pub filename: String,
    pub source: String,
    pub source_dataset: String,
    pub source_filename: String,
    pub target_class: Option<String>,
    pub target_size: Option<f64>,
    pub bbox: Option<Vec<[f64; 4]>>,
    /// How the answer follows from the annotation; in the draft only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// The prompt of the published items: question, lead, and the options on lines of their own.
pub(super) fn prompt(question: &str, lead: &str, choices: &[String]) -> String {
    let lines: Vec<String> =
        choices.iter().zip('A'..='Z').map(|(text, letter)| format!("({letter}) {text}")).collect();
    format!("{question}{lead}\n{}", lines.join("\n"))
}

/// Builds a draft of a set in `out` from scenes whose pictures lie below `pictures`.
///
/// # Errors
/// [`Error::Input`] where nothing can be asked; a folder that holds a set already; pictures that cannot be read are
/// rejections.
pub fn build(scenes: &[Scene], pictures: &Path, out: &Path, rules: &Rules) -> Result<Built> {
    vacant(out)?;
    let (asked, mut rejected) = questions(scenes, rules);
    let placed = placed(&asked, rules.seed);
    let mut items = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for (question, at) in asked.iter().zip(placed) {
        let scene = &scenes[question.scene];
        let path = pictures.join(&scene.file);
        let drawn = std::fs::read(&path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| draw::boxed(&bytes, &scene.file, &question.boxes));
        let bytes = match drawn {
            Ok(bytes) => bytes,
            Err(reason) => {
                let about = question.options.join(" or ");
                rejected.push(Rejected { file: scene.file.clone(), task: question.task, about, reason });
                continue;
            }
        };
        let item = item(items.len() as u64, question, scene, at, &mut numbers, rules.seed);
        keep_file(&out.join(&item.filename), &bytes)?;
        items.push(item);
    }
    if items.is_empty() {
        let first = rejected
            .first()
            .map_or_else(String::new, |r| format!("; the first reason: {}: {}", r.about, r.reason));
        return Err(Error::Input(format!("nothing can be asked about {} pictures{first}", scenes.len())));
    }
    let mut lines = String::new();
    for item in &items {
        lines.push_str(&serde_json::to_string(item).map_err(|error| Error::Input(error.to_string()))?);
        lines.push('\n');
    }
    let reasons: String = rejected.iter().map(|r| format!("{}\n", json!(r))).collect();
    keep_file(&out.join("rejected.jsonl"), reasons.as_bytes())?;
    keep_file(&out.join("rules.json"), format!("{:#}\n", json!(rules)).as_bytes())?;
    keep_file(&out.join("review.html"), review::sheet(&items).as_bytes())?;
    tables(out, out, &items)?;
    keep_file(&out.join("items.jsonl"), lines.as_bytes())?;
    let mut counts = BTreeMap::new();
    for task in ["Count", "Relation", "Depth", "Distance"] {
        let count = items.iter().filter(|item| item.task == task).count();
        if count > 0 {
            counts.insert(task, count);
        }
    }
    Ok(Built { items: counts, rejected: rejected.len() })
}

/// Refuses a folder with a draft or a set, before one of its pictures is replaced.
pub(super) fn vacant(out: &Path) -> Result<()> {
    let names = ["items.jsonl", "test_2d.parquet", "test_2d.jsonl", "test_3d.parquet", "test_3d.jsonl"];
    match names.into_iter().find(|name| out.join(name).exists()) {
        Some(name) => Err(Error::run(out, format!("holds a set already ({name}); name another folder"))),
        None => Ok(()),
    }
}

/// Where the right option of each question stands. Of all questions with as many options in one task, places are used
/// equally often, in an order that follows from the seed.
fn placed(asked: &[Question], seed: u64) -> Vec<usize> {
    let mut bags: BTreeMap<(&str, usize), (Vec<usize>, Dice)> = BTreeMap::new();
    let mut out = Vec::with_capacity(asked.len());
    for question in asked {
        let count = question.options.len();
        let (bag, dice) = bags.entry((question.task, count)).or_insert_with(|| {
            let salt = question
                .task
                .bytes()
                .fold(count as u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            (Vec::new(), Dice(ChaCha8Rng::seed_from_u64(seed ^ salt)))
        });
        if bag.is_empty() {
            *bag = (0..count).collect();
            dice.shuffle(bag);
        }
        out.extend(bag.pop());
    }
    out
}

fn item(
    idx: u64,
    asked: &Question,
    scene: &Scene,
    at: usize,
    numbers: &mut BTreeMap<String, usize>,
    seed: u64,
) -> Item {
    let kind = if matches!(asked.task, "Count" | "Relation") { "2D" } else { "3D" };
    let folder = format!("img/{kind}/{}", asked.task.to_lowercase());
    let stem = format!("{folder}/{}", scene.source.to_lowercase());
    let number = numbers.entry(stem.clone()).or_default();
    let filename = format!("{stem}_{number}.png");
    *number += 1;
    let (right, wrong) =
        asked.options.split_first().map(|(r, w)| (r.clone(), w.to_vec())).unwrap_or_default();
    let mut choices = wrong;
    Dice(ChaCha8Rng::seed_from_u64(seed ^ idx.wrapping_mul(0x2545_f491_4f6c_dd1d))).shuffle(&mut choices);
    choices.insert(at.min(choices.len()), right);
    let letter = ('A'..='Z').nth(at).unwrap_or('A');
    Item {
        idx,
        kind: kind.into(),
        task: asked.task.into(),
        prompt: prompt(&asked.question, asked.lead, &choices),
        question: asked.question.clone(),
        choices,
        answer: format!("({letter})"),
        filename,
        source: scene.source.into(),
        source_dataset: scene.dataset.clone(),
        source_filename: scene.file.clone(),
        target_class: asked.class.clone(),
        target_size: asked.area,
        bbox: (!asked.boxes.is_empty()).then(|| asked.boxes.clone()),
        because: asked.because.clone(),
    }
}

/// `test_2d` and `test_3d` as Parquet with pictures in it and as lines with their paths, in the published schema.
pub(super) fn tables(draft: &Path, out: &Path, items: &[Item]) -> Result<()> {
    for kind in ["2D", "3D"] {
        let of_kind: Vec<&Item> = items.iter().filter(|item| item.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let stem = format!("test_{}", kind.to_lowercase());
        let mut parquet = Writer::create(&out.join(format!("{stem}.parquet")), Replace::Never)?;
        let mut jsonl = Writer::create(&out.join(format!("{stem}.jsonl")), Replace::Never)?;
        for item in of_kind {
            let picture = draft.join(&item.filename);
            let bytes =
                std::fs::read(&picture).map_err(Error::io(&picture, "cannot read a picture of the draft"))?;
            let path = Value::Text(item.filename.clone());
            let image = Value::Map(vec![("bytes".into(), Value::Bytes(bytes)), ("path".into(), path)]);
            parquet.write(&row(item, Some(image), out))?;
            jsonl.write(&row(item, None, out))?;
        }
        parquet.finish()?;
        jsonl.finish()?;
    }
    Ok(())
}

fn row(item: &Item, image: Option<Value>, out: &Path) -> Row {
    let text = |text: &str| Value::Text(text.to_owned());
    let floats = |list: &[f64; 4]| Value::List(list.iter().map(|v| Value::Float(*v)).collect());
    let mut fields = vec![
        ("idx".to_owned(), Value::Int(item.idx.into())),
        ("type".to_owned(), text(&item.kind)),
        ("task".to_owned(), text(&item.task)),
    ];
    fields.extend(image.map(|image| ("image".to_owned(), image)));
    let more = [
        ("question", text(&item.question)),
        ("choices", Value::List(item.choices.iter().map(|choice| text(choice)).collect())),
        ("answer", text(&item.answer)),
        ("prompt", text(&item.prompt)),
        ("filename", text(&item.filename)),
        ("source", text(&item.source)),
        ("source_dataset", text(&item.source_dataset)),
        ("source_filename", text(&item.source_filename)),
        ("target_class", item.target_class.as_deref().map_or(Value::Null, text)),
        ("target_size", item.target_size.map_or(Value::Null, Value::Float)),
        (
            "bbox",
            item.bbox.as_ref().map_or(Value::Null, |list| Value::List(list.iter().map(floats).collect())),
        ),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    let place = Place { path: PathBuf::from("items").into(), spot: Spot::Row(item.idx) };
    Row::new(place, Arc::from(out), fields)
}

/// The items of a draft.
pub(super) fn draft(folder: &Path) -> Result<Vec<Item>> {
    let path = folder.join("items.jsonl");
    let text = std::fs::read_to_string(&path)
        .map_err(|_| Error::run(folder, "no draft of `zoo cv-bench build`: there is no items.jsonl"))?;
    let lines = text.lines().enumerate();
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::run(&path, format!("line {}: {error}", number + 1)))
    };
    lines.map(parse).collect()
}
