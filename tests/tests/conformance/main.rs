//! What every encoder of the registry must do, whatever its family.
//!
//! Each row is shrunk by the numbers that `small.toml` has for its plugin, gets random weights in the layout that
//! the plugin asks for, and is opened through the host from the plugin's library, and once more from the plugin
//! as it is linked in. A new family brings its numbers in `small.toml` and its name in [`LINKED`].

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "../support/mod.rs"]
mod support;

mod checks;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::Tensor;
use serde_json::{Map, Value};
use zoo_core::sdk::{OpenOptions, Plugin};
use zoo_core::{Encoder, Precision, Spec};
use zoo_host::plugins::PluginDoor;
use zoo_host::{EncoderInspection, EncoderRequest, EncoderSession, Zoo};
use zoo_registry::EncoderRow;
use zoo_tests::noise;

/// The families, through their static doors.
static LINKED: [&Plugin; 14] = [
    &zoo_dpt::PLUGIN,
    &zoo_sam::PLUGIN,
    &zoo_sd_unet::PLUGIN,
    &zoo_clip::PLUGIN,
    &zoo_convnext::PLUGIN,
    &zoo_dinov2::PLUGIN,
    &zoo_timm_vit::PLUGIN,
    &zoo_openclip_vit::PLUGIN,
    &zoo_eva02::PLUGIN,
    &zoo_dinov3::PLUGIN,
    &zoo_aimv2::PLUGIN,
    &zoo_pe::PLUGIN,
    &zoo_internvit::PLUGIN,
    &zoo_c_radio::PLUGIN,
];

/// One row, shrunk.
struct Subject {
    row: &'static EncoderRow,
    /// The small numbers.
    arch: Map<String, Value>,
    weights: PathBuf,
    inspection: EncoderInspection,
    f32: Doors,
    bf16: Doors,
}

/// A row that is open twice.
struct Doors {
    precision: Precision,
    /// From the plugin's library, at the native size of the small numbers.
    session: EncoderSession,
    /// The same from the plugin as it is linked in.
    linked: Box<dyn Encoder>,
}

impl Doors {
    fn open(row: &EncoderRow, request: &EncoderRequest, precision: Precision) -> Self {
        let session = zoo_in(precision).encoder(request).unwrap();
        let plugin = LINKED.iter().find(|p| p.name == row.plugin).copied().unwrap();
        let mut arch = row.arch.clone();
        arch.extend(request.arch_override.clone().unwrap());
        let spec = Spec { id: row.id.clone(), architecture: row.architecture.clone(), arch, precision };
        let options =
            OpenOptions { weights: request.weights.iter().cloned().collect(), ..OpenOptions::default() };
        let linked = PluginDoor::Static(plugin).open_encoder(&spec, &options).unwrap();
        Self { precision, session, linked }
    }

    fn library(&self) -> &dyn Encoder {
        self.session.encoder().unwrap()
    }
}

impl Subject {
    fn new(row: &'static EncoderRow, arch: Map<String, Value>) -> Self {
        let mut request =
            EncoderRequest { arch_override: Some(arch.clone()), ..EncoderRequest::new(&row.id) };
        let native = zoo().inspect_encoder(&request).unwrap().descriptor.native;
        request.resolution = Some(native);
        let inspection = zoo().inspect_encoder(&request).unwrap();
        let tensors: HashMap<String, Tensor> =
            noise::weights(inspection.tensors.clone()).into_iter().collect();
        let weights = support::folder().join(format!("{}.safetensors", row.id));
        candle_core::safetensors::save(&tensors, &weights).unwrap();
        request.weights = Some(weights.clone());
        let [f32, bf16] =
            [Precision::F32, Precision::Bf16].map(|precision| Doors::open(row, &request, precision));
        Self { row, arch, weights, inspection, f32, bf16 }
    }

    /// From the library, in f32.
    fn encoder(&self) -> &dyn Encoder {
        self.f32.library()
    }

    fn precisions(&self) -> [&Doors; 2] {
        [&self.f32, &self.bf16]
    }

