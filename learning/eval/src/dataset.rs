//! From the rows of a data set to questions with their right answers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Map, Value as Json};
use zoo_records::{Indexed, Options, Picture, Row, Table, Value};

use crate::rules::Target;
use crate::task::{Form, Metric, OptionsSpec, Task, Written, written};
use crate::{Error, Result, text};

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

    /// The answers that can be given: the letters of the options, or yes and no; none for open questions.
    pub fn given(&self) -> Vec<String> {
        let target = &self.target;
        match target.answers.as_slice() {
            _ if !target.options.is_empty() => {
                ('A'..='Z').take(target.options.len()).map(String::from).collect()
            }
            [word] if word.eq_ignore_ascii_case("yes") || word.eq_ignore_ascii_case("no") => {
                vec!["Yes".into(), "No".into()]
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
        let also = also.map(crate::task::OneOrMany::all).unwrap_or_default();
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

fn listed(patterns: &[&str]) -> String {
    patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" or ")
}

fn missing(task: &Task, folder: &Path, patterns: &[&str]) -> String {
    let source = &task.spec.source;
    let place = match (&source.hub, &source.split) {
        (Some(hub), Some(split)) => {
            format!(" They are the split `{split}` of the data set {hub} on the Hub.")
        }
        (Some(hub), None) => format!(" They are in the data set {hub} on the Hub."),
        _ => String::new(),
    };
    format!(
        "no data: nothing in {} matches {}.{place} Give their folder with --data",
        folder.display(),
        listed(patterns)
    )
}

/// The files below `folder` that match the first pattern that any matches, by their path or, where they lie loose, by
/// their name; sorted. `a+b` is both. Of files in several forms those in one form are taken, Parquet before others.
fn found(folder: &Path, patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let readable = |path: &Path| zoo_records::Form::of(path).is_some();
    let files: Vec<PathBuf> = walk
        .into_iter()
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type().is_file() && readable(entry.path()))
        .map(walkdir::DirEntry::into_path)
        .collect();
    let matching = |pattern: &str| -> Result<Vec<PathBuf>> {
        let glob: GlobMatcher = GlobBuilder::new(pattern)
            .literal_separator(false)
            .build()
            .map_err(|error| Error::Input(format!("`{pattern}`: {error}")))?
            .compile_matcher();
        let name = |path: &PathBuf| path.file_name().map(PathBuf::from).unwrap_or_default();
        let below = |path: &PathBuf| path.strip_prefix(folder).map(Path::to_owned).unwrap_or_default();
        Ok(files
            .iter()
            .filter(|path| glob.is_match(below(path)) || glob.is_match(name(path)))
            .cloned()
            .collect())
    };
    for pattern in patterns {
        let mut all: Vec<PathBuf> = Vec::new();
        for part in pattern.split('+') {
            let mut of_part = matching(part)?;
            let extension = |path: &PathBuf| path.extension().map(std::ffi::OsStr::to_owned);
            let best = of_part.iter().map(extension).min_by_key(|e| e.as_deref() != Some("parquet".as_ref()));
            if let Some(best) = best {
                of_part.retain(|path| extension(path) == best);
            }
            all.extend(of_part);
        }
        if !all.is_empty() {
            return Ok(all);
        }
    }
    Ok(Vec::new())
}

/// The first of `names` that a row has.
fn existing<'a>(row: &Row, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names = names;
    names.find(|name| row.get(name).is_some_and(|value| *value != Value::Null))
}

/// Turns rows into items.
struct Reader<'a> {
    task: &'a Task,
}

