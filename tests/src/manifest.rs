//! Full-size architectures against the tensors that their published checkpoints hold, without any weights.
//!
//! `golden/manifest-<row>.txt` lists key and shape of every tensor of a real full-size model object; the plugin's
//! loader is run in recording mode and must ask for exactly these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use zoo_core::sdk::{Descriptor, InspectRequest, Inspection, ObjectKind, Plugin};
use zoo_core::{Precision, Spec};

/// First line of a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    architecture: String,
    arch: Map<String, Value>,
    layout: String,
    reference: String,
    /// Keys that no feature needs: exact, or a beginning followed by `*`.
    unused: Vec<String>,
    /// Side of the image that `gmacs` is for.
    pixels: Option<usize>,
    /// Published cost, to the unit.
    gmacs: Option<u64>,
}

/// Checks every `manifest-*.txt` of `dir`: keys, shapes, number of parameters and, where stated, cost.
///
/// # Panics
/// When there is no manifest, or one does not agree; the message lists all differences of all manifests.
pub fn check(plugin: &Plugin, dir: &str) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_else(|e| panic!("{dir}: {e}"));
    paths.retain(|p| {
        p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("manifest-"))
            && p.extension().is_some_and(|e| e == "txt")
    });
    assert!(!paths.is_empty(), "{dir}: there is no manifest-*.txt");
    let faults: Vec<String> =
        paths.iter().filter_map(|p| one(plugin, p).err().map(|e| format!("{}: {e}", p.display()))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What the architecture of `golden/manifest-<row>.txt` in `dir` would be, without any weights.
///
/// # Panics
/// When there is no such manifest, or its numbers do not make an object.
pub fn inspect(plugin: &Plugin, dir: &str, row: &str) -> Inspection {
    let path = Path::new(dir).join(format!("manifest-{row}.txt"));
    let read = || {
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        inspection(plugin, &split(&text)?.0)
    };
    read().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Header and list.
fn split(text: &str) -> Result<(Header, &str), String> {
    let (first, rest) = text.split_once('\n').ok_or("empty")?;
    Ok((serde_json::from_str(first.trim_start_matches('#')).map_err(|e| e.to_string())?, rest))
}

fn inspection(plugin: &Plugin, header: &Header) -> Result<Inspection, String> {
    let kind = ObjectKind::ALL
        .into_iter()
        .find(|kind| plugin.architectures(*kind).contains(&header.architecture.as_str()))
        .ok_or_else(|| format!("no architecture `{}`", header.architecture))?;
    let request = InspectRequest {
        spec: Spec {
            id: header.architecture.clone(),
            architecture: header.architecture.clone(),
            arch: header.arch.clone(),
            precision: Precision::F32,
        },
        layout: Some(header.layout.clone()),
        dims: header.pixels.map(|side| [1, side, side]),
        vectors: false,
    };
    plugin.inspect(kind, &request).map_err(|e| e.to_string())
}

fn one(plugin: &Plugin, path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let (header, rest) = split(&text)?;
    let mut expected = BTreeMap::new();
    for line in rest.lines() {
        let (key, shape) = line.split_once(' ').ok_or_else(|| format!("not `key shape`: {line}"))?;
        let unused = header.unused.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == pattern,
        });
        if !unused {
            expected.insert(key.to_owned(), shape.to_owned());
        }
    }

    let inspection = inspection(plugin, &header)?;
    let asked: BTreeMap<String, String> = inspection
        .tensors
        .into_iter()
        .map(|t| (t.key, t.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")))
        .collect();

    let mut faults = Vec::new();
    for (key, shape) in &expected {
        match asked.get(key) {
            None => faults.push(format!("not asked for: {key} {shape}")),
            Some(other) if other != shape => faults.push(format!("{key}: asked for as {other}, is {shape}")),
            Some(_) => {}
        }
    }
    faults.extend(
        asked.keys().filter(|k| !expected.contains_key(*k)).map(|k| format!("not in the model: {k}")),
    );
    let count: u64 =
        expected.values().map(|s| s.split('x').filter_map(|d| d.parse::<u64>().ok()).product::<u64>()).sum();
    let parameters = match inspection.descriptor {
        Descriptor::Encoder(d) => d.parameters,
        Descriptor::Connector(d) => d.parameters,
        Descriptor::Llm(d) => d.parameters,
        Descriptor::Text(d) => d.parameters,
    };
    if parameters != count {
        faults.push(format!("{parameters} parameters, the model has {count}"));
    }
    if let (Some(pixels), Some(gmacs)) = (header.pixels, header.gmacs) {
        let macs = inspection.cost.macs;
        if (macs + 500_000_000) / 1_000_000_000 != gmacs {
            faults.push(format!("{macs} multiply-accumulates at {pixels} pixels, published {gmacs} G"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("against {}:\n  {}", header.reference, faults.join("\n  ")))
    }
}