    /// The request that opened the session.
    fn request(&self) -> EncoderRequest {
        EncoderRequest {
            arch_override: Some(self.arch.clone()),
            weights: Some(self.weights.clone()),
            resolution: Some(self.encoder().descriptor().native),
            ..EncoderRequest::new(&self.row.id)
        }
    }
}

/// The shipped registry over the staged plugins, with folders of its own, computing in f32.
fn zoo() -> &'static Zoo {
    zoo_in(Precision::F32)
}

/// As [`zoo`], computing in `precision`.
fn zoo_in(precision: Precision) -> &'static Zoo {
    static ZOOS: [OnceLock<Zoo>; 2] = [const { OnceLock::new() }; 2];
    ZOOS[usize::from(precision != Precision::F32)].get_or_init(|| {
        let sources: Vec<String> = LINKED.iter().map(|p| format!("plugins/{}", p.name)).collect();
        support::zoo(&sources.iter().map(String::as_str).collect::<Vec<_>>(), precision)
    })
}

/// The encoder rows of the shipped registry.
fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/small.toml");
        let small: BTreeMap<String, Map<String, Value>> =
            toml::from_str(&std::fs::read_to_string(table).unwrap()).unwrap();
        let subject = |row: &'static EncoderRow| {
            let numbers = small.get(&row.plugin);
            let numbers = numbers.unwrap_or_else(|| panic!("small.toml has no numbers for `{}`", row.plugin));
            Subject::new(row, numbers.clone())
        };
        zoo().registry().encoders().map(subject).collect()
    })
}

/// Runs a check on every row and reports all that fail.
fn each_row(check: fn(&Subject) -> Result<(), String>) {
    let subjects = subjects();
    assert!(!subjects.is_empty(), "the registry has no encoder");
    let faults: Vec<String> =
        subjects.iter().filter_map(|s| check(s).err().map(|e| format!("{}: {e}", s.row.id))).collect();
    assert!(faults.is_empty(), "{} of {} rows:\n{}", faults.len(), subjects.len(), faults.join("\n"));
}

macro_rules! conformance {
    ($($check:ident),* $(,)?) => {$(
        #[test]
        fn $check() {
            each_row(checks::$check);
        }
    )*};
}

conformance! {
    descriptors_agree,
    maps_have_the_promised_shapes,
    layer_indices_are_those_of_timm,
    the_final_norm_is_applied_on_request,
    the_same_input_gives_the_same_bits,
    a_batch_is_its_images,
    large_batches_are_their_images,
    threads_change_nothing,
    illegal_sizes_are_refused,
    token_counts_are_squares,
    photographs_go_through,
    both_doors_give_the_same_bits,
    options_are_those_of_the_descriptor,
    pixels_must_be_normalised_images,
    weights_must_fit_exactly,
    numbers_must_exist,
    costs_grow_with_the_work,
    gradients_reach_the_pixels,
}

/// What rows say of their cost is what their plugins count at full size, to the last digit that is written; of their
/// parameters the host sees to it.
#[test]
fn rows_tell_their_true_size() {
    let fault = |row: &EncoderRow| {
        let found = match zoo().inspect_encoder(&EncoderRequest::new(&row.id)) {
            Ok(found) => found,
            Err(error) => return Some(error.to_string()),
        };
        let counted = found.cost.macs as f64 / 1e9;
        let told = row.gmacs?;
        let digit = if told < 100.0 { 0.051 } else { 0.51 };
        ((told - counted).abs() > digit)
            .then(|| format!("{}: {told} G, and {counted:.2} are counted", row.id))
    };
    let faults: Vec<String> = zoo().registry().encoders().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every family is here, and every one of them is used.
#[test]
fn all_families_are_linked() {
    let rows: std::collections::BTreeSet<&str> =
        zoo().registry().encoders().map(|r| r.plugin.as_str()).collect();
    let linked: std::collections::BTreeSet<&str> = LINKED.iter().map(|p| p.name).collect();
    assert_eq!(rows, linked, "plugins that rows name, and plugins in LINKED");
}
