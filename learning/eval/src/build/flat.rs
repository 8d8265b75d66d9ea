//! Boxes in the picture: COCO's `instances_*.json`, and ADE20K's files of JSON or masks beside each picture.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Object, Scene, masks};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Coco {
    #[serde(default)]
    info: Info,
    images: Vec<CocoImage>,
    annotations: Vec<CocoObject>,
    categories: Vec<Category>,
}

/// What a file says of itself.
#[derive(Default, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    description: String,
    #[serde(default)]
    source: String,
}

impl Info {
    /// The data set, as the published items name it: `published` for the files that they were made from.
    pub(super) fn dataset(&self, published: impl Fn(&str) -> String) -> String {
        let known =
            self.description.is_empty() || self.description.starts_with("COCO ") || !self.source.is_empty();
        if known { published(&self.source) } else { self.description.clone() }
    }
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct CocoObject {
    image_id: u64,
    category_id: u64,
    /// Left, top, width, height.
    bbox: [f64; 4],
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
pub(super) struct Category {
    pub id: u64,
    pub name: String,
}

pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "cannot read the annotations"))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Input(format!("{}: not annotations as {what}: {error}", path.display())))
}

/// Scenes of a file in COCO's form.
///
/// # Errors
/// [`Error::Input`] for another form, and for objects of pictures or categories that are not there.
pub fn coco(path: &Path) -> Result<Vec<Scene>> {
    let Coco { info, images, annotations, categories } = read(path, "COCO writes them")?;
    let names: BTreeMap<u64, String> = categories.into_iter().map(|c| (c.id, c.name)).collect();
    let mut scenes: BTreeMap<u64, Scene> = BTreeMap::new();
    for image in images {
        let scene = Scene {
            file: image.file_name,
            size: (image.width, image.height),
            source: "COCO",
            dataset: info.dataset(|_| "COCO 2017 Validation Set".into()),
            objects: Vec::new(),
            absent: names.values().cloned().collect(),
        };
        scenes.insert(image.id, scene);
    }
    for (number, object) in annotations.into_iter().enumerate() {
        let wrong = |what: &str, id: u64| {
            Error::Input(format!("{}: annotation {number}: there is no {what} {id}", path.display()))
        };
        let class = names.get(&object.category_id).ok_or_else(|| wrong("category", object.category_id))?;
        let scene = scenes.get_mut(&object.image_id).ok_or_else(|| wrong("image", object.image_id))?;
        let [x, y, w, h] = object.bbox;
        scene.objects.push(Object {
            class: class.clone(),
            bbox: [x, y, x + w, y + h],
            corners: None,
            unclear: (object.iscrowd != 0).then_some("part of it is a crowd, which is not counted"),
        });
    }
    Ok(scenes.into_values().collect())
}

#[derive(Deserialize)]
struct Ade {
    annotation: AdeImage,
}

#[derive(Deserialize)]
struct AdeImage {
    filename: String,
    /// Height, width, channels.
    imsize: Vec<f64>,
    #[serde(default)]
    object: Vec<AdeObject>,
}

#[derive(Deserialize)]
struct AdeObject {
    /// `car, auto, automobile`: the first word is the class.
    raw_name: Option<String>,
    name: String,
    parts: AdeParts,
    polygon: AdePolygon,
    /// Whether something is in front of it or it leaves the picture.
    #[serde(default)]
    crop: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct AdeParts {
    ispart: serde_json::Value,
}

#[derive(Deserialize)]
struct AdePolygon {
    x: Vec<f64>,
    y: Vec<f64>,
}

fn yes(value: &serde_json::Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_f64().is_some_and(|n| n != 0.0))
}

/// Scenes of a folder in ADE20K's form: a file of JSON beside each picture (2021), or masks of instances. Parts of objects
/// do not count.
///
/// # Errors
/// [`Error::Input`] for a folder with neither, and for another form.
pub fn ade20k(folder: &Path) -> Result<Vec<Scene>> {
    let mut scenes = match folder.join(masks::MASKS).is_dir() {
        true => masks::scenes(folder)?,
        false => files(folder)?,
    };
    // Every class of the set may be asked for where it is not.
    let mut classes: Vec<String> =
        scenes.iter().flat_map(|s| s.objects.iter().map(|o| o.class.clone())).collect();
    classes.sort();
    classes.dedup();
    for scene in &mut scenes {
        scene.absent.clone_from(&classes);
    }
    Ok(scenes)
}

fn files(folder: &Path) -> Result<Vec<Scene>> {
    let mut paths: Vec<_> = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(std::result::Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Error::Input(format!(
            "{}: neither files of JSON as ADE20K has beside its pictures, nor masks in `annotations_instance`",
            folder.display()
        )));
    }
    let mut scenes = Vec::new();
    for path in &paths {
        let Ade { annotation } = read(path, "ADE20K writes them")?;
        let [height, width, ..] = annotation.imsize[..] else {
            return Err(Error::Input(format!(
                "{}: `imsize` is not height, width and channels",
                path.display()
            )));
        };
        let near = path.with_file_name(&annotation.filename);
        let file = near.strip_prefix(folder).unwrap_or(&near).to_string_lossy().replace('\\', "/");
        let mut objects = Vec::new();
        for object in annotation.object.iter().filter(|object| !yes(&object.parts.ispart)) {
            let range = |values: &[f64]| {
                values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)))
            };
            let ((left, right), (top, bottom)) = (range(&object.polygon.x), range(&object.polygon.y));
            if left >= right || top >= bottom {
                continue;
            }
            let name = object.raw_name.as_ref().unwrap_or(&object.name);
            objects.push(Object {
                class: name.split(',').next().unwrap_or(name).trim().to_owned(),
                bbox: [left, top, right, bottom],
                corners: None,
                unclear: object.crop.as_ref().is_some_and(yes).then_some("one is cut off"),
            });
        }
        scenes.push(Scene {
            file,
            size: (width, height),
            source: "ADE20K",
            dataset: "ADE20K Validation Set".into(),
            objects,
            absent: Vec::new(),
        });
    }
    Ok(scenes)
}
