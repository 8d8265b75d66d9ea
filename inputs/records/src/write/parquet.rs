//! Parquet needs to know all rows before it has columns: they wait in a file that goes away.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};

use tempfile::NamedTempFile;

use crate::json::{Stop, Texts};
use crate::parquet::{Columns, RowWriter};
use crate::value::object;
use crate::{Row, Value};

pub(super) struct Spill {
    file: NamedTempFile,
    writer: BufWriter<File>,
    columns: Columns,
}

impl Spill {
    pub fn new(file: NamedTempFile) -> std::io::Result<Self> {
        let writer = BufWriter::with_capacity(1 << 18, file.reopen()?);
        Ok(Self { file, writer, columns: Columns::default() })
    }

    pub fn write(&mut self, row: &Row) -> std::io::Result<()> {
        self.columns.see(row.fields());
        if self.columns.too_many() {
            return Err(std::io::Error::other("the rows have too many different columns for a table"));
        }
        serde_json::to_writer(&mut self.writer, &object(row.fields()))?;
        self.writer.write_all(b"\n")
    }

    pub fn finish(mut self, out: &mut File) -> Result<(), String> {
        if self.columns.none() {
            return Err("rows without a single value cannot be kept as Parquet".to_owned());
        }
        self.writer.flush().map_err(|error| error.to_string())?;
        let file = self.file.as_file_mut();
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
