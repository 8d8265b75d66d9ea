//! Tensors that grow row by row, on the disk: how many images there will be is known only when the last one was read,
//! and memory must not depend on it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::super::safetensors::TensorOut;

/// Where bytes are kept while they come. Its length is what was kept, whatever went wrong with what came after.
pub(super) trait Medium {
    /// Adds bytes at the end. When it fails any number of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Leaves the first `length` bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// How many there are.
    fn length(&self) -> io::Result<u64>;
    /// What was kept is on the disk when this returns.
    fn sync(&mut self) -> io::Result<()>;
    /// All of them, from the first.
    fn read(&mut self) -> io::Result<Box<dyn Read + '_>>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::End(0))?;
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn read(&mut self) -> io::Result<Box<dyn Read + '_>> {
        self.rewind()?;
        Ok(Box::new(BufReader::new(self)))
    }
}

/// Opens a file to keep bytes in; what is there stays.
pub(super) type Open = fn(&Path) -> io::Result<Box<dyn Medium>>;

pub(super) fn open(path: &Path) -> io::Result<Box<dyn Medium>> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    Ok(Box::new(options?))
}

/// One tensor being collected.
pub(super) struct Spool {
    pub name: String,
    /// Of a row.
    pub shape: Vec<usize>,
    /// Rows that count.
    pub rows: u64,
    pub medium: Box<dyn Medium>,
}

impl Spool {
    /// Bytes of a row.
    pub fn stride(&self) -> u64 {
        (self.shape.iter().product::<usize>() * size_of::<f32>()) as u64
    }

    /// Adds rows, which count once [`Spool::commit`] was called.
    pub fn push(&mut self, values: &[f32]) -> io::Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.medium.append(&bytes)
    }

    /// What was pushed counts.
    pub fn commit(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// Takes back what does not count.
    pub fn roll_back(&mut self) -> io::Result<()> {
        self.medium.cut(self.rows * self.stride())
    }
}

impl TensorOut for Spool {
    fn name(&self) -> &str {
        &self.name
    }

    fn shape(&self) -> Vec<usize> {
        std::iter::once(self.rows as usize).chain(self.shape.iter().copied()).collect()
    }

    fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let length = self.rows * self.stride();
        let copied = io::copy(&mut self.medium.read()?.take(length), out)?;
        if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
