//! Full-size architectures against the tensors that their published checkpoints hold, without any weights.
//!
//! `golden/manifest-<row>.txt` lists key and shape of every tensor of a real full-size model object; the plugin's
//! loader is run in recording mode and must ask for exactly these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use serde::Deserialize;
use serde_json::{Map, Value};
use zoo_core::sdk::Plugin;
use zoo_core::weights::Weights;
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

fn one(plugin: &Plugin, path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let (first, rest) = text.split_once('\n').ok_or("empty")?;
    let header: Header = serde_json::from_str(first.trim_start_matches('#')).map_err(|e| e.to_string())?;
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

    let (_, load) = plugin
        .encoders
        .iter()
        .find(|(name, _)| *name == header.architecture)
        .ok_or_else(|| format!("no architecture `{}`", header.architecture))?;
    let spec = Spec {
        id: header.architecture,
        architecture: String::new(),
        arch: header.arch,
        precision: Precision::F32,
    };
    let weights = Weights::record(DType::F32).with_layout(Some(header.layout));
    let encoder = load(&spec, &weights, &Device::Cpu).map_err(|e| e.to_string())?;
    let asked: BTreeMap<String, String> = weights
        .manifest()
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
    let descriptor = encoder.descriptor();
    if descriptor.parameters != count {
        faults.push(format!("{} parameters, the model has {count}", descriptor.parameters));
    }
    if let (Some(pixels), Some(gmacs)) = (header.pixels, header.gmacs) {
        let macs = encoder.cost(1, pixels, pixels).macs;
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
