//! Any tensors and names, written as `.safetensors` and `.npy`: what is read back is what was written.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;
use zoo_pipeline::Metadata;
use zoo_pipeline::write::{Plain, Replace, write_npy, write_safetensors};

/// Numbers of a tensor; larger ones only take longer.
const MOST: usize = 64;

/// Bytes taken one after the other; zeros at the end.
struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn text(&mut self) -> String {
        let bytes: Vec<u8> = (0..self.next() % 12).map(|_| self.next()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn shape(&mut self) -> Vec<usize> {
        let mut shape: Vec<usize> = (0..self.next() % 6).map(|_| usize::from(self.next() % 5)).collect();
        while shape.iter().product::<usize>() > MOST {
            shape.pop();
        }
        shape
    }

    /// A tensor and its bytes.
    fn tensor(&mut self, name: String) -> (Plain, Vec<usize>, Vec<u8>) {
        let (shape, kind) = (self.shape(), self.next() % 3);
        let count = shape.iter().product();
        let mut numbers = |size: usize| (0..count * size).map(|_| self.next()).collect::<Vec<u8>>();
        match kind {
            0 => {
                let bytes = numbers(4);
                let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                (Plain::F32(name, shape.clone(), values), shape, bytes)
            }
            1 => {
                let bytes = numbers(8);
                let values = bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
                (Plain::I64(name, shape.clone(), values), shape, bytes)
            }
            _ => {
                let bytes = numbers(1);
                (Plain::U8(name, bytes.clone()), vec![count], bytes)
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let mut bytes = Bytes(data.iter());
    let mut all: Vec<(Plain, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..bytes.next() % 5 {
        let name = bytes.text();
        // The caller's affair: a name that stands twice, and the one that the format keeps for itself.
        if name != "__metadata__" && names.insert(name.clone()) {
            all.push(bytes.tensor(name));
        }
    }
    // Those of larger elements first, as writers of aligned files do.
    all.sort_by_key(|(plain, ..)| match plain {
        Plain::I64(..) => 0,
        Plain::F32(..) => 1,
        Plain::U8(..) => 2,
    });
    let mut metadata = Metadata::new();
    for _ in 0..bytes.next() % 3 {
        metadata.insert(bytes.text(), bytes.text().into());
    }
    let path = folder.path().join("t.safetensors");
    let mut plain: Vec<Plain> = all.iter().map(|(plain, ..)| plain.clone()).collect();
    write_safetensors(&path, Replace::Never, &mut plain, &metadata).unwrap_or_else(|e| panic!("{e}"));
    let file = std::fs::read(&path).unwrap_or_default();
    let read = SafeTensors::deserialize(&file).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.len(), all.len());
    for (plain, shape, expected) in &all {
        let (Plain::F32(name, ..) | Plain::I64(name, ..) | Plain::U8(name, _)) = plain;
        let tensor = read.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((tensor.shape(), tensor.data()), (&shape[..], &expected[..]));
    }
    let (_, header) = SafeTensors::read_metadata(&file).unwrap_or_else(|e| panic!("{e}"));
    for (key, value) in &metadata {
        let read = header.metadata().as_ref().and_then(|all| all.get(key));
        assert_eq!(read.map(String::as_str), value.as_str());
    }
    for (index, (plain, shape, expected)) in all.iter_mut().enumerate() {
        if matches!(plain, Plain::F32(..)) {
            let path = folder.path().join(format!("{index}.npy"));
            write_npy(&path, Replace::Never, plain).unwrap_or_else(|e| panic!("{e}"));
            check(&std::fs::read(&path).unwrap_or_default(), shape, expected).unwrap_or_else(|e| panic!("{e}"));
        }
    }
});

/// The format's page, read: magic, version, length of a dictionary, the dictionary, numbers at a multiple of 64.
fn check(file: &[u8], shape: &[usize], expected: &[u8]) -> io::Result<()> {
    let length = usize::from(u16::from_le_bytes([file[8], file[9]]));
    let (header, data) = file[10..].split_at(length);
    assert_eq!((&file[..8], (10 + length) % 64, header.last()), (&b"\x93NUMPY\x01\x00"[..], 0, Some(&b'\n')));
    let text = String::from_utf8_lossy(header);
    let list = text.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).map_or("", |(list, _)| list);
    let read: Vec<usize> = list.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    assert_eq!((read.as_slice(), data), (shape, expected));
    Ok(())
}
