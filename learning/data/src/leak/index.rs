//! Hashes of all pictures of a table, kept in a file so that each picture is decoded once.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zoo_records::{Options, Table, Unread};

use super::{Hash, dhash, phash};
use crate::job::Job;
use crate::{Error, Result};

/// Both hashes of a picture; nothing where there is none, or none that can be read.
pub(crate) type Hashes = Option<(Hash, Hash)>;

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

    /// Gives place and hashes of each row to `take`, in order. With a folder they are kept there: pictures that were
    /// hashed before are not read again as long as the files have the same size and time, and a job that was cut off
    /// goes on where it was.
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
        let (file, part) =
            (folder.join(self.file(&table)?), folder.join(format!("{}.part", self.file(&table)?)));
        if !file.exists() {
            std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
            self.fill(&part, &table, job)?;
            std::fs::rename(&part, &file).map_err(Error::io(&file, "cannot write"))?;
        }
        let wrong =
            |line: &str| Error::data(&file, format!("`{line}` is no line of hashes; remove the file"));
        for line in
            BufReader::new(File::open(&file).map_err(Error::io(&file, "cannot read the hashes"))?).lines()
        {
            let line = line.map_err(Error::io(&file, "cannot read the hashes"))?;
            let (hashes, place) = read(&line).ok_or_else(|| wrong(&line))?;
            take(place, hashes)?;
        }
        Ok(())
    }

    /// Computes what `part` has not yet.
    fn fill(&self, part: &Path, table: &Table, job: &mut Job<'_>) -> Result<()> {
        let io = |what| Error::io(part, what);
        // A line without its end was cut off.
        let text = std::fs::read(part).unwrap_or_default();
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
        let done = text[..whole].iter().filter(|&&b| b == b'\n').count();
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(part);
        let file = file.map_err(io("cannot write"))?;
        file.set_len(whole as u64).map_err(io("cannot write"))?;
        let mut file = BufWriter::new(file);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(io("cannot write"))?;
        job.each_from(
            table,
            done as u64,
            |row| self.hash(row),
            |(place, hashes)| {
                let line = match hashes {
                    Some((d, p)) => format!("{d} {p} {place}\n"),
                    None => format!("- - {place}\n"),
                };
                file.write_all(line.as_bytes()).map_err(io("cannot write"))
            },
        )?;
        file.flush().map_err(io("cannot write"))
    }

    fn hash(&self, row: Unread) -> (String, Hashes) {
        // A line of hashes is a line.
        let place = row.place().to_string().replace(['\n', '\r'], " ");
        let hashes = || {
            let bytes = row.parse().ok()?.maybe_picture(&self.column).ok()??.read().ok()?;
            let image = zoo_preprocess::decode(&bytes, &place, &Default::default()).ok()?.image;
            Some((dhash(&image).ok()?, phash(&image).ok()?))
        };
        let hashes = hashes();
        (place, hashes)
    }

    /// The name of the file of hashes: it follows from everything that they follow from.
    fn file(&self, table: &Table) -> Result<String> {
        let mut state = Sha256::new();
        state.update(format!("1 {} {:?}", self.column, self.images));
        for path in table.files() {
            let found = path.metadata().map_err(Error::io(path, "cannot read"))?;
            state.update(format!("\n{} {} {:?}", path.display(), found.len(), found.modified().ok()));
        }
        let state: String = state.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = self.name.chars().map(plain).collect();
        Ok(format!("{name}-{state}.hashes"))
    }
}

/// Hashes and place of a line.
fn read(line: &str) -> Option<(Hashes, &str)> {
    let (d, rest) = line.split_once(' ')?;
    let (p, place) = rest.split_once(' ')?;
    match (d, p) {
        ("-", "-") => Some((None, place)),
        _ => Some((Some((d.parse().ok()?, p.parse().ok()?)), place)),
    }
}