impl Reader<'_> {
    /// The question of a row, unless it is not asked.
    fn item(&self, index: u64, number: u64, mut row: Row) -> Result<Option<Item>> {
        let spec = &self.task.spec;
        for (own, names) in &spec.fields {
            if row.get(own).is_none()
                && let Some(name) = existing(&row, names.all().iter().map(String::as_str))
                && let Some(value) = row.get(name).cloned()
            {
                row.set(own, value);
            }
        }
        let place = row.place().to_string();
        let wrong = |message: String| Error::Input(format!("{place}: {message}"));
        let mut fields: Map<String, Json> =
            row.fields().iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        self.task.derive(&mut fields, number).map_err(wrong)?;
        let options = match &spec.options {
            Some(options) => self.options(options, &row)?,
            None => Vec::new(),
        };
        if !self.task.keeps(&fields, &options, number).map_err(wrong)? {
            return Ok(None);
        }
        let asked = self.task.ask(&fields, &options, number).map_err(wrong)?;
        let kind = match &spec.kind {
            Some(column) => Some(row.text(column)?),
            None => None,
        };
        let target = self.target(&row, options.clone(), kind.clone())?;
        let corrected = self.corrected(&row, &fields, &target)?;
        let id = match spec.id.as_deref().filter(|id| row.get(id).is_some()) {
            Some(id) => row.text(id)?,
            None => number.to_string(),
        };
        let mut columns = BTreeMap::new();
        for column in self.columns() {
            if let Some(value) = fields.get(column).filter(|value| !value.is_null()) {
                columns.insert(column.to_owned(), written(value));
            }
        }
        let picture = self.picture(&row, &fields, number)?;
        let (prompt, suffix) = (asked.prompt, asked.suffix);
        Ok(Some(Item {
            index,
            row: number,
            id,
            place: row.place().to_string(),
            prompt,
            suffix,
            target,
            corrected,
            columns,
            max_new_tokens: spec.generation.max_new_tokens,
            picture,
        }))
    }

    fn picture(&self, row: &Row, fields: &Map<String, Json>, number: u64) -> Result<Place> {
        let Some(image) = &self.task.spec.image else { return Ok(Place::None) };
        if image.path.is_some() {
            let path = self.task.picture_path(fields, number);
            return path.map(Place::Path).map_err(|m| Error::Input(format!("{}: {m}", row.place())));
        }
        let column = image.column.as_deref().unwrap_or("image");
        let absent = match row.get(column) {
            None | Some(Value::Null) => true,
            Some(Value::List(list)) => list.is_empty(),
            Some(_) => false,
        };
        match (absent, image.optional, &image.join) {
            (true, true, _) => Ok(Place::None),
            (true, false, _) => Err(row.wrong(column, "there is no picture").into()),
            (false, _, Some(_)) => Ok(Place::Joined(row.text(column)?)),
            (false, _, None) => Ok(Place::Row),
        }
    }

    /// The columns that scores are given by.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let spec = &self.task.spec;
        let of_metric: Vec<&str> = match &spec.metric {
            Metric::Accuracy | Metric::Submission => Vec::new(),
            Metric::GroupMean { by } | Metric::Pairs { by } => vec![by],
            Metric::CvBench { source, task } => vec![source, task],
            Metric::Mme { category, image, .. } => vec![category, image],
            Metric::Circular { by, by_number } => {
                let both = std::iter::once(by).chain(by_number);
                both.flat_map(|by| by.columns.iter().chain(by.modulo.as_ref().map(|(column, _)| column)))
                    .map(String::as_str)
                    .collect()
            }
        };
        spec.groups.iter().map(String::as_str).chain(of_metric)
    }

    fn options(&self, spec: &OptionsSpec, row: &Row) -> Result<Vec<String>> {
        if let Some(column) = &spec.column {
            let options = match (row.value(column)?, spec.written) {
                (Value::Null, _) => Vec::new(),
                (Value::Text(text), Written::Quoted) => {
                    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
                }
                (Value::Text(text), Written::Parentheses) => parenthesised(text),
                (Value::Text(text), Written::List) => match text::list(text) {
                    Some(list) => list,
                    None => row.texts(column)?,
                },
                _ => row.texts(column)?,
            };
            return Ok(options);
        }
        let mut options = Vec::new();
        for column in &spec.columns {
            match row.maybe_text(column)? {
                Some(text) if Some(&text) != spec.none.as_ref() => options.push(text),
                // An absent column is an older revision's way to say that there is no such option, but not for the first.
                _ if options.is_empty() => return Err(row.wrong(column, "there is no option").into()),
                _ => {}
            }
        }
        Ok(options)
    }

    fn target(&self, row: &Row, options: Vec<String>, kind: Option<String>) -> Result<Target> {
        let Some(spec) = &self.task.spec.answer else {
            return Ok(Target { options, kind, ..Target::default() });
        };
        let column = spec.column.as_str();
        if row.get(column).is_none_or(|value| *value == Value::Null) && spec.optional {
            return Ok(Target { options, kind, ..Target::default() });
        }
        let mut row = row.clone();
        if !spec.within.is_empty() {
            row.set(column, self.within(&row, column)?);
        }
        let blank = Target { options, kind, ..Target::default() };
        let has_options = !blank.options.is_empty();
        let as_letter = |letter: String| -> Result<Target> {
            let letter = letter_of(&letter)
                .filter(|c| !has_options || usize::from(*c as u8 - b'A') < blank.options.len());
            match letter {
                Some(letter) => Ok(Target { letter: Some(letter), ..blank.clone() }),
                None => Err(row
                    .wrong(
                        column,
                        format_args!(
                            "`{}` is the letter of none of {} options",
                            row.text(column)?,
                            blank.options.len()
                        ),
                    )
                    .into()),
            }
        };
        let as_option = |place: Option<usize>| -> Result<Target> {
            match place.and_then(|place| ('A'..='Z').nth(place)).filter(|_| place < Some(blank.options.len()))
            {
                Some(letter) => Ok(Target { letter: Some(letter), ..blank.clone() }),
                None => Err(row
                    .wrong(
                        column,
                        format_args!(
                            "`{}` is none of the options: {}",
                            row.text(column)?,
                            blank.options.join(" | ")
                        ),
                    )
                    .into()),
            }
        };
        let as_text = |answers: Vec<String>| Target { answers, ..blank.clone() };
        let target = match spec.form {
            Form::Letter => as_letter(row.text(column)?)?,
            Form::LetterOrText if has_options => as_letter(row.text(column)?)?,
            Form::Index => as_option(usize::try_from(row.integer(column)?).ok())?,
            Form::Option => as_option(of_equal_the_last(&blank.options, &row.text(column)?))?,
            Form::OptionOrText if has_options => {
                as_option(of_equal_the_last(&blank.options, &row.text(column)?))?
            }
            Form::Text | Form::LetterOrText | Form::OptionOrText => as_text(vec![row.text(column)?]),
            Form::Texts => as_text(self.texts(&row, column)?),
        };
        if let Some(count) = spec.count.filter(|count| *count != target.answers.len()) {
            let message = format!("{} answers, and there must be {count}", target.answers.len());
            return Err(row.wrong(column, message).into());
        }
        Ok(target)
    }

    fn texts(&self, row: &Row, column: &str) -> Result<Vec<String>> {
        match row.value(column)? {
            Value::Text(text) => match text::list(text) {
                Some(list) => Ok(list),
                None => Ok(vec![text.clone()]),
            },
            // VQA's own form: objects with one answer each.
            Value::List(list)
                if list.iter().all(|value| value.get("answer").is_some()) && !list.is_empty() =>
            {
                Ok(list.iter().filter_map(|value| Some(value.get("answer")?.as_text()?.to_owned())).collect())
            }
            _ => Ok(row.texts(column)?),
        }
    }

    /// The value inside an object, or inside JSON as text.
    fn within(&self, row: &Row, column: &str) -> Result<Value> {
        let mut value = row.value(column)?.clone();
        if let Value::Text(text) = &value {
            value = Value::parse(text.as_bytes()).map_err(|error| row.wrong(column, error))?;
        }
        let names = self.task.spec.answer.as_ref().map(|answer| answer.within.as_slice()).unwrap_or_default();
        for name in names {
            value = value
                .get(name)
                .cloned()
                .ok_or_else(|| row.wrong(column, format_args!("there is no `{name}` in it")))?;
        }
        Ok(value)
    }

    fn corrected(&self, row: &Row, fields: &Map<String, Json>, target: &Target) -> Result<Option<Target>> {
        let Some(corrections) = &self.task.spec.corrections else { return Ok(None) };
        let key = fields.get(&corrections.by).map(written).unwrap_or_default();
        let Some(label) = corrections.labels.get(&key) else { return Ok(None) };
        let column = self.task.spec.answer.as_ref().map_or("answer", |answer| answer.column.as_str());
        let mut row = row.clone();
        row.set(column, Value::Text(label.clone()));
        let corrected = self.target(&row, target.options.clone(), target.kind.clone())?;
        Ok((corrected != *target).then_some(corrected))
    }
}

/// A value as templates see it: pictures are only there or not.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bytes(_) => Json::String("<bytes>".into()),
        Value::List(list) => list.iter().map(plain).collect(),
        Value::Map(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        other => other.to_json(),
    }
}

/// `B`, `b`, `(B)`, `(b)`, `B.`
fn letter_of(text: &str) -> Option<char> {
    let inner = text::strip(text).trim_matches(['(', ')', '.']);
    let mut chars = inner.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    chars.next().is_none().then(|| letter.to_ascii_uppercase())
}

/// The place of an option, the last one of equal ones, as the reference's dictionary has it.
fn of_equal_the_last(options: &[String], answer: &str) -> Option<usize> {
    options.iter().rposition(|option| option == answer)
}

/// What follows each `(x)` up to the next `(`.
fn parenthesised(text: &str) -> Vec<String> {
    let after = |part: &str| {
        part.split_once(')').map(|(_, rest)| text::strip(rest.split(')').next().unwrap_or("")).to_owned())
    };
    text.split('(').skip(1).filter_map(after).collect()
}
