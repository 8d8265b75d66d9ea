//! The header, read without trusting it: every count is held against what is left of the file.

use std::collections::BTreeMap;

use super::kind::TensorKind;
use super::value::{Metadata, Value};
use super::{ALIGNMENT, MAGIC};

pub(super) struct Header {
    pub metadata: Metadata,
    pub tensors: Vec<TensorHeader>,
    /// Where the tensors begin.
    pub data: usize,
}

pub(super) struct TensorHeader {
    pub name: String,
    pub kind: TensorKind,
    /// Rows before columns; the file has it the other way round.
    pub shape: Vec<usize>,
    pub offset: u64,
}

/// Most axes of a tensor.
const AXES: usize = 4;
/// Arrays of arrays.
const DEPTH: usize = 4;

pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(4)? != MAGIC {
        return Err("no GGUF file".to_owned());
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("GGUF version {version} is not read; convert it to version 3"));
    }
    let (tensors, entries) = (reader.count(24)?, reader.count(13)?);
    let mut metadata = BTreeMap::new();
    for _ in 0..entries {
        let key = reader.string()?;
        let kind = reader.u32()?;
        let value = reader.value(kind, 0).map_err(|e| format!("metadata `{key}`: {e}"))?;
        metadata.insert(key, value);
    }
    let metadata = Metadata(metadata);
    let tensors = (0..tensors).map(|_| reader.tensor()).collect::<Result<_, _>>()?;
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT,
        Some(_) => metadata
            .count("general.alignment")
            .filter(|n| n.is_power_of_two() && (8..=1 << 16).contains(n))
            .ok_or("`general.alignment` must be a power of two from 8 on")?,
    };
    Ok(Header { metadata, tensors, data: reader.at.next_multiple_of(alignment) })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or("the header is cut short; download the file again")?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of things, each of at least so many bytes.
    fn count(&mut self, least: usize) -> Result<usize, String> {
        let count = self.u64()?;
        let room = (self.bytes.len() - self.at) / least;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= room)
            .ok_or_else(|| format!("the header counts {count} entries, more than the file can hold"))
    }

    fn string(&mut self) -> Result<String, String> {
        let length = self.count(1)?;
        // Some tokenizers' pieces are no UTF-8 on their own.
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(self.array().map(u8::from_le_bytes)?.into()),
            1 => Value::Signed(self.array().map(i8::from_le_bytes)?.into()),
            2 => Value::Unsigned(self.array().map(u16::from_le_bytes)?.into()),
            3 => Value::Signed(self.array().map(i16::from_le_bytes)?.into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(self.array().map(i32::from_le_bytes)?.into()),
            6 => Value::Float(self.array().map(f32::from_le_bytes)?.into()),
            7 => Value::Bool(self.array::<1>()? != [0]),
            8 => Value::String(self.string()?),
            9 if depth < DEPTH => {
                let kind = self.u32()?;
                let least = match kind {
                    0 | 1 | 7 => 1,
                    2 | 3 => 2,
                    4..=6 => 4,
                    9 => 12,
                    _ => 8,
                };
                let count = self.count(least)?;
                Value::Array((0..count).map(|_| self.value(kind, depth + 1)).collect::<Result<_, _>>()?)
            }
            9 => return Err("arrays are nested too deep".to_owned()),
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(self.array().map(i64::from_le_bytes)?),
            12 => Value::Float(self.array().map(f64::from_le_bytes)?),
            other => return Err(format!("there is no type {other} of values")),
        })
    }

    fn tensor(&mut self) -> Result<TensorHeader, String> {
        let name = self.string()?;
        let axes = self.u32()? as usize;
        if axes > AXES {
            return Err(format!("tensor `{name}` has {axes} axes; at most {AXES} are read"));
        }
        let mut shape = (0..axes)
            .map(|_| usize::try_from(self.u64()?).map_err(|_| format!("tensor `{name}` is absurdly large")))
            .collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        Ok(TensorHeader { kind: TensorKind(self.u32()?), shape, offset: self.u64()?, name })
    }
}
