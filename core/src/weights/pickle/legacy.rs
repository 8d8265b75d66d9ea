//! What `torch.save` wrote before PyTorch 1.6, and still writes on demand: pickles one after the other (a mark, a
//! version, the machine, what was saved, the keys of its storages), then each storage with its length before it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::value::{Value, Values};
use super::{LONGEST, Parsed, contents, machine};
use crate::Result;
use crate::weights::mapped::Mapped;

/// What the first pickle says, 0x1950a86a20f9469cfc6c, little-endian.
const MARK: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const VERSION: i64 = 1001;

/// Whether this begins as a pickle does. The ninth byte tells it from the header of a `.safetensors` file whose length
/// looks like one.
pub(in crate::weights) fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 0..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// The names of the tensors, and where the storages stand.
pub(super) fn parse(file: &Mapped) -> Result<Parsed> {
    let bytes = file.bytes();
    let pickles = &bytes[..bytes.len().min(LONGEST)];
    let read =
        |at| machine::read(pickles, at).map_err(|e| file.fault(format!("a pickle that cannot be read: {e}")));
    let mark = read(0)?;
    if !matches!(mark.values.get(mark.top), Value::Long(MARK)) {
        return Err(file.fault(
            "a pickle, but not of torch.save; in Python, load it and write its dictionary of tensors with \
             safetensors.torch.save_file(tensors, \"model.safetensors\")",
        ));
    }
    let version = read(mark.end)?;
    if !matches!(version.values.get(version.top), Value::Int(VERSION)) {
        return Err(file.fault("a version of PyTorch's pickles that is not known"));
    }
    let machine = read(version.end)?;
    if is_big_endian(&machine.values, machine.top) {
        return Err(file.fault("written on a big-endian machine, which is not read"));
    }
    let saved = read(machine.end)?;
    let views = contents::tensors(&saved.values, saved.top).map_err(|message| file.fault(message))?;
    let sizes = element_sizes(&saved.values);
    let keys = read(saved.end)?;
    let mut storages = BTreeMap::new();
    let mut at = keys.end;
    for key in keys.values.parts(keys.top).unwrap_or_default() {
        let range = keys.values.text(*key).and_then(|key| {
            let range = storage(bytes, at, *sizes.get(key)?)?;
            storages.insert(key.to_owned(), range.clone());
            Some(range)
        });
        at =
            range.ok_or_else(|| file.fault("it ends within the data of its tensors; download it again"))?.end;
    }
    Ok(Parsed { views, storages })
}

fn is_big_endian(values: &Values<'_>, top: super::value::Id) -> bool {
    values.item(top, "little_endian").is_some_and(|flag| matches!(values.get(flag), Value::Bool(false)))
}

/// The bytes of a storage whose length stands at `at`.
fn storage(bytes: &[u8], at: usize, size: usize) -> Option<Range<usize>> {
    let start = at.checked_add(8)?;
    let count = u64::from_le_bytes(bytes.get(at..start)?.try_into().ok()?);
    let end = start.checked_add(usize::try_from(count).ok()?.checked_mul(size)?)?;
    (end <= bytes.len()).then_some(start..end)
}

/// Bytes of an element of each storage that is mentioned: also of those whose tensors are not read.
fn element_sizes<'a>(values: &Values<'a>) -> BTreeMap<&'a str, usize> {
    let mentioned = values.all().filter_map(|value| {
        let Value::Outside(name) = value else { return None };
        let [_, class, key, ..] = values.tuple(*name)? else { return None };
        let size = match values.global(*class)?.1 {
            "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => 8,
            "FloatStorage" | "IntStorage" | "QInt32Storage" => 4,
            "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
            "ComplexDoubleStorage" => 16,
            _ => 1,
        };
        Some((values.text(*key)?, size))
    });
    mentioned.collect()
}
