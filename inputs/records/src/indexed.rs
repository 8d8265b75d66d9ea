//! Rows by their place.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::folder::{Stem, Stems};
use crate::json::Texts;
use crate::table::{Choice, Source};
use crate::tar::Groups;
use crate::{Error, Form, Place, Result, Row, Spot, Table, Unread, csv};

/// A table whose rows were found, 16 bytes for each (folders: the names of their files).
pub struct Indexed {
    table: Table,
    parts: Vec<Part>,
    /// Rows before each file, and all of them at the end.
    before: Vec<usize>,
}

enum Part {
    Texts(Vec<Entry>),
    Csv(Arc<[String]>, Vec<Entry>),
    Parquet(Vec<u64>),
    Tar(Vec<u64>),
    Folder(Vec<Stem>),
}

/// A text in its file.
struct Entry {
    start: u64,
    bytes: u32,
    line: u32,
}

impl Entry {
    fn new(source: &Source, start: u64, end: u64, line: u64) -> Result<Self> {
        let small =
            |number: u64| u32::try_from(number).map_err(|_| Error::file(&source.path, "too large to index"));
        Ok(Self { start, bytes: small(end - start)?, line: small(line)? })
    }

    fn read(&self, source: &Source) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.bytes as usize];
        let mut read = || -> std::io::Result<()> {
            let mut file = File::open(&source.path)?;
            file.seek(SeekFrom::Start(self.start))?;
            file.read_exact(&mut bytes)
        };
        read().map_err(Error::io(&source.path, "cannot read a row again; was the file changed?"))?;
        Ok(bytes)
    }
}

impl Indexed {
    pub(crate) fn new(table: Table, mut visit: Visit<'_>) -> Result<Self> {
        let mut parts = Vec::new();
        for source in &table.sources {
            // Texts are shown while they are found; other forms are read once more.
            if let Some(visit) = &mut visit
                && !matches!(source.form, Form::Json | Form::Jsonl)
            {
                for row in Table::unread_of(std::slice::from_ref(source), &table.choice) {
                    visit(&row?);
                }
            }
            parts.push(part(source, &table.choice, &mut visit)?);
        }
        let mut before = vec![0];
        for part in &parts {
            let rows = match part {
                Part::Texts(entries) | Part::Csv(_, entries) => entries.len(),
                Part::Parquet(groups) => groups.iter().sum::<u64>() as usize,
                Part::Tar(starts) => starts.len(),
                Part::Folder(stems) => stems.len(),
            };
            before.push(before.last().copied().unwrap_or(0) + rows);
        }
        Ok(Self { table, parts, before })
    }

