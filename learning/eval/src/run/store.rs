//! Replies on disk: one line each, appended as they come, in the order of items once all are there.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Record;
use crate::{Error, Result};

/// A part of the items: those whose number leaves `of` the rest `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u64,
    /// How many there are.
    pub of: u64,
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// `i/n`, from 1.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
        match parts {
            Some((i, n)) if (1..=n).contains(&i) => Ok(Self { index: i - 1, of: n }),
            _ => Err(format!("`{text}` is no part: write I/N, with I from 1 to N")),
        }
    }

    /// Whether an item belongs to it.
    pub fn has(self, index: u64) -> bool {
        index % self.of == self.index
    }

    /// The file of its replies.
    fn file(self) -> String {
        match self.of {
            1 => "replies.jsonl".into(),
            of => format!("replies-{}-of-{of}.jsonl", self.index + 1),
        }
    }
}

/// The replies of a task, or of a part of it, being written.
pub struct Store {
    path: PathBuf,
    file: File,
    sorted: bool,
    last: Option<u64>,
    /// Locked as long as this process writes them.
    _own: File,
}

impl Store {
    /// Opens the replies of `shard` in the folder of a task, and says which items have one already. A last line that was
    /// cut off, as when the power goes, is taken away.
    ///
    /// # Errors
    /// [`Error::Run`] for a line that is none, and while another process writes them; [`Error::Io`].
    pub fn open(folder: &Path, shard: Shard) -> Result<(Self, Vec<u64>)> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
        let path = folder.join(shard.file());
        // A file of its own, since some systems let nobody read what is locked, this process included.
        let own = lock_file(&folder.join(format!(".{}.lock", shard.file())))?;
        if let Err(TryLockError::WouldBlock) = own.try_lock() {
            let message =
                "another process is asking these questions: let it end, or give each a part with --shard";
            return Err(Error::run(&path, message));
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path, "cannot write"))?;
        let records = read(&path, Cut::Repair)?;
        let done: Vec<u64> = records.iter().map(|record| record.index).collect();
        let sorted = done.is_sorted();
        Ok((Self { path, file, sorted, last: done.iter().max().copied(), _own: own }, done))
    }

    /// Adds a reply. It is in the file when this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, record: &Record) -> Result<()> {
        let mut line =
            serde_json::to_vec(record).map_err(|error| Error::run(&self.path, error.to_string()))?;
        line.push(b'\n');
        // One write, so that a line is there or not.
        self.file.write_all(&line).map_err(Error::io(&self.path, "cannot write"))?;
        self.sorted &= self.last.is_none_or(|last| last < record.index);
        self.last = self.last.max(Some(record.index));
        Ok(())
    }

    /// Puts the replies into the order of their items.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        self.file.sync_all().map_err(Error::io(&self.path, "cannot write"))?;
        if self.sorted {
            return Ok(());
        }
        let mut records = read(&self.path, Cut::Refuse)?;
        records.sort_by_key(|record| record.index);
        records.dedup_by_key(|record| record.index);
        let mut text = Vec::new();
        for record in &records {
            serde_json::to_writer(&mut text, record)
                .map_err(|error| Error::run(&self.path, error.to_string()))?;
            text.push(b'\n');
        }
        keep_file(&self.path, &text)
    }
}

/// While it lives, no other process keeps what a run was made with.
pub struct Held(#[expect(dead_code, reason = "held for its drop")] File);

/// Waits until this process alone keeps `run.json` and the tasks' files in the folder of a run, which it makes.
///
/// # Errors
/// [`Error::Io`].
pub fn hold(run: &Path) -> Result<Held> {
    std::fs::create_dir_all(run).map_err(Error::io(run, "cannot make the folder"))?;
    let path = run.join(".lock");
    let file = lock_file(&path)?;
    match file.lock() {
        Err(error) if error.kind() != std::io::ErrorKind::Unsupported => {
            Err(Error::io(&path, "cannot lock")(error))
        }
        _ => Ok(Held(file)),
    }
}

fn lock_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(Error::io(path, "cannot write"))
}

/// The replies of a task, whatever parts they are in, in the order of items; none before the first.
///
/// # Errors
/// [`Error::Run`] for a line that is no reply, and for a folder with both a whole and parts, or parts of several wholes.
pub fn stored(folder: &Path) -> Result<Vec<Record>> {
    let mut wholes: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "cannot read the run"))? {
        let path = entry.map_err(Error::io(folder, "cannot read the run"))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(name) = name.strip_prefix("replies").and_then(|name| name.strip_suffix(".jsonl")) else {
            continue;
        };
        let of = name.rsplit_once("-of-").map_or(Some(1), |(_, of)| of.parse().ok());
        if let Some(of) = of {
            wholes.entry(of).or_default().push(path);
        }
    }
    let mut wholes = wholes.into_iter();
    let Some((of, paths)) = wholes.next() else { return Ok(Vec::new()) };
    if let Some((other, _)) = wholes.next() {
        let message =
            format!("there are replies in {of} part(s) and in {other}: move those of one of them away");
        return Err(Error::run(folder, message));
    }
    let mut records = Vec::new();
    for path in paths {
        records.extend(read(&path, Cut::Ignore)?);
    }
    records.sort_by_key(|record| record.index);
    records.dedup_by_key(|record| record.index);
    Ok(records)
}

/// What happens to a last line without an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It is cut off in the file.
    Repair,
    /// It is passed over.
    Ignore,
    /// It is wrong.
    Refuse,
}

fn read(path: &Path, cut: Cut) -> Result<Vec<Record>> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "cannot read the replies"))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        match cut {
            Cut::Ignore => {}
            Cut::Refuse => return Err(Error::run(path, "its last line has no end")),
            Cut::Repair => {
                let file =
                    OpenOptions::new().write(true).open(path).map_err(Error::io(path, "cannot write"))?;
                file.set_len(whole as u64).map_err(Error::io(path, "cannot write"))?;
            }
        }
    }
    let lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let parse = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line)
            .map_err(|error| Error::run(path, format!("line {}: no reply: {error}", number + 1)))
    };
    lines.map(parse).collect()
}

/// Keeps the file of the task that a run asks, for whoever scores it. The run is [`hold`]ed.
///
/// # Errors
/// [`Error::Io`].
pub fn keep_task(path: &Path, text: &str) -> Result<()> {
    keep_file(path, text.as_bytes())
}

/// Writes a file of which this process is the only writer. The name that it has until it is complete is always the same,
/// so that nothing is left of processes that were killed.
pub(crate) fn keep_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = folder.join(format!(".{name}.part"));
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(&part, "cannot remove")(error))
            }
            _ => Ok(()),
        };
    }
    let io = |error| Error::io(path, "cannot write")(error);
    let mut file = File::create(&part).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)?;
    std::fs::rename(&part, path).map_err(io)
}
