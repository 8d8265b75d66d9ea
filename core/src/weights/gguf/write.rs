//! Writing.

use std::io::{self, Write};

use super::kind::TensorKind;
use super::value::Value;
use super::{ALIGNMENT, MAGIC};

/// What a tensor will be.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorPlan {
    /// Its name.
    pub name: String,
    /// Rows before columns.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub kind: TensorKind,
}

/// Writes a file of version 3 front to back: the header for tensors that are known beforehand, then their bytes in
/// the same order.
pub struct GgufWriter<W> {
    to: W,
    /// Bytes of the tensors, the next one last.
    sizes: Vec<usize>,
    /// Bytes of the next tensor that were written.
    written: usize,
}

impl<W: Write> GgufWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Those of writing; `InvalidInput` for a tensor whose rows are not whole blocks and for an array of arrays.
    pub fn new(to: W, metadata: &[(String, Value)], tensors: &[TensorPlan]) -> io::Result<Self> {
        let mut head = Vec::new();
        head.extend(MAGIC);
        head.extend(3u32.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        head.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            put_string(&mut head, key);
            put_value(&mut head, value)?;
        }
        let (mut offset, mut sizes) = (0usize, Vec::with_capacity(tensors.len()));
        for TensorPlan { name, shape, kind } in tensors {
            put_string(&mut head, name);
            head.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&n| head.extend((n as u64).to_le_bytes()));
            head.extend(kind.0.to_le_bytes());
            head.extend((offset as u64).to_le_bytes());
            let size = kind.bytes(shape).map_err(|e| invalid(format!("tensor `{name}` {e}")))?;
            sizes.push(size);
            offset += size.next_multiple_of(ALIGNMENT);
        }
        head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
        sizes.reverse();
        let mut writer = Self { to, sizes, written: 0 };
        writer.to.write_all(&head)?;
        writer.pad()?;
        Ok(writer)
    }

    /// The next bytes of the present tensor.
    ///
    /// # Errors
    /// Those of writing; `InvalidInput` for more bytes than it has.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.sizes.last().map_or(0, |size| size - self.written);
        if bytes.len() > left {
            return Err(invalid(format!("{} bytes for a tensor that lacks {left}", bytes.len())));
        }
        self.to.write_all(bytes)?;
        self.written += bytes.len();
        self.pad()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of writing; `InvalidInput` when tensors are missing.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.sizes.is_empty() {
            return Err(invalid(format!("{} tensors were not written", self.sizes.len())));
        }
        self.to.flush()?;
        Ok(self.to)
    }

    /// Goes on to the next tensor when this one is whole.
    fn pad(&mut self) -> io::Result<()> {
        while let Some(&size) = self.sizes.last()
            && self.written == size
        {
            self.to.write_all(&[0; ALIGNMENT][..size.next_multiple_of(ALIGNMENT) - size])?;
            self.written = 0;
            self.sizes.pop();
        }
        Ok(())
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn put_string(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

/// The number of a value's type. Integers are written with 32 bits where they fit, numbers in single precision, as
/// readers expect them.
fn kind(value: &Value) -> u32 {
    match value {
        Value::Unsigned(n) if u32::try_from(*n).is_ok() => 4,
        Value::Unsigned(_) => 10,
        Value::Signed(n) if i32::try_from(*n).is_ok() => 5,
        Value::Signed(_) => 11,
        Value::Float(_) => 6,
        Value::Bool(_) => 7,
        Value::String(_) => 8,
        Value::Array(_) => 9,
    }
}

fn put_value(to: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    to.extend(kind(value).to_le_bytes());
    if let Value::Array(values) = value {
        let inner = values.first().map_or(8, kind);
        if inner == 9 || values.iter().any(|value| kind(value) != inner) {
            return Err(invalid("an array must hold plain values of one type".to_owned()));
        }
        to.extend(inner.to_le_bytes());
        to.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| put_plain(to, value));
    } else {
        put_plain(to, value);
    }
    Ok(())
}

fn put_plain(to: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Unsigned(n) => match u32::try_from(*n) {
            Ok(n) => to.extend(n.to_le_bytes()),
            Err(_) => to.extend(n.to_le_bytes()),
        },
        Value::Signed(n) => match i32::try_from(*n) {
            Ok(n) => to.extend(n.to_le_bytes()),
            Err(_) => to.extend(n.to_le_bytes()),
        },
        Value::Float(x) => to.extend((*x as f32).to_le_bytes()),
        Value::Bool(yes) => to.push(u8::from(*yes)),
        Value::String(text) => put_string(to, text),
        Value::Array(_) => {}
    }
}
