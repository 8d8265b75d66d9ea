//! One file for all images. Until the last of them is there, rows and what is known of them lie in a folder beside it,
//! `OUT.unfinished/`, from where a later run goes on, however this one ended.

mod finish;
mod journal;
mod spool;
mod work;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::finish::{beside, complete, no_array};
use self::journal::{Begun, Line, Shape};
use self::spool::{Open, Spool};
use self::work::{Work, clear, lock, unfinished};
use super::listing::{Entry, lists, summary};
use super::{Existing, Replace, Setting, Sink, TensorOut as _, WriteError, file, free};
use crate::find::Input;
use crate::look::Seen;
use crate::read::{Item, Position};
use crate::{Error, Failure, Metadata};

/// The kind of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All tensors, and what is recorded in the header.
    Safetensors,
    /// One array, `tokens` where there is a connector, else `features`; what is recorded stands in a `.npy.json` beside.
    Npy,
}

/// What [`OneFile::open`] found.
pub enum Opening {
    /// Something is to be done.
    Wanted(Box<OneFile>),
    /// The file is there, made in the same way of the same inputs.
    Complete,
}

/// Collects rows for one file.
pub struct OneFile {
    form: Form,
    path: PathBuf,
    setting: Setting,
    replace: Replace,
    /// Of the names of all inputs.
    inputs: String,
    work: Work,
    spools: Vec<Spool>,
    record: Metadata,
    entries: Vec<Entry>,
    start: Position,
    earlier: Vec<Failure>,
    files: Vec<PathBuf>,
}

impl OneFile {
    /// The file at `path`. Whether it can be written is found out here, before anything is computed.
    ///
    /// # Errors
    /// [`WriteError::There`] for a file that is not to be replaced, [`WriteError::Unfinished`] for an earlier run of
    /// which nothing was said, [`WriteError::Other`] for one that cannot be continued by this one,
    /// [`WriteError::Busy`] for one that goes on at this moment, [`WriteError::Io`] where nothing can be written.
    pub fn open(
        path: &Path,
        form: Form,
        inputs: &[Input],
        setting: Setting,
        existing: Existing,
    ) -> Result<Opening, WriteError> {
        Self::open_on(path, form, inputs, setting, existing, spool::open)
    }

    /// Whether [`OneFile::open`] would refuse what is there, before it is known how results will be made.
    ///
    /// # Errors
    /// [`WriteError::There`], [`WriteError::Unfinished`], [`WriteError::Io`].
    pub fn check(path: &Path, form: Form, existing: Existing) -> Result<(), WriteError> {
        let folder = unfinished(path);
        if existing == Existing::Keep && (path.is_file() || folder.exists()) {
            return Ok(());
        }
        free(path, existing.replace())?;
        if form == Form::Npy {
            free(&beside(path), existing.replace())?;
        }
        if existing == Existing::Refuse && folder.exists() {
            return Err(WriteError::Unfinished { path: folder });
        }
        Ok(())
    }

    fn open_on(
        path: &Path,
        form: Form,
        inputs: &[Input],
        setting: Setting,
        existing: Existing,
        open: Open,
    ) -> Result<Opening, WriteError> {
        let names = journal::digest(inputs);
        let folder = unfinished(path);
        if existing == Existing::Keep && path.is_file() && !folder.exists() {
            return complete(path, form, &names, &setting).map(|()| Opening::Complete);
        }
        Self::check(path, form, existing)?;
        let fail = |e: io::Error| WriteError::io(&folder, e);
        let (begun_at, journal_at) = (folder.join("run.json"), folder.join("rows.jsonl"));
        fs::create_dir_all(&folder).map_err(fail)?;
        let lock = lock(&folder)?;
        if existing == Existing::Replace {
            clear(&folder).map_err(fail)?;
        }
        let begun = match journal::read::<Begun>(&begun_at) {
            Some(begun) => {
                if let Some(what) = begun.differs(&setting, inputs) {
                    return Err(WriteError::Other { path: folder, what });
                }
                begun
            }
            None => {
                // What has no beginning is nothing: the run ended before it had begun.
                clear(&folder).map_err(fail)?;
                let begun = Begun::of(&setting, inputs, existing);
                let json = journal::json(&begun, &begun_at)?;
                file(&begun_at, Replace::Always, |w| write!(w, "{json:#}"))?;
                begun
            }
        };
        let replace = if begun.replace { Replace::Always } else { Replace::Never };
        let journal = open(&journal_at).map_err(fail)?;
        let work = Work { folder, open, journal, noted: 0, _lock: lock };
        let mut out = Self {
            form,
            path: path.to_path_buf(),
            setting,
            replace,
            inputs: names,
            work,
            spools: Vec::new(),
            record: Metadata::new(),
            entries: Vec::new(),
            start: Position::default(),
            earlier: Vec::new(),
            files: Vec::new(),
        };
        out.restore()?;
        Ok(Opening::Wanted(Box::new(out)))
    }

