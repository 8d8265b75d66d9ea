//! What the benches share: plugins through both doors, and objects with random weights.
//!
//! **The one decision.** A bench opens what it measures as `zoo bench --random-weights` does: through a door of a
//! plugin, with weights from a seed. Nothing is timed that a user could not run.
//!
//! `cargo bench -p zoo-benches` runs everything in a few minutes; `cargo bench -p zoo-benches -- encode` one
//! group. Groups are `preprocess`, `kernels`, `attention`, `encode/<encoder>/<dtype>-<batch>`,
//! `sva/<connector>/<dtype>-<batch>`, `read`, `prefill`, `decode` and `boundary`; throughput is in images or tokens per
//! second where criterion writes `elem/s`, and below each encoder stand its GFLOP/s and its shares of the machine's
//! peaks. `ZOO_BENCH=openclip-convnext-l,cambrian-8b-sva` adds encoders and connectors of the registry in full size,
//! `ZOO_BENCH=kernels` and `ZOO_BENCH=loading` print tables.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zoo_core::sdk::{OpenOptions, Plugin};
use zoo_core::weights::{Init, TensorInfo};
use zoo_core::{Connector, Encoder, Precision, Spec};
use zoo_host::plugins::{ObjectKind, PluginDoor, PluginSet, stage};

/// Whatever went wrong.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// All plugins that benches use, through their static doors.
pub static LINKED: [&Plugin; 6] = [
    &zoo_clip::PLUGIN,
    &zoo_convnext::PLUGIN,
    &zoo_dinov2::PLUGIN,
    &zoo_sva::PLUGIN,
    &zoo_timm_vit::PLUGIN,
    &zoo_toy::PLUGIN,
];

/// Where weights come from.
const SEED: u64 = 1;

/// The static door of a plugin.
///
/// # Errors
/// There is no plugin of this name.
pub fn linked(plugin: &str) -> Result<PluginDoor> {
    let found = LINKED.iter().find(|p| p.name == plugin);
    Ok(PluginDoor::Static(found.ok_or_else(|| format!("plugin `{plugin}` is not linked into the benches"))?))
}

/// The dynamic door of the plugin whose sources are in `folder` (from the root of the repository) and whose crate
/// is called `zoo-` and the folder's name, to be asked for once. Cargo leaves its library beside the executable.
///
/// # Errors
/// The library is not there, cannot be loaded, or is loaded already.
pub fn loaded(folder: &str) -> Result<PluginDoor> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let name = sources.file_name().ok_or("no folder")?.to_string_lossy().replace('-', "_");
    let (start, end) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = std::env::current_exe()?.with_file_name(format!("{start}zoo_{name}{end}"));
    // A library that is loaded needs its file no more.
    let folder = tempfile::tempdir()?;
    let dest = folder.path().join("plugins");
    let staged = stage(&library, &sources.join("plugin.toml"), &dest)?;
    Ok(PluginSet::discover(&[dest], &folder.path().join("data"))?.get(&staged.manifest.name)?)
}

/// A specification in f32.
///
/// # Errors
/// `arch` is no JSON object.
pub fn spec(id: &str, architecture: &str, arch: Value) -> Result<Spec> {
    let Value::Object(arch) = arch else { return Err("architecture numbers are a JSON object".into()) };
    Ok(Spec { id: id.into(), architecture: architecture.into(), arch, precision: Precision::F32 })
}

/// An encoder with random weights.
///
/// # Errors
/// Numbers that the plugin refuses; no memory.
pub fn encoder(door: &PluginDoor, spec: &Spec) -> Result<Box<dyn Encoder>> {
    Ok(door.open_encoder(spec, &OpenOptions { random: Some(SEED), ..OpenOptions::default() })?)
}

/// A connector with random weights.
///
/// # Errors
/// As [`encoder`].
pub fn connector(door: &PluginDoor, spec: &Spec) -> Result<Box<dyn Connector>> {
    Ok(door.open_connector(spec, &OpenOptions { random: Some(SEED), ..OpenOptions::default() })?)
}

/// Random tensors under the keys that an object reads.
///
/// # Errors
/// As [`encoder`].
pub fn tensors(door: &PluginDoor, kind: ObjectKind, spec: &Spec) -> Result<HashMap<String, Tensor>> {
    let tensors = door.inspect(kind, spec)?.tensors;
    tensors.iter().zip(1..).map(|(info, seed)| Ok((info.key.clone(), random(info, seed)?))).collect()
}

fn random(info: &TensorInfo, seed: u32) -> Result<Tensor> {
    let (centre, width) = match info.init {
        Init::Const(value) => (value, 0.1),
        Init::Normal { mean, std } => (mean, std),
        Init::Uniform { bound } => (0.0, bound),
    };
    Ok(noise(&info.shape, seed)?.affine(width, centre)?)
}

/// Uniform in -1..1, f32 on the CPU, the same every time.
///
/// # Errors
/// Out of memory.
pub fn noise(shape: &[usize], seed: u32) -> Result<Tensor> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// The life of a process that stays, so that it can be timed in turns with others: it opens something, says how many seconds
/// that took, and answers requests, one JSON object a line, until its standard input ends. What goes wrong is
/// `{"error": text}`.
pub fn stay<T, R: DeserializeOwned>(
    open: impl FnOnce(&[&str]) -> Result<T>,
    mut serve: impl FnMut(&mut T, R) -> Result<Value>,
) {
    let begun = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut opened = match open(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(opened) => opened,
        Err(error) => return answer(&json!({ "error": error.to_string() })),
    };
    answer(&json!({ "ready": begun.elapsed().as_secs_f64() }));
    for line in stdin().lock().lines().map_while(std::io::Result::ok) {
        let done =
            serde_json::from_str(&line).map_err(Into::into).and_then(|request| serve(&mut opened, request));
        answer(&done.unwrap_or_else(|error| json!({ "error": error.to_string() })));
    }
}

fn answer(value: &Value) {
    // Whoever stopped reading needs no answer.
    let _ = writeln!(stdout(), "{value}").and_then(|()| stdout().flush());
}
