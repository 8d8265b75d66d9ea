//! Hashes of all pictures of a table, kept in a file so that each picture is decoded once.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use zoo_records::{Options, Table, Unread, Value};

use super::{Hash, dhash, phash};
use crate::job::Job;
use crate::record::is_image;
use crate::{Error, Result};

/// What is known of a row's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashes {
    /// There is none.
    Absent,
    /// It cannot be read.
    Unread,
    /// Difference and perceptual hash.
    Of(Hash, Hash),
}

/// One set of pictures.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// What reports call it.
    pub name: String,
    /// Its tables, archives or folders.
    pub paths: Vec<PathBuf>,
    /// The column with pictures.
    pub column: String,
    /// The folder that paths of pictures count from; that of each file where it is absent.
    pub images: Option<PathBuf>,
}

impl Pictures {
    pub(crate) fn table(&self) -> Result<Table> {
        Ok(Table::open(&self.paths, Options { images: self.images.clone(), ..Options::default() })?)
    }

    /// What to say where not one picture could be had.
    pub(crate) fn none_read(&self, rows: u64) -> Error {
        let path = self.paths.first().map_or(Path::new(""), |path| path);
        let message = format!(
            "no picture can be read in column `{}` of {rows} rows; name the column, or put the pictures where their paths lead",
            self.column
        );
        Error::data(path, message)
    }

    /// Gives place and hashes of each row to `take`, in order. With a folder they are kept there, a file of hashes for each
    /// file of rows: pictures that were hashed before are not read again as long as the file has the same size and time,
    /// and a job that was cut off goes on where it was. So hashes of many files may be made by as many processes.
    pub(crate) fn hashes(
        &self,
        kept: Option<&Path>,
        job: &mut Job<'_>,
        mut take: impl FnMut(&str, Hashes) -> Result<()>,
    ) -> Result<()> {
        let table = self.table()?;
        let Some(folder) = kept else {
            return job.each(&table, |row| self.hash(row), |(place, hashes)| take(&place, hashes));
        };
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
        for rows in table.files() {
            let file = folder.join(self.file(rows)?);
            if !file.exists() {
                let part = PathBuf::from(format!("{}.part", file.display()));
                let options = Options { images: self.images.clone(), ..Options::default() };
                self.fill(&part, &file, &Table::open(&[rows], options)?, job)?;
            }
            let wrong =
                |line: &str| Error::data(&file, format!("`{line}` is no line of hashes; remove the file"));
            let io = || Error::io(&file, "cannot read the hashes");
            for line in BufReader::new(File::open(&file).map_err(io())?).lines() {
                let line = line.map_err(io())?;
                let (hashes, place) = read(&line).ok_or_else(|| wrong(&line))?;
                take(place, hashes)?;
            }
        }
        Ok(())
    }

    /// Computes what `part` has not yet, and gives it its name. Others who do the same wait, and find it done.
    fn fill(&self, part: &Path, file: &Path, table: &Table, job: &mut Job<'_>) -> Result<()> {
        let io = |what| Error::io(part, what);
        let out = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(part);
        let mut out = out.map_err(io("cannot write"))?;
        // Where files cannot be locked, nobody is waited for.
        while let Err(std::fs::TryLockError::WouldBlock) = out.try_lock() {
            job.advance(0)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        if file.exists() {
            // It has its name, and this is the same file or one that was made too late.
            let _ = std::fs::remove_file(part);
            return Ok(());
        }
        // A line without its end was cut off.
        let (mut done, mut whole) = (0, 0);
        let mut lines = BufReader::new(&mut out);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(io("cannot read the hashes"))? > 0 {
            if line.ends_with(b"\n") {
                (done, whole) = (done + 1, whole + line.len() as u64);
            }
            line.clear();
        }
        out.set_len(whole).and_then(|()| out.seek(SeekFrom::Start(whole))).map_err(io("cannot write"))?;
        let mut out = BufWriter::new(out);
        job.each_wanted(
            table,
            |row| row >= done,
            |row| self.hash(row),
            |hashed| {
                let line = match hashed {
                    None => return Ok(()),
                    Some((place, Hashes::Of(d, p))) => format!("{d} {p} {place}\n"),
                    Some((place, Hashes::Absent)) => format!("- - {place}\n"),
                    Some((place, Hashes::Unread)) => format!("? ? {place}\n"),
                };
                out.write_all(line.as_bytes()).map_err(io("cannot write"))
            },
        )?;
        out.flush().and_then(|()| out.get_ref().sync_all()).map_err(io("cannot write"))?;
        std::fs::rename(part, file).map_err(Error::io(file, "cannot write"))
    }

    fn hash(&self, row: Unread) -> (String, Hashes) {
        // A line of hashes is a line.
        let place = row.place().to_string().replace(['\n', '\r'], " ");
        let Ok(row) = row.parse() else { return (place, Hashes::Unread) };
        // The public files have several ways to say that there is none.
        let named = !matches!(row.get(&self.column), Some(Value::Text(text)) if !is_image(text));
        let picture = match row.maybe_picture(&self.column) {
            Ok(Some(picture)) if named => picture,
            Ok(_) => return (place, Hashes::Absent),
            Err(_) => return (place, Hashes::Unread),
        };
        let hashes = || {
            let image =
                zoo_preprocess::decode(&picture.read().ok()?, &place, &Default::default()).ok()?.image;
            Some(Hashes::Of(dhash(&image).ok()?, phash(&image).ok()?))
        };
        let hashes = hashes().unwrap_or(Hashes::Unread);
        (place, hashes)
    }

    /// The name of the file of hashes of one file of rows: it follows from everything that they follow from.
    fn file(&self, rows: &Path) -> Result<String> {
        let mut state = Sha256::new();
        state.update(format!("2 {} {:?}", self.column, self.images));
        let found = rows.metadata().map_err(Error::io(rows, "cannot read"))?;
        state.update(format!("\n{} {} {:?}", rows.display(), found.len(), found.modified().ok()));
        let state: String = state.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name = rows.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().map(plain).take(80).collect();
        Ok(format!("{name}-{state}.hashes"))
    }
}

/// Hashes and place of a line.
fn read(line: &str) -> Option<(Hashes, &str)> {
    let (d, rest) = line.split_once(' ')?;
    let (p, place) = rest.split_once(' ')?;
    match (d, p) {
        ("-", "-") => Some((Hashes::Absent, place)),
        ("?", "?") => Some((Hashes::Unread, place)),
        _ => Some((Hashes::Of(d.parse().ok()?, p.parse().ok()?), place)),
    }
}
