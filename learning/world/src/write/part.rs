//! A part of a set: some scenes of one split, drawn on all cores, written in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::encode::{self, put};
use super::plan::{Output, Pack, Plan};
use super::{annotate, llava, task};
use crate::ask::questions;
use crate::error::{Error, Result};
use crate::scene::Split;
use crate::truth::Truth;
use crate::{draw, render};

/// Scenes in a part: a few seconds of work, and what is done again at most after an interruption.
const SCENES: u64 = 256;

/// Pictures in a folder.
const FOLDER: u64 = 1000;

/// Where parts keep their records until the set is complete.
pub(super) const PARTS: &str = "parts";

/// Lines of each file of a split.
pub(super) type Lines = BTreeMap<String, Vec<String>>;

/// Some scenes of one split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub split: Split,
    pub number: u64,
    from: u64,
    to: u64,
}

/// A part's records, as they wait to be put together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Records {
    pub lines: Lines,
}

/// All parts of a set, in order.
pub(super) fn all(plan: &Plan) -> Vec<Part> {
    let mut out = Vec::new();
    for split in Split::ALL.iter().copied() {
        let count = plan.count(split);
        for number in 0..count.div_ceil(SCENES) {
            let from = number * SCENES;
            out.push(Part { split, number, from, to: (from + SCENES).min(count) });
        }
    }
    out
}

/// What one scene gives.
struct Made {
    /// Path in the split's folder, and content.
    files: Vec<(String, Vec<u8>)>,
    /// Name of a file of lines, and a line.
    lines: Vec<(String, String)>,
    name: String,
}

impl Part {
    pub fn count(&self) -> u64 {
        self.to - self.from
    }

    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(PARTS).join(format!("{}-{:05}.json", self.split.word(), self.number))
    }

    pub fn done(&self, folder: &Path) -> bool {
        self.path(folder).is_file()
    }

    /// Draws the part and writes its pictures, then its records.
    pub fn write(&self, folder: &Path, plan: &Plan) -> Result<()> {
        let home = folder.join(self.split.word());
        let store = |index: u64| -> Result<Made> {
            let made = make(plan, self.split, index)?;
            if plan.pack == Pack::Folder {
                for (path, bytes) in &made.files {
                    put(&home.join(path), bytes)?;
                }
                return Ok(Made { files: Vec::new(), ..made });
            }
            Ok(made)
        };
        let made: Vec<Made> = (self.from..self.to).into_par_iter().map(store).collect::<Result<_>>()?;
        if plan.pack == Pack::Tar {
            let path = home.join(format!("shard-{:05}.tar", self.number));
            put(&path, &shard(&made).map_err(Error::io(&path, "the archive cannot be made"))?)?;
        }
        let mut records = Records { lines: Lines::new() };
        for (file, line) in made.into_iter().flat_map(|made| made.lines) {
            records.lines.entry(file).or_default().push(line);
        }
        let text = serde_json::to_vec(&records).map_err(|e| Error::Internal(e.to_string()))?;
        put(&self.path(folder), &text)
    }
}

/// Files of each scene beside each other, with its record as `.json`: what WebDataset reads.
fn shard(made: &[Made]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for scene in made {
        let record = scene.lines.iter().find(|(file, _)| file == INSTRUCT).or(scene.lines.first());
        let json = record.map(|(_, line)| (format!("{}.json", scene.name), line.clone().into_bytes()));
        for (path, bytes) in scene.files.iter().cloned().chain(json) {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_cksum();
            // A shard has no folders: what belongs together has one name up to the first dot.
            archive.append_data(&mut header, path.replace('/', "."), bytes.as_slice())?;
        }
    }
    archive.into_inner()
}

pub(super) const SCENES_FILE: &str = "scenes.jsonl";
const INSTRUCT: &str = "instruct.jsonl";

/// Draws a scene and all that is asked for.
fn make(plan: &Plan, split: Split, index: u64) -> Result<Made> {
    let scene = draw::scene(plan.seed, plan.mix, split, index);
    let seen = render(&scene, plan.side);
    let truth = Truth::of(&scene, &seen);
    let asked = questions(&scene, &truth, plan.seed);
    let name = scene.name();
    let ending = plan.format.word();
    // In an archive, names are the scene's with other endings.
    let path = |kind: &str, ending: &str| match plan.pack {
        Pack::Folder => format!("{kind}/{:03}/{name}.{ending}", index / FOLDER),
        Pack::Tar if kind == "images" => format!("{name}.{ending}"),
        Pack::Tar => format!("{name}.{kind}.{ending}"),
    };
    let image = path("images", ending);
    let mut files = vec![(image.clone(), plan.format.encode(&seen)?)];
    if plan.has(Output::Masks) {
        let levels: Vec<u8> = seen.instance.iter().map(|id| *id as u8).collect();
        files.push((path("masks", "png"), encode::grey(&levels, &seen)?));
    }
    if plan.has(Output::Depth) && !seen.depth.is_empty() {
        files.push((path("depth", "png"), encode::depth(&seen)?));
    }
    if plan.has(Output::Ade) {
        files.push((path("annotations", "png"), encode::grey(&seen.class, &seen)?));
        let instances = annotate::ade_instances(&truth, &seen);
        files.push((path("annotations_instance", "png"), encode::colours(&instances, &seen)?));
    }
    let mut lines = Vec::new();
    let mut line = |file: &str, value: &Value| lines.push((file.to_owned(), value.to_string()));
    line(SCENES_FILE, &json!({"image": image, "scene": scene, "truth": truth}));
    if plan.has(Output::Captions) {
        line("captions.jsonl", &llava::captions(&scene, &truth, &image, plan.seed));
    }
    if plan.has(Output::Instruct)
        && let Some(record) = llava::conversation(&scene, &truth, &asked, &image, plan.seed)
    {
        line(INSTRUCT, &record);
    }
    if plan.has(Output::Tasks) && split != Split::Train {
        for row in task::rows(&truth, &asked, &image) {
            line("questions.jsonl", &row);
        }
    }
    if plan.has(Output::Coco) {
        let (picture, annotations) = annotate::coco(&scene, &truth, &seen, &image);
        line("coco.json images", &picture);
        annotations.iter().for_each(|a| line("coco.json annotations", a));
    }
    if plan.has(Output::Omni3d)
        && let Some((picture, annotations)) = annotate::omni(&scene, &truth, &image)
    {
        line("omni3d.json images", &picture);
        annotations.iter().for_each(|a| line("omni3d.json annotations", a));
    }
    Ok(Made { files, lines, name })
}
