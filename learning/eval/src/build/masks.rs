//! Instances in masks, as ADE20K's challenges and the synthetic world write them: `annotations_instance/…png` with the class
//! in red and the number of the instance in green, beside `images/…` and a table of classes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Object, Scene};
use crate::{Error, Result};

/// The folder of masks.
pub(super) const MASKS: &str = "annotations_instance";

/// The table of classes, under the names that it is published by.
const TABLES: [&str; 3] = ["objectInfo.txt", "objectInfo150.txt", "categoryMapping.txt"];

/// Endings of pictures.
const PICTURES: [&str; 3] = ["jpg", "png", "jpeg"];

/// Scenes of a folder with masks. What has no number is ground and no object.
///
/// # Errors
/// [`Error::Input`] for a folder without a table, a mask without its picture, and a class that is not in the table.
pub(super) fn scenes(folder: &Path) -> Result<Vec<Scene>> {
    let names = classes(folder)?;
    let masks = folder.join(MASKS);
    let walk = walkdir::WalkDir::new(&masks).sort_by_file_name().into_iter();
    let paths = walk.filter_map(std::result::Result::ok).map(walkdir::DirEntry::into_path);
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .map(|path| scene(folder, &path, &names))
        .collect()
}

/// Names of classes by their number: lines of cells between tabs, the heading among them says which is which.
fn classes(folder: &Path) -> Result<BTreeMap<u8, String>> {
    let found = TABLES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let path = found.ok_or_else(|| {
        Error::Input(format!(
            "{}: masks without their table of classes ({})",
            folder.display(),
            TABLES.join(" or ")
        ))
    })?;
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "cannot read the classes"))?;
    let mut lines = text.lines().enumerate();
    let cells = |line: &str| -> Vec<String> { line.split('\t').map(|cell| cell.trim().to_owned()).collect() };
    let heading = cells(lines.next().map_or("", |(_, line)| line));
    let place =
        |names: [&str; 2]| heading.iter().position(|cell| names.contains(&cell.to_lowercase().as_str()));
    let (Some(number), Some(name)) = (place(["idx", "id"]), place(["name", "names"])) else {
        return Err(Error::Input(format!(
            "{}:1: no heading with `Idx` and `Name` between tabs",
            path.display()
        )));
    };
    let parse = |(at, line): (usize, &str)| {
        let cells = cells(line);
        let wrong = || Error::Input(format!("{}:{}: no number and name of a class", path.display(), at + 1));
        let number = cells.get(number).and_then(|cell| cell.parse().ok()).ok_or_else(wrong)?;
        let name = cells.get(name).filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        Ok((number, name.split(',').next().unwrap_or(name).trim().to_owned()))
    };
    lines.filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

fn scene(folder: &Path, path: &Path, names: &BTreeMap<u8, String>) -> Result<Scene> {
    let wrong = |message: String| Error::Input(format!("{}: {message}", path.display()));
    let mask = image::open(path).map_err(|error| wrong(error.to_string()))?.into_rgb8();
    let below = path.strip_prefix(folder.join(MASKS)).unwrap_or(path);
    let picture = |ending: &&str| Path::new("images").join(below).with_extension(ending);
    let file: PathBuf =
        PICTURES.iter().map(picture).find(|file| folder.join(file).is_file()).ok_or_else(|| {
            wrong(format!("there is no picture {} in {}", picture(&"jpg").display(), folder.display()))
        })?;
    let mut boxes: BTreeMap<(u8, u8), [u32; 4]> = BTreeMap::new();
    for (x, y, pixel) in mask.enumerate_pixels() {
        let [class, number, _] = pixel.0;
        if number == 0 {
            continue;
        }
        let [left, top, right, bottom] = boxes.entry((class, number)).or_insert([x, y, x + 1, y + 1]);
        (*left, *top) = ((*left).min(x), (*top).min(y));
        (*right, *bottom) = ((*right).max(x + 1), (*bottom).max(y + 1));
    }
    let object = |((class, _), bbox): ((u8, u8), [u32; 4])| {
        let class =
            names.get(&class).ok_or_else(|| wrong(format!("class {class} is not in the table")))?.clone();
        Ok(Object { class, bbox: bbox.map(f64::from), corners: None, unclear: None })
    };
    Ok(Scene {
        file: file.to_string_lossy().replace('\\', "/"),
        size: (mask.width().into(), mask.height().into()),
        source: "ADE20K",
        dataset: format!("masks of {}", folder.file_name().unwrap_or_default().to_string_lossy()),
        objects: boxes.into_iter().map(object).collect::<Result<_>>()?,
        absent: Vec::new(),
    })
}
