//! Several files as one table, read in order.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::folder::{self, Stem, Stems};
use crate::json::{Stop, Texts};
use crate::parquet::Shape;
use crate::row::no_column;
use crate::tar::{self, Groups, Part};
use crate::{Error, Form, Indexed, Place, Result, Row, Spot, Value, csv};

/// How a table is read. The default reads everything as it stands.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder that paths of pictures count from; that of each file where it is absent.
    pub images: Option<PathBuf>,
    /// The columns that are read, by the names that rows will have; all where it is absent. What is not read costs
    /// nothing in Parquet.
    pub columns: Option<Vec<String>>,
    /// Columns under another name: that of the row, and that in the file.
    pub rename: Vec<(String, String)>,
    /// The form of all files, where their names do not tell.
    pub form: Option<Form>,
}

/// Several files as one table. Nothing is in memory but the headings.
pub struct Table {
    pub(crate) sources: Vec<Source>,
    pub(crate) choice: Arc<Choice>,
}

/// Which columns are read, and under which names.
pub(crate) struct Choice {
    columns: Option<Vec<String>>,
    rename: Vec<(String, String)>,
}

/// One file.
pub(crate) struct Source {
    pub path: Arc<Path>,
    pub root: Arc<Path>,
    pub form: Form,
    pub packed: bool,
    /// Of Parquet.
    pub shape: Option<Shape>,
}

impl Table {
    /// Looks at the files: that they are there, and at the headings of those that have one.
    ///
    /// # Errors
    /// A file that is not there, whose form is not known, or whose heading is broken or lacks a column that is asked
    /// for; no file at all.
    pub fn open(paths: &[impl AsRef<Path>], options: Options) -> Result<Self> {
        let choice = Choice { columns: options.columns.clone(), rename: options.rename.clone() };
        let mut sources = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let metadata = path.metadata().map_err(Error::io(path, "cannot read the rows"))?;
            if !metadata.is_dir() {
                sources.push(Source::open(path, &options, &choice)?);
                continue;
            }
            let tables = folder::tables(path)?;
            for table in &tables {
                sources.push(Source::open(table, &options, &choice)?);
            }
            if tables.is_empty() {
                let root = options.images.as_deref().unwrap_or(path).into();
                let form = Form::Folder;
                sources.push(Source { path: path.into(), root, form, packed: false, shape: None });
            }
        }
        if sources.is_empty() {
            return Err(Error::file(Path::new("."), "no file of rows is named"));
        }
        Ok(Self { sources, choice: Arc::new(choice) })
    }

    /// The files, in order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(|source| &*source.path)
    }

    /// All rows in order. A row that cannot be read is an error, and the next ones still come; after a file that
    /// breaks off nothing comes.
    pub fn rows(&self) -> impl Iterator<Item = Result<Row>> + '_ {
        self.unread().map(|row| row?.parse())
    }

    /// As [`Table::rows`], cut but not parsed, for callers that parse on many threads. An error is that of a file, and the
    /// last item.
    pub fn unread(&self) -> impl Iterator<Item = Result<Unread>> + Send + '_ {
        Self::unread_of(&self.sources, &self.choice)
    }

    pub(crate) fn unread_of<'a>(
        sources: &'a [Source],
        choice: &'a Arc<Choice>,
    ) -> impl Iterator<Item = Result<Unread>> + Send + 'a {
        let mut sources = sources.iter();
        let mut pass: Option<Pass<'_>> = None;
        let mut over = false;
        std::iter::from_fn(move || {
            while !over {
                if let Some(row) = pass.as_mut().and_then(Pass::next) {
                    over = row.is_err();
                    return Some(row);
                }
                match Pass::new(sources.next()?, choice) {
                    Ok(next) => pass = Some(next),
                    Err(error) => {
                        over = true;
                        return Some(Err(error));
                    }
                }
            }
            None
        })
    }

    /// Finds every row once, so that it can be read by its place.
    ///
    /// # Errors
    /// As reading in order; files that are compressed as a whole.
    pub fn index(self) -> Result<Indexed> {
        Indexed::new(self, None)
    }

    /// As [`Table::index`], and shows every row to `visit` on the way. JSON is read once for both.
    ///
    /// # Errors
    /// As [`Table::index`].
    pub fn index_each(self, mut visit: impl FnMut(&Unread)) -> Result<Indexed> {
        Indexed::new(self, Some(&mut visit))
    }
}

