//! Parquet needs to know all rows before it has columns: they wait in a file that goes away.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::Path;

use crate::json::{Stop, Texts};
use crate::parquet::{Columns, RowWriter};
use crate::value::object;
use crate::{Row, Value};

pub(super) struct Spill {
    file: BufWriter<File>,
    columns: Columns,
}

impl Spill {
    /// A file without a name: it is gone with the process, however that ends.
    pub fn within(folder: &Path) -> std::io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?);
        Ok(Self { file, columns: Columns::default() })
    }

    pub fn write(&mut self, row: &Row) -> std::io::Result<()> {
        self.columns.see(row.fields());
        if self.columns.too_many() {
            return Err(std::io::Error::other("the rows have too many different columns for a table"));
        }
        serde_json::to_writer(&mut self.file, &object(row.fields()))?;
        self.file.write_all(b"\n")
    }

    pub fn finish(self, out: &mut File) -> Result<(), String> {
        if self.columns.none() {
            return Err("rows without a single value cannot be kept as Parquet".to_owned());
        }
        let mut file = self.file.into_inner().map_err(|error| error.to_string())?;
        file.rewind().map_err(|error| error.to_string())?;
        let mut writer = RowWriter::new(out, self.columns).map_err(|error| error.to_string())?;
        for text in Texts::new(BufReader::with_capacity(1 << 18, file)) {
            let text = text.map_err(|stop| match stop {
                Stop::Io(error) => error.to_string(),
                Stop::Form(message) => message,
            })?;
            let Value::Map(row) = Value::parse(&text.bytes).map_err(|error| error.to_string())? else {
                return Err("a row that was kept is no row any more".to_owned());
            };
            writer.write(row, text.bytes.len()).map_err(|error| error.to_string())?;
        }
        writer.finish().map_err(|error| error.to_string())
    }
}
