//! From parts to the files of a set.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use super::encode::put;
use super::part::{self, PARTS, Records, SCENES_FILE};
use super::plan::{Output, Plan};
use super::{annotate, task};
use crate::error::{Error, Result};
use crate::scene::Split;

/// Puts the parts' records together, and takes the parts away.
pub(super) fn merge(folder: &Path, plan: &Plan) -> Result<()> {
    let parts = part::all(plan);
    // A merge that was cut off begins again; one that is done has taken the parts away.
    if !folder.join(PARTS).is_dir() {
        return Ok(());
    }
    for split in Split::ALL.iter().copied().filter(|split| plan.count(*split) > 0) {
        let home = folder.join(split.word());
        let mut plain = vec![SCENES_FILE];
        for (output, file) in [(Output::Captions, "captions.jsonl"), (Output::Instruct, "instruct.jsonl")] {
            if plan.has(output) {
                plain.push(file);
            }
        }
        if plan.has(Output::Tasks) && split != Split::Train {
            plain.push("questions.jsonl");
            for (name, text) in task::files() {
                put(&home.join(name), text.as_bytes())?;
            }
        }
        let mut writers = Vec::new();
        for file in plain {
            writers.push(Lines::begin(&home.join(file))?);
        }
        let mut documents = Vec::new();
        if plan.has(Output::Coco) {
            let licence = serde_json::json!([{"id": 1, "name": "MIT OR Apache-2.0", "url": ""}]);
            let head = [("licenses", licence), ("categories", annotate::coco_categories())];
            documents.push(Document::begin(&home.join("coco.json"), &head)?);
        }
        if plan.has(Output::Omni3d) {
            let head = [("categories", annotate::omni_categories())];
            documents.push(Document::begin(&home.join("omni3d.json"), &head)?);
        }
        if plan.has(Output::Ade) {
            put(&home.join("objectInfo.txt"), annotate::ade_classes().as_bytes())?;
        }
        for part in parts.iter().filter(|part| part.split == split) {
            let path = part.path(folder);
            let file = File::open(&path).map_err(Error::io(&path, "a part cannot be read"))?;
            let records: Records =
                serde_json::from_reader(BufReader::new(file)).map_err(|e| Error::read(&path, e))?;
            for writer in &mut writers {
                writer.add(records.lines.get(&writer.name).map_or(&[], Vec::as_slice))?;
            }
            for document in &mut documents {
                document.add(&records)?;
            }
        }
        for writer in writers {
            writer.end()?;
        }
        for document in documents {
            document.end()?;
        }
    }
    let path = folder.join(PARTS);
    fs::remove_dir_all(&path).map_err(Error::io(&path, "the parts cannot be removed"))
}

/// A file of lines that grows.
struct Lines {
    name: String,
    path: std::path::PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    fn begin(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Error::io(path, "cannot be written"))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn add(&mut self, lines: &[String]) -> Result<()> {
        for line in lines {
            writeln!(self.file, "{line}").map_err(Error::io(&self.path, "cannot be written"))?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        self.file.flush().map_err(Error::io(&self.path, "cannot be written"))
    }
}

/// A document with two long lists: pictures go straight into it, annotations wait until all are there.
struct Document {
    name: String,
    path: std::path::PathBuf,
    file: BufWriter<File>,
    later: Vec<String>,
    first: bool,
}

impl Document {
    fn begin(path: &Path, head: &[(&str, serde_json::Value)]) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::create(path).map_err(Error::io(path, "cannot be written"))?;
        let mut document =
            Self { name, path: path.to_owned(), file: BufWriter::new(file), later: Vec::new(), first: true };
        let mut text = "{\"info\": {\"description\": \"a synthetic world\"}".to_owned();
        for (key, value) in head {
            text += &format!(",\n\"{key}\": {value}");
        }
        document.say(&(text + ",\n\"images\": ["))?;
        Ok(document)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(Error::io(&self.path, "cannot be written"))
    }

    fn list(&mut self, lines: &[String]) -> Result<()> {
        for line in lines {
            let before = if std::mem::take(&mut self.first) { "\n" } else { ",\n" };
            self.say(before)?;
            self.say(line)?;
        }
        Ok(())
    }

    fn add(&mut self, records: &Records) -> Result<()> {
        let of =
            |list: &str| records.lines.get(&format!("{} {list}", self.name)).cloned().unwrap_or_default();
        let (images, annotations) = (of("images"), of("annotations"));
        self.later.extend(annotations);
        self.list(&images)
    }

    fn end(mut self) -> Result<()> {
        self.say("\n],\n\"annotations\": [")?;
        self.first = true;
        let later = std::mem::take(&mut self.later);
        self.list(&later)?;
        self.say("\n]}\n")?;
        self.file.flush().map_err(Error::io(&self.path, "cannot be written"))
    }
}