impl Source {
    fn open(path: &Path, options: &Options, choice: &Choice) -> Result<Self> {
        let known = Form::of(path);
        let (form, packed) = match (options.form, known) {
            (Some(form), known) => (form, known.is_some_and(|(_, packed)| packed)),
            (None, Some(known)) => known,
            (None, None) => {
                let message = "the name does not tell the form; known are .json, .jsonl, .ndjson, .csv, .tsv, \
                               .parquet and .tar";
                return Err(Error::file(path, message));
            }
        };
        let root: Arc<Path> = match &options.images {
            Some(images) => images.as_path().into(),
            None => path.parent().unwrap_or(Path::new("")).into(),
        };
        let wanted = choice.of_file();
        let shape = match form {
            Form::Parquet => Some(Shape::open(path, wanted.as_deref())?),
            Form::Csv | Form::Tsv => {
                let source = Self { path: path.into(), root: root.clone(), form, packed, shape: None };
                let (_, names) = csv::open(path, form, source.reader()?)?;
                if let Some(missing) = wanted.unwrap_or_default().iter().find(|name| !names.contains(name)) {
                    return Err(Error::file(path, no_column(missing, names.iter().map(String::as_str))));
                }
                None
            }
            _ => None,
        };
        Ok(Self { path: path.into(), root, form, packed, shape })
    }

    pub fn reader(&self) -> Result<Box<dyn BufRead + Send>> {
        let file = File::open(&self.path).map_err(Error::io(&self.path, "cannot read the rows"))?;
        Ok(match self.packed {
            true => Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(file))),
            false => Box::new(BufReader::with_capacity(1 << 18, file)),
        })
    }

    pub fn place(&self, spot: Spot) -> Place {
        Place { path: self.path.clone(), spot }
    }

    pub fn stop(&self, stop: Stop) -> Error {
        match stop {
            Stop::Io(error) => Error::io(&self.path, "cannot read the rows")(error),
            Stop::Form(message) => Error::file(&self.path, message),
        }
    }
}

impl Choice {
    /// The columns that are read, by their names in the file.
    fn of_file(&self) -> Option<Vec<String>> {
        let name = |name: &String| {
            let renamed = self.rename.iter().find(|(row, _)| row == name);
            renamed.map_or(name, |(_, file)| file).clone()
        };
        self.columns.as_ref().map(|columns| columns.iter().map(name).collect())
    }

    fn apply(&self, mut fields: Vec<(String, Value)>) -> Vec<(String, Value)> {
        for (name, _) in &mut fields {
            if let Some((row, _)) = self.rename.iter().find(|(_, file)| file == name) {
                name.clone_from(row);
            }
        }
        if let Some(columns) = &self.columns {
            fields.retain(|(name, _)| columns.contains(name));
        }
        fields
    }
}

/// A row that was found and not yet parsed.
#[derive(Clone)]
pub struct Unread {
    place: Place,
    root: Arc<Path>,
    choice: Arc<Choice>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Json(Vec<u8>),
    Csv(Arc<[String]>, ::csv::ByteRecord),
    Tar(Vec<Part>),
    Stem(Stem),
    Ready(Vec<(String, Value)>),
}

impl Unread {
    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its text, where the file is JSON or JSONL.
    pub fn json(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Json(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes of memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Json(text) => text.len(),
            Kind::Csv(_, record) => record.as_slice().len(),
            Kind::Tar(parts) => parts.iter().map(|(_, bytes)| bytes.len()).sum(),
            Kind::Stem(stem) => 128 * stem.files.len(),
            Kind::Ready(fields) => fields.iter().map(|(name, value)| name.len() + value.bytes()).sum(),
        }
    }

    /// The row.
    ///
    /// # Errors
    /// What is wrong with it; other rows are none the worse.
    pub fn parse(self) -> Result<Row> {
        let wrong = |message: String| Error::row(&self.place, message);
        let fields = match self.kind {
            Kind::Json(text) => match Value::parse(&text).map_err(|error| wrong(json_fault(&error)))? {
                Value::Map(fields) => fields,
                other => {
                    return Err(wrong(format!("a JSON object is expected, and this is {}", other.kind())));
                }
            },
            Kind::Csv(names, record) => csv::fields(&names, &record).map_err(wrong)?,
            Kind::Tar(parts) => tar::fields(parts).map_err(wrong)?,
            Kind::Stem(stem) => folder::fields(&self.place.path, stem)?,
            Kind::Ready(fields) => fields,
        };
        Ok(Row::new(self.place, self.root, self.choice.apply(fields)))
    }
}

/// Of a record on one line only the column says something; of others line and column are those within the record.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_suffix(&format!(" at line 1 column {}", error.column())) {
        Some(what) => format!("no JSON at character {}: {what}", error.column()),
        None => format!("no JSON: {text} of the record"),
    }
}