    /// Takes up what an earlier run left: as many rows as are whole in every tensor and stand in the journal.
    fn restore(&mut self) -> Result<(), WriteError> {
        let mut text = Vec::new();
        let read = self.work.journal.read().and_then(|mut from| from.read_to_end(&mut text));
        read.map_err(|e| self.work.fail(e))?;
        if let Some(shape) = journal::read::<Shape>(&self.work.path("tensors.json")) {
            let spools = shape.tensors.iter().enumerate();
            let spools = spools.map(|(index, (name, shape))| self.work.spool(index, name, shape));
            self.spools = spools.collect::<Result<_, _>>()?;
            self.record = shape.record;
        }
        let mut whole = if self.spools.is_empty() { 0 } else { u64::MAX };
        for spool in &self.spools {
            let length = spool.medium.length().map_err(|e| self.work.fail(e))?;
            whole = whole.min(length.checked_div(spool.stride()).unwrap_or(u64::MAX));
        }
        for (line, length) in journal::lines(&text) {
            let next = line.next();
            match line {
                Line::Kept(_) if self.entries.len() as u64 == whole => break,
                Line::Kept(entry) => self.entries.push(entry),
                Line::Failed { name, failed, .. } => {
                    self.earlier.push(Failure::new(name, Error::Earlier(failed)));
                }
            }
            self.start = next;
            self.work.noted += length;
        }
        let rows = self.entries.len() as u64;
        self.spools.iter_mut().for_each(|spool| spool.commit(rows));
        self.roll_back()
    }

    /// Leaves what counts.
    fn roll_back(&mut self) -> Result<(), WriteError> {
        let mut cut = || {
            self.spools.iter_mut().try_for_each(Spool::roll_back)?;
            self.work.journal.cut(self.work.noted)
        };
        cut().map_err(|e| WriteError::io(&self.work.folder, e))
    }

    /// Failures of the run that is continued; their inputs are not tried again, as rows keep the order of the inputs.
    pub fn earlier(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.earlier)
    }

    /// Rows that are kept.
    pub fn rows(&self) -> usize {
        self.entries.len()
    }

    /// Name and shape of the tensors.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.spools.iter().map(|spool| (spool.name.clone(), spool.shape())).collect()
    }

    /// What is recorded, the lists of images among it.
    pub fn record(&self) -> Metadata {
        let mut out = self.head();
        out.extend(lists(&self.entries));
        out
    }

    fn head(&self) -> Metadata {
        let mut out = self.setting.common.clone();
        out.insert("inputs_sha256".into(), self.inputs.as_str().into());
        out.extend(self.record.clone());
        out.extend(summary(&self.entries));
        out
    }

    /// Files that were written.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The tensors that the file will hold, in `seen`.
    fn chosen<'a>(&self, seen: &'a Seen) -> Result<Vec<&'a crate::look::Rows>, WriteError> {
        match self.form {
            Form::Safetensors => Ok(seen.tensors.iter().collect()),
            Form::Npy => {
                let named = |name: &str| seen.tensors.iter().find(|rows| rows.name == name);
                named("tokens")
                    .or_else(|| named("features"))
                    .map(|rows| vec![rows])
                    .ok_or_else(|| no_array(&self.path))
            }
        }
    }

    fn begin(&mut self, tensors: &[&crate::look::Rows], record: Metadata) -> Result<(), WriteError> {
        let shape = Shape {
            tensors: tensors.iter().map(|rows| (rows.name.clone(), rows.shape.clone())).collect(),
            record: record.clone(),
        };
        let at = self.work.path("tensors.json");
        let json = journal::json(&shape, &at)?;
        file(&at, Replace::Always, |w| write!(w, "{json:#}"))?;
        let spools = tensors.iter().enumerate();
        let spools = spools.map(|(index, rows)| self.work.spool(index, &rows.name, &rows.shape));
        self.spools = spools.collect::<Result<_, _>>()?;
        self.record = record;
        Ok(())
    }
}

impl Sink for OneFile {
    fn start(&self) -> Position {
        self.start
    }

    fn put(&mut self, items: &[Item], seen: Seen) -> Result<Vec<(usize, Failure)>, WriteError> {
        let tensors = self.chosen(&seen)?;
        if self.spools.is_empty() {
            self.begin(&tensors, seen.record.clone())?;
        }
        let mut pairs = self.spools.iter().zip(&tensors);
        if let Some((spool, rows)) =
            pairs.find(|(spool, rows)| (&spool.name, &spool.shape) != (&rows.name, &rows.shape))
        {
            let shape = || WriteError::Shape {
                name: rows.name.clone(),
                shape: rows.shape.clone(),
                before: spool.shape.clone(),
            };
            let failures = items.iter().map(|item| Failure::new(item.name.clone(), shape()));
            let failures: Vec<_> = failures.enumerate().collect();
            for (item, (_, failure)) in items.iter().zip(&failures) {
                self.failed(item.input, item.row, failure)?;
            }
            return Ok(failures);
        }
        let entries: Vec<Entry> = items.iter().map(Entry::from).collect();
        let lines: Vec<Line> = entries.iter().cloned().map(Line::Kept).collect();
        let mut keep = || {
            let mut pairs = self.spools.iter_mut().zip(&tensors);
            let pushed = pairs.try_for_each(|(spool, rows)| spool.push(&rows.values));
            pushed.map_err(|e| WriteError::io(&self.work.folder, e))?;
            self.work.note(&lines)
        };
        if let Err(error) = keep() {
            // Whole rows in every tensor, and as many lines. Where even this fails the next run does it.
            let _ = self.roll_back();
            return Err(error);
        }
        self.spools.iter_mut().for_each(|spool| spool.commit(entries.len() as u64));
        self.entries.extend(entries);
        Ok(Vec::new())
    }

    fn failed(&mut self, input: usize, row: Option<usize>, failure: &Failure) -> Result<(), WriteError> {
        let (name, failed) = (failure.input.clone(), failure.error.to_string());
        let noted = self.work.note(&[Line::Failed { input, row, name, failed }]);
        if noted.is_err() {
            let _ = self.roll_back();
        }
        noted
    }
}

#[cfg(test)]
mod tests;
