//! Zip archives, which `torch.save` writes since PyTorch 1.6: `data.pkl`, and one file for each storage.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::{LONGEST, Parsed, contents, machine};
use crate::Result;
use crate::weights::mapped::Mapped;

/// The names of the tensors, and where the storages stand.
pub(super) fn parse(file: &Mapped) -> Result<Parsed> {
    let broken = |e: zip::result::ZipError| {
        file.fault(format!("no readable zip archive ({e}); if it was downloaded, download it again"))
    };
    let mut archive = ZipArchive::new(Cursor::new(file.bytes())).map_err(broken)?;
    let mut stored: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let mut pickle = None;
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        if entry.compression() != CompressionMethod::Stored {
            // The code of TorchScript is compressed, tensors and what describes them never are.
            if root(&name).is_some() {
                return Err(file.fault("a compressed archive, which torch.save never writes"));
            }
            continue;
        }
        let start = entry.data_start().unwrap_or(0) as usize;
        let range = start..start.saturating_add(entry.size() as usize);
        let bytes = file
            .bytes()
            .get(range.clone())
            .ok_or_else(|| file.fault(format!("`{name}` lies outside the file; download it again")))?;
        if name.ends_with("/byteorder") && bytes != b"little" {
            return Err(file.fault("written on a big-endian machine, which is not read"));
        }
        if let Some(root) = root(&name) {
            pickle = Some((format!("{root}data/"), range.clone()));
        }
        stored.insert(name, range);
    }
    let Some((root, range)) = pickle else {
        return Err(file.fault("a zip archive, but not one of PyTorch: there is no data.pkl in it"));
    };
    if range.len() > LONGEST {
        return Err(file.fault("its data.pkl is absurdly long"));
    }
    let read = machine::read(&file.bytes()[range], 0);
    let read = read.map_err(|e| file.fault(format!("its data.pkl cannot be read: {e}")))?;
    let views = contents::tensors(&read.values, read.top).map_err(|message| file.fault(message))?;
    let storages =
        stored.into_iter().filter_map(|(name, range)| Some((name.strip_prefix(&root)?.to_owned(), range)));
    Ok(Parsed { views, storages: storages.collect() })
}

/// The folder of the archive in which `name` is the pickle; empty or with a slash at its end.
fn root(name: &str) -> Option<&str> {
    name.strip_suffix("data.pkl").filter(|root| root.is_empty() || root.ends_with('/'))
}