/// One file, read in order.
struct Pass<'a> {
    source: &'a Source,
    choice: Arc<Choice>,
    reader: Reader<'a>,
    row: u64,
}

enum Reader<'a> {
    Json(Texts<Box<dyn BufRead + Send>>),
    Csv(Arc<[String]>, Box<::csv::Reader<Box<dyn Read + Send>>>),
    Parquet(Box<crate::parquet::Rows<'a>>),
    Tar(Groups<Box<dyn BufRead + Send>>),
    Folder(Stems),
    /// It broke off.
    Over,
}

impl<'a> Pass<'a> {
    fn new(source: &'a Source, choice: &Arc<Choice>) -> Result<Self> {
        let reader = match (source.form, &source.shape) {
            (Form::Json | Form::Jsonl, _) => Reader::Json(Texts::new(source.reader()?)),
            (Form::Csv | Form::Tsv, _) => {
                let reader: Box<dyn Read + Send> = Box::new(source.reader()?);
                let (reader, names) = csv::open(&source.path, source.form, reader)?;
                Reader::Csv(names.into(), Box::new(reader))
            }
            (_, Some(shape)) => Reader::Parquet(Box::new(shape.rows(&source.path)?)),
            (Form::Folder, _) => Reader::Folder(Stems::new(&source.path)),
            (Form::Tar | Form::Parquet, _) => Reader::Tar(Groups::new(source.reader()?, 0)),
        };
        Ok(Self { source, choice: choice.clone(), reader, row: 0 })
    }

    fn next(&mut self) -> Option<Result<Unread>> {
        let path = &self.source.path;
        let (spot, kind) = match &mut self.reader {
            Reader::Over => return None,
            Reader::Json(texts) => match texts.next()? {
                Ok(text) => (Spot::Line(text.line), Kind::Json(text.bytes)),
                Err(stop) => return Some(Err(self.source.stop(stop))),
            },
            Reader::Csv(names, reader) => {
                let mut record = ::csv::ByteRecord::new();
                match reader.read_byte_record(&mut record) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => return Some(Err(csv::stop(path, error))),
                }
                let line = record.position().map_or(0, ::csv::Position::line);
                (Spot::Line(line), Kind::Csv(names.clone(), record))
            }
            Reader::Parquet(rows) => match rows.next()? {
                Ok(fields) => (Spot::Row(self.row), Kind::Ready(fields)),
                Err(message) => {
                    self.reader = Reader::Over;
                    let message = format!("after row {}: {message}", self.row);
                    return Some(Err(Error::file(path, message)));
                }
            },
            Reader::Tar(groups) => match groups.next()? {
                Ok(group) => (Spot::Key(group.key.into()), Kind::Tar(group.parts)),
                Err(message) => return Some(Err(Error::file(path, message))),
            },
            Reader::Folder(stems) => match stems.next()? {
                Ok(stem) => (Spot::Key(stem.key.as_str().into()), Kind::Stem(stem)),
                Err(error) => return Some(Err(error)),
            },
        };
        self.row += 1;
        Some(Ok(self.source.unread(&self.choice, spot, kind)))
    }
}

impl Source {
    fn unread(&self, choice: &Arc<Choice>, spot: Spot, kind: Kind) -> Unread {
        Unread { place: self.place(spot), root: self.root.clone(), choice: choice.clone(), kind }
    }

    /// Rows that were found by their place.
    pub(crate) fn of_json(&self, choice: &Arc<Choice>, line: u64, text: Vec<u8>) -> Unread {
        self.unread(choice, Spot::Line(line), Kind::Json(text))
    }

    pub(crate) fn of_csv(
        &self,
        choice: &Arc<Choice>,
        line: u64,
        names: &Arc<[String]>,
        record: ::csv::ByteRecord,
    ) -> Unread {
        self.unread(choice, Spot::Line(line), Kind::Csv(names.clone(), record))
    }

    pub(crate) fn of_tar(&self, choice: &Arc<Choice>, group: tar::Group) -> Unread {
        self.unread(choice, Spot::Key(group.key.into()), Kind::Tar(group.parts))
    }

    pub(crate) fn of_stem(&self, choice: &Arc<Choice>, stem: Stem) -> Unread {
        self.unread(choice, Spot::Key(stem.key.as_str().into()), Kind::Stem(stem))
    }

    pub(crate) fn of_fields(&self, choice: &Arc<Choice>, row: u64, fields: Vec<(String, Value)>) -> Unread {
        self.unread(choice, Spot::Row(row), Kind::Ready(fields))
    }
}
