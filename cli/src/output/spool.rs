//! Tensors that grow row by row, on the disk: how many images there will be is known only when the last one was
//! read, and memory must not depend on it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::atomic::Temporary;
use crate::report::CliError;

/// Rows of one f32 tensor: its first axis counts images.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Name of the tensor.
    pub name: String,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Row-major, a whole number of rows.
    pub values: Vec<f32>,
}

/// One tensor being collected.
#[derive(Debug)]
pub struct Spool {
    name: String,
    shape: Vec<usize>,
    rows: usize,
    // Closed before the file is removed: fields are dropped in this order.
    writer: BufWriter<File>,
    file: Temporary,
}

impl Spool {
    /// An empty tensor with the name and row shape of `first`, kept beside `out`.
    pub fn new(out: &Path, first: &Rows) -> Result<Self, CliError> {
        let open = || {
            let file = Temporary::beside(out)?;
            Ok::<_, io::Error>((BufWriter::new(File::create(&file.0)?), file))
        };
        let (writer, file) = open().map_err(|e| CliError::file(out, format!("cannot write: {e}")))?;
        Ok(Self { name: first.name.clone(), shape: first.shape.clone(), rows: 0, writer, file })
    }

    /// Whether `rows` can be added.
    pub fn fits(&self, rows: &Rows) -> bool {
        self.name == rows.name && self.shape == rows.shape
    }

    /// Adds rows.
    pub fn push(&mut self, rows: &Rows) -> Result<(), CliError> {
        let write = |w: &mut BufWriter<File>| {
            rows.values.iter().try_for_each(|value| w.write_all(&value.to_le_bytes()))
        };
        write(&mut self.writer).map_err(|e| CliError::file(&self.file.0, format!("cannot write: {e}")))?;
        self.rows += rows.values.len() / self.shape.iter().product::<usize>().max(1);
        Ok(())
    }

    /// Name of the tensor.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shape, images first.
    pub fn shape(&self) -> Vec<usize> {
        std::iter::once(self.rows).chain(self.shape.iter().copied()).collect()
    }

    /// Everything that was pushed, as little-endian bytes.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.flush()?;
        io::copy(&mut BufReader::new(File::open(&self.file.0)?).by_ref(), out)?;
        Ok(())
    }
}