    /// Rows of all files.
    pub fn len(&self) -> usize {
        self.before.last().copied().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `row`, counted over all files from 0.
    ///
    /// # Errors
    /// What is wrong with it; that there is no such row; that the file was changed.
    pub fn get(&self, row: usize) -> Result<Row> {
        self.unread(row)?.parse()
    }

    /// As [`Indexed::get`], not yet parsed.
    ///
    /// # Errors
    /// As [`Indexed::get`].
    pub fn unread(&self, row: usize) -> Result<Unread> {
        let (at, within) = self.find(row)?;
        let (source, choice) = (&self.table.sources[at], &self.table.choice);
        Ok(match (&self.parts[at], &source.shape) {
            (Part::Texts(entries), _) => {
                let entry = &entries[within];
                source.of_json(choice, entry.line.into(), entry.read(source)?)
            }
            (Part::Csv(names, entries), _) => {
                let entry = &entries[within];
                let delimiter = if source.form == Form::Tsv { b'\t' } else { b',' };
                let mut builder = ::csv::ReaderBuilder::new();
                let bytes = entry.read(source)?;
                let mut reader = builder
                    .has_headers(false)
                    .flexible(true)
                    .delimiter(delimiter)
                    .from_reader(bytes.as_slice());
                let mut record = ::csv::ByteRecord::new();
                reader.read_byte_record(&mut record).map_err(|error| csv::stop(&source.path, error))?;
                source.of_csv(choice, entry.line.into(), names, record)
            }
            (Part::Parquet(groups), Some(shape)) => {
                let (mut group, mut left) = (0, within as u64);
                while groups.get(group).is_some_and(|&rows| left >= rows) {
                    left -= groups[group];
                    group += 1;
                }
                source.of_fields(choice, within as u64, shape.row(&source.path, group, left)?)
            }
            (Part::Tar(starts), _) => {
                let start = starts[within];
                let open = || -> std::io::Result<File> {
                    let mut file = File::open(&source.path)?;
                    file.seek(SeekFrom::Start(start))?;
                    Ok(file)
                };
                let file = open().map_err(Error::io(&source.path, "cannot read a row again"))?;
                let group = Groups::new(BufReader::new(file), start).next();
                let changed = || Err("the archive was changed while it was in use".to_owned());
                let group = group.unwrap_or_else(changed);
                source.of_tar(choice, group.map_err(|message| Error::file(&source.path, message))?)
            }
            (Part::Folder(stems), _) => source.of_stem(choice, stems[within].clone()),
            (Part::Parquet(_), None) => return Err(Error::file(&source.path, "no heading was read")),
        })
    }

    /// Where a row stands: its line, or its number within its file.
    ///
    /// # Errors
    /// There is no such row.
    pub fn place(&self, row: usize) -> Result<Place> {
        let (at, within) = self.find(row)?;
        let spot = match &self.parts[at] {
            Part::Texts(entries) | Part::Csv(_, entries) => Spot::Line(entries[within].line.into()),
            Part::Folder(stems) => Spot::Key(stems[within].key.as_str().into()),
            Part::Parquet(_) | Part::Tar(_) => Spot::Row(within as u64),
        };
        Ok(self.table.sources[at].place(spot))
    }

    /// File and row within it.
    fn find(&self, row: usize) -> Result<(usize, usize)> {
        if row >= self.len() {
            let path = self.table.files().next().unwrap_or(std::path::Path::new(""));
            return Err(Error::file(path, format!("there is no row {row} among {}", self.len())));
        }
        let at = self.before.partition_point(|&before| before <= row) - 1;
        Ok((at, row - self.before[at]))
    }
}

/// Shows rows to whom, if anybody.
type Visit<'a> = Option<&'a mut dyn FnMut(&Unread)>;

fn part(source: &Source, choice: &Arc<Choice>, visit: &mut Visit<'_>) -> Result<Part> {
    if source.packed {
        let message = "rows of a compressed file are read in order only; unpack it first (`gunzip`)";
        return Err(Error::file(&source.path, message));
    }
    Ok(match (source.form, &source.shape) {
        (_, Some(shape)) => Part::Parquet(shape.groups()),
        (Form::Json | Form::Jsonl, _) => {
            let entry = |text: Result<crate::json::Text, _>| {
                let text = text.map_err(|stop| source.stop(stop))?;
                let entry = Entry::new(source, text.at.start, text.at.end, text.line)?;
                if let Some(visit) = visit {
                    visit(&source.of_json(choice, text.line, text.bytes));
                }
                Ok(entry)
            };
            Part::Texts(Texts::new(source.reader()?).map(entry).collect::<Result<_>>()?)
        }
        (Form::Csv | Form::Tsv, _) => {
            let (mut reader, names) = csv::open(&source.path, source.form, source.reader()?)?;
            let (mut record, mut entries) = (::csv::ByteRecord::new(), Vec::new());
            while reader.read_byte_record(&mut record).map_err(|error| csv::stop(&source.path, error))? {
                let position = record.position();
                let (start, line) = position.map_or((0, 0), |at| (at.byte(), at.line()));
                entries.push(Entry::new(source, start, reader.position().byte(), line)?);
            }
            Part::Csv(names.into(), entries)
        }
        (Form::Tar | Form::Parquet, _) => {
            let start = |group: Result<crate::tar::Group, String>| {
                group.map(|group| group.at).map_err(|message| Error::file(&source.path, message))
            };
            Part::Tar(Groups::new(source.reader()?, 0).map(start).collect::<Result<_>>()?)
        }
        (Form::Folder, _) => Part::Folder(Stems::new(&source.path).collect::<Result<_>>()?),
    })
}
