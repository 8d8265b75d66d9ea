//! From the rows of a data set to questions with their right answers.

mod answer;
mod files;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use zoo_records::{Indexed, Options, Picture, Row, Table, Value};

use crate::rules::Target;
use crate::task::{OneOrMany, Task};
use crate::{Error, Result};

pub(crate) use files::{chosen, listed};
use files::{found, missing};
use read::Reader;

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its number among the rows that are asked, from 0.
    pub index: u64,
    /// The number of its row among all.
    row: u64,
    /// Its id in the data; its row's number where there is none.
    pub id: String,
    /// Where it stands, for messages.
    pub place: String,
    /// What is asked, behind the picture.
    pub prompt: String,
    /// The suffix in it.
    pub suffix: String,
    /// What is right.
    pub target: Target,
    /// What is right after the task's corrections, where they change it.
    pub corrected: Option<Target>,
    /// The columns by which scores are given.
    pub columns: BTreeMap<String, String>,
    /// Tokens of a reply at most.
    pub max_new_tokens: usize,
    picture: Place,
}

impl Item {
    /// Whether it has a picture.
    pub fn has_picture(&self) -> bool {
        self.picture != Place::None
    }

    /// The answers that can be given: the letters of the options, or yes and no in either way of writing them; none for open
    /// questions.
    pub fn given(&self) -> Vec<String> {
        let target = &self.target;
        match target.answers.as_slice() {
            _ if !target.options.is_empty() => {
                ('A'..='Z').take(target.options.len()).map(String::from).collect()
            }
            [word] if word.eq_ignore_ascii_case("yes") || word.eq_ignore_ascii_case("no") => {
                ["Yes", "No", "yes", "no"].map(String::from).into()
            }
            _ => Vec::new(),
        }
    }
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    None,
    Row,
    Path(String),
    Joined(String),
}

/// The questions of a task, without their pictures.
pub struct Dataset {
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// The questions, in the order of rows.
    pub items: Vec<Item>,
    folder: PathBuf,
    joined: Option<Joined>,
    /// The names under which a row has its picture.
    names: Vec<String>,
}

impl Dataset {
    /// Reads the questions of `task` from `folder`, or from `folder/NAME`; at most `limit` of them.
    ///
    /// # Errors
    /// [`Error::Data`] when no file is there; [`Error::Records`] with file and row for what cannot be read, asked or judged.
    pub fn open(task: &Task, folder: &Path, limit: Option<usize>) -> Result<Self> {
        let below = folder.join(task.name());
        let folder = if below.is_dir() { below } else { folder.to_owned() };
        let patterns: Vec<&str> = task.spec.source.files.iter().map(|p| p.get_ref().as_str()).collect();
        let files = found(&folder, &patterns)?;
        if files.is_empty() {
            return Err(Error::data(task.name(), missing(task, &folder, &patterns)));
        }
        let joined = join(task, &folder)?;
        let column = task.spec.image.as_ref().and_then(|image| image.column.clone());
        let also = column.as_ref().and_then(|column| task.spec.fields.get(column));
        let also = also.map(OneOrMany::all).unwrap_or_default();
        let names = column.iter().chain(also).cloned().collect();
        let mut dataset = Self { files, items: Vec::new(), folder, joined, names };
        let reader = Reader { task };
        let mut items = Vec::new();
        for (number, row) in dataset.table()?.rows().enumerate() {
            if limit.is_some_and(|limit| items.len() >= limit) {
                break;
            }
            items.extend(reader.item(items.len() as u64, number as u64, row?)?);
        }
        if items.is_empty() {
            return Err(Error::data(task.name(), "its files have no row that is asked"));
        }
        dataset.items = items;
        Ok(dataset)
    }

    fn table(&self) -> Result<Table> {
        let options = Options { images: Some(self.folder.clone()), ..Options::default() };
        Ok(Table::open(&self.files, options)?)
    }

    /// The bytes of the pictures of the items for which `wanted` holds, in order; `None` for those without one. What
    /// cannot be read is an error of its item.
    ///
    /// # Errors
    /// The files themselves cannot be read any more.
    pub fn pictures<'a>(
        &'a self,
        wanted: impl Fn(&Item) -> bool,
        mut each: impl FnMut(&'a Item, Result<Option<Vec<u8>>>) -> std::ops::ControlFlow<()>,
    ) -> Result<()> {
        let wanted = self.items.iter().filter(|item| wanted(item));
        let in_rows = self.items.iter().any(|item| item.picture == Place::Row);
        let table = self.table()?;
        let mut rows = in_rows.then(|| table.rows().enumerate());
        for item in wanted {
            let read = |picture: Picture| Ok(Some(picture.read()?));
            let picture = match &item.picture {
                Place::None => Ok(None),
                Place::Path(path) => read(Picture::File(self.folder.join(path))),
                Place::Joined(key) => self.looked_up(item, key).and_then(read),
                Place::Row => {
                    let row =
                        rows.as_mut().and_then(|rows| rows.find(|(number, _)| *number as u64 == item.row));
                    match row {
                        Some((_, row)) => {
                            row.map_err(Error::from).and_then(|row| self.of_row(&row)).and_then(read)
                        }
                        None => Err(Error::Input(format!("{}: the row is gone", item.place))),
                    }
                }
            };
            if each(item, picture).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The picture in a row; of a list the first.
    fn of_row(&self, row: &Row) -> Result<Picture> {
        let name = existing(row, self.names.iter().map(String::as_str)).unwrap_or("image");
        if let Some(Value::List(list)) = row.get(name) {
            let first = list.first().cloned().unwrap_or(Value::Null);
            let mut row = row.clone();
            row.set(name, first);
            return Ok(row.picture(name)?);
        }
        Ok(row.picture(name)?)
    }

    fn looked_up(&self, item: &Item, key: &str) -> Result<Picture> {
        let lost = || Error::Input(format!("{}: there is no picture `{key}`", item.place));
        let (table, places, column) = self.joined.as_ref().ok_or_else(lost)?;
        Ok(table.get(*places.get(key).ok_or_else(lost)?)?.picture(column)?)
    }
}

/// A table of pictures, where each key stands in it, and the column with the picture.
type Joined = (Indexed, HashMap<String, usize>, String);

/// The table of pictures of a task that has one.
fn join(task: &Task, folder: &Path) -> Result<Option<Joined>> {
    let Some(join) = task.spec.image.as_ref().and_then(|image| image.join.as_ref()) else { return Ok(None) };
    let patterns: Vec<&str> = join.files.iter().map(String::as_str).collect();
    let files = found(folder, &patterns)?;
    if files.is_empty() {
        let message = format!("no table of pictures in {} matches {}", folder.display(), listed(&patterns));
        return Err(Error::data(task.name(), message));
    }
    let keys = Table::open(&files, Options { columns: Some(vec![join.key.clone()]), ..Options::default() })?;
    let mut places = HashMap::new();
    for (place, row) in keys.rows().enumerate() {
        places.insert(row?.text(&join.key)?, place);
    }
    let images = Options { images: Some(folder.to_owned()), ..Options::default() };
    Ok(Some((Table::open(&files, images)?.index()?, places, join.column.clone())))
}

/// The first of `names` that a row has.
fn existing<'a>(row: &Row, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names = names;
    names.find(|name| row.get(name).is_some_and(|value| *value != Value::Null))
}
