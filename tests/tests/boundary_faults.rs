//! Everything that can be wrong with a plugin, and the message that says so. The host lives on after each.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use support::{library, plugins, staged};
use zoo_core::sdk::{OpenOptions, Provides, backend};
use zoo_core::{ConnectorInputs, Encoder, Error, FeatureRequest, Spec};
use zoo_host::plugins::{LOG_TARGET, Manifest, ObjectKind, PluginDoor, PluginError, PluginSet};

const BAD: &str = "tests/plugins/bad";

/// A plugin folder with one manifest, and the data folder that goes with it.
struct Sandbox {
    root: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.plugin.toml"))
    }

    fn library(&self) -> PathBuf {
        self.folder().join("lib.so")
    }

    /// A copy of a library under the name of a plugin.
    fn install(&self, name: &str, from: &Path, change: impl FnOnce(&mut Manifest)) -> &Self {
        let mut manifest = manifest(name);
        change(&mut manifest);
        manifest.install(from, &self.folder()).unwrap();
        self
    }

    fn set(&self) -> PluginSet {
        PluginSet::discover(&[self.folder()], &self.root.path().join("data")).unwrap()
    }

    fn get(&self, name: &str) -> Result<PluginDoor, PluginError> {
        self.set().get(name)
    }

    fn refusal(&self, name: &str) -> String {
        let message = self.get(name).err().unwrap().to_string();
        assert!(message.len() < 1500, "a message for people: {message}");
        alive();
        message
    }
}

fn manifest(name: &str) -> Manifest {
    Manifest {
        name: name.into(),
        version: "9.9.9".into(),
        description: String::new(),
        licence: "MIT".into(),
        source: None,
        abi: zoo_abi::ABI_REVISION,
        target: zoo_abi::TARGET.into(),
        backend: backend().into(),
        file: "lib.so".into(),
        sha256: String::new(),
        provides: Provides::default(),
        registry: None,
    }
}

fn bad() -> PathBuf {
    library("zoo-bad")
}

fn toy() -> PluginDoor {
    plugins(&["tests/plugins/toy"]).get("toy").unwrap()
}

/// After whatever happened, a good plugin still works.
fn alive() {
    let spec: Spec = serde_json::from_value(
        json!({"id": "x", "architecture": "mean", "arch": {"channels": 2, "members": 1}}),
    )
    .unwrap();
    toy().open_connector(&spec, &OpenOptions::default()).unwrap();
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} should contain {part:?}");
    }
}

fn encoder(door: &PluginDoor, architecture: &str) -> zoo_core::Result<Box<dyn Encoder>> {
    let spec = serde_json::from_value(json!({"id": "enc", "architecture": architecture})).unwrap();
    door.open_encoder(&spec, &OpenOptions::default())
}

/// The first layer, with whatever there is of norms and prefix tokens.
fn everything() -> FeatureRequest {
    FeatureRequest { prefix: true, ..FeatureRequest::layer(0, true) }
}

fn call(encoder: &dyn Encoder) -> zoo_core::Result<Vec<zoo_core::FeatureMap>> {
    let pixels = Tensor::zeros((1, 3, 2, 2), DType::F32, &Device::Cpu).unwrap();
    encoder.forward(&pixels, &everything())
}

// ---------------------------------------------------------------- panics and errors of an ordinary plugin

fn panics() -> PluginDoor {
    messages();
    plugins(&[BAD]).get("panics").unwrap()
}

/// The plugin's panic as the host sees it.
fn panic_of<T>(result: zoo_core::Result<T>) -> String {
    let error = result.err().unwrap();
    assert!(matches!(&error, Error::Panic { plugin, .. } if plugin == "panics"), "{error:?}");
    alive();
    error.to_string()
}

#[test]
fn a_panic_while_opening_is_an_error_with_its_place() {
    let message = panic_of(encoder(&panics(), "open"));
    contains(&message, &["plugin `panics` panicked at ", "panics.rs:", "cannot open enc"]);
}

#[test]
fn a_panic_in_a_call_is_an_error_with_its_place() {
    let faulty = encoder(&panics(), "call").unwrap();
    for _ in 0..3 {
        contains(&panic_of(call(&*faulty)), &["panics.rs:", "a constant message"]);
    }
}

#[test]
fn a_panic_on_another_thread_keeps_its_place() {
    let faulty = encoder(&panics(), "pool").unwrap();
    contains(&panic_of(call(&*faulty)), &["panics.rs:", "in a worker"]);
}

#[test]
fn a_panic_without_a_text_is_an_error() {
    let faulty = encoder(&panics(), "payload").unwrap();
    contains(&panic_of(call(&*faulty)), &["(no message)"]);
}

#[test]
fn a_panic_in_an_estimate_is_no_cost() {
    let faulty = encoder(&panics(), "call").unwrap();
    assert_eq!(faulty.cost(1, 2, 2), zoo_core::Cost::default());
    assert!(logged("priceless"));
}

#[test]
fn a_panic_in_drop_is_contained_and_logged() {
    drop(encoder(&panics(), "drop").unwrap());
    assert!(logged("at the very end"));
    alive();
}

#[test]
fn an_error_of_a_megabyte_is_cut() {
    let faulty = encoder(&panics(), "megabyte").unwrap();
    let error = call(&*faulty).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)));
    let message = error.to_string();
    assert!(message.len() < 20_000, "{}", message.len());
    contains(&message, &["ééé", "(cut; 1048576 bytes in all)"]);
}

#[test]
fn what_a_plugin_logs_reaches_the_host() {
    let talkative = encoder(&panics(), "speaks").unwrap();
    let error = call(&*talkative).unwrap_err().to_string();
    contains(&error, &["plugin `panics` is faulty", "0 feature maps came back, 1 were asked for"]);
    assert!(logged("something to say rank=4"));
}

/// Collects what comes from plugins.
struct Collector;

impl tracing::Subscriber for Collector {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::DEBUG && metadata.target() == LOG_TARGET
            || metadata.target().starts_with("zoo_host")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct All(String);
        impl tracing::field::Visit for All {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!(" {value:?}");
            }
        }
        let mut all = All(String::new());
        event.record(&mut all);
        messages().lock().unwrap().push(all.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// The log, listening from the first call on.
fn messages() -> &'static Mutex<Vec<String>> {
    static MESSAGES: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        tracing::subscriber::set_global_default(Collector).unwrap();
        Mutex::default()
    })
}

fn logged(part: &str) -> bool {
    messages().lock().unwrap().iter().any(|m| m.contains(part))
}

// ---------------------------------------------------------------- malformed results

#[test]
fn malformed_results_are_refused_by_name() {
    const LIES: &[(&str, &str)] = &[
        ("null_data", "result `tokens.0`: malformed tensor: the data pointer is NULL"),
        ("null_tensor", "result `tokens.0`: malformed tensor: the pointer to the tensor is NULL"),
        ("null_shape", "the pointer to the shape is NULL"),
        ("negative", "negative size in shape [1, -4, 2]"),
        ("huge", "larger than the address space"),
        ("complex", "unknown element type (code 5, 32 bits, 1 lanes)"),
        ("integers", "result `tokens.0` is of type U32, expected floating point"),
        ("elsewhere", "a tensor in CUDA memory (device 3) arrived; only host memory can be read"),
        ("future", "DLPack version 2.1, but this program reads 1.x"),
        ("rank", "result `tokens.0` is [1, 4], expected [1, 4, 2]"),
        ("nameless", "there is no tensor `tokens.0`, only ``"),
        ("too_few", "0 feature maps came back, 1 were asked for"),
        ("no_json", "reply of an encoder: expected"),
        ("grid", "the map of layer 0 has a grid of 1×4; its stride and the size of the image make 2×2"),
        ("layer", "layer 0 was asked for, and layer 5 came back"),
        ("normed", "the map of layer 0 came back normed, and was not to be"),
        (
            "plain",
            "the map of layer 0 came back not normed, and was to be: `final_norm` of its descriptor is true",
        ),
        ("prefix", "prefix tokens of layer 0 came back; its descriptor and the request have none"),
        ("no_prefix", "no prefix tokens of layer 0 came back; its descriptor promises 1"),
    ];
    // Numbers may be too large for their element type without any fault of the plugin's.
    const NAN: &str = "the result `tokens.0` of `enc` (plugin `liar`) holds NaN, and its inputs do not";
    /// What the descriptor says that cannot be.
    const FALSE: &[(&str, &str)] = &[
        ("name", "its descriptor is called `somebody`, but `enc` was opened"),
        ("no_layers", "its descriptor lists no `layers`"),
        ("no_channels", "`channels` of layer 0 is 0"),
        ("no_stride", "`stride` of layer 0 is 0"),
        ("large_stride", "layer 0 has no cell: its `stride` of 4 is more than the 2 pixels of `native`"),
        ("no_multiple", "`resolution.multiple_of` is 0"),
        ("many_parameters", "`parameters` is 18446744073709551615, more than any machine holds"),
        ("no_gradients", "its descriptor says `vjp: true`, but it has no gradients"),
    ];
    let place = Sandbox::new();
    let provided =
        ["honest", "odd_code", "nan"].into_iter().chain(LIES.iter().chain(FALSE).map(|(lie, _)| *lie));
    let encoders: Vec<String> = provided.map(str::to_owned).collect();
    place.install("liar", &bad(), |m| m.provides.encoders = encoders[1..].to_vec());
    let refusal = place.refusal("liar");
    contains(&refusal, &["the library calls its architectures", "install plugin `liar` again"]);
    // The library lists them in an order of its own.
    place.install("liar", &bad(), |m| m.provides.encoders = encoders);
    place.set().trust("liar").unwrap();
    let door = place.get("liar").unwrap();

    for (lie, part) in LIES {
        let liar = encoder(&door, lie).unwrap();
        let message = call(&*liar).unwrap_err().to_string();
        contains(&message, &["plugin `liar` is faulty", part]);
        alive();
    }
    contains(
        &call(&*encoder(&door, "nan").unwrap()).unwrap_err().to_string(),
        &[NAN, "its weights are damaged"],
    );
    alive();
    for (lie, part) in FALSE {
        let message = encoder(&door, lie).err().unwrap().to_string();
        contains(&message, &["plugin `liar` is faulty", part]);
        // It is found without weights, too, as far as a descriptor tells.
        let spec = serde_json::from_value(json!({"id": "enc", "architecture": lie})).unwrap();
        match door.inspect(ObjectKind::Encoder, &spec) {
            Ok(_) => assert_eq!(*lie, "no_gradients"),
            Err(error) => contains(&error.to_string(), &["plugin `liar` is faulty", part]),
        }
        alive();
    }
    let spec: Spec = serde_json::from_value(json!({"id": "enc", "architecture": "no_json"})).unwrap();
    let message = door.inspect(ObjectKind::Encoder, &spec).unwrap_err().to_string();
    contains(&message, &["plugin `liar` is faulty: its inspection", "missing field `descriptor`"]);
    // NaN that was given is not the plugin's doing.
    let pixels = Tensor::full(f32::NAN, (1, 3, 2, 2), &Device::Cpu).unwrap();
    let nan = encoder(&door, "nan").unwrap().forward(&pixels, &everything()).unwrap_err();
    assert!(
        matches!(&nan, Error::InvalidInput(m) if m.contains("enc: the input `pixels` holds NaN")),
        "{nan:?}"
    );
    // An unknown code with unreadable details still tells its message.
    let message = call(&*encoder(&door, "odd_code").unwrap()).unwrap_err().to_string();
    contains(&message, &["from the future"]);

    // Whatever comes back, its deleter runs once, here on a thread of its own.
    let honest = encoder(&door, "honest").unwrap();
    let deleted = || honest.cost(1, 1, 1).macs;
    let before = deleted();
    let maps = std::thread::scope(|s| s.spawn(|| call(&*honest).unwrap()).join().unwrap());
    assert_eq!(deleted(), before + 1);
    assert_eq!(maps[0].tokens.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.5; 8]);
    call(&*encoder(&door, "negative").unwrap()).unwrap_err();
    assert_eq!(deleted(), before + 2);
}

// ---------------------------------------------------------------- what the kit lets authors say

/// Objects of an ordinary plugin that break a promise: each is found where it is opened or asked, through both doors
/// where the kit can see it.
#[test]
fn fibs_are_told_by_name() {
    let place = Sandbox::new();
    let told = zoo_bad::FIBS.identity().provides;
    place.install("fibs", &bad(), |m| {
        m.provides = told;
        m.version = zoo_bad::FIBS.version.into();
    });
    let foreign = place.get("fibs").unwrap();
    let spec = |architecture: &str| -> Spec {
        serde_json::from_value(json!({"id": "it", "architecture": architecture})).unwrap()
    };
    let told = |result: zoo_core::Result<()>, part: &str| {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Faulty { plugin, .. } if plugin == "fibs"), "{error:?}");
        contains(&error.to_string(), &[part]);
        alive();
    };
    let options = OpenOptions::default();
    for door in [&foreign, &PluginDoor::Static(&zoo_bad::FIBS)] {
        let gradients = door.open_encoder(&spec("no_gradients"), &options).map(|_| ());
        told(gradients, "its descriptor says `vjp: true`, but `differentiable()` gives nothing");
        told(door.open_connector(&spec("no_inputs"), &options).map(|_| ()), "lists no `inputs`");
        told(door.open_llm(&spec("no_vocab"), &options).map(|_| ()), "`vocab` is 0");
        told(door.inspect(ObjectKind::Llm, &spec("no_vocab")).map(|_| ()), "`vocab` is 0");
    }
    let features = Tensor::ones((1, 4, 2), DType::F32, &Device::Cpu).unwrap();
    let inputs = ConnectorInputs { features: vec![features], image_sizes: vec![(7, 9)] };
    for (fib, part) in [
        ("grid", "the grid of what it fused is 1×4, and its descriptor promises 2×2"),
        ("empty_grid", "the grid of what it fused is 0×4, and its descriptor promises 2×2"),
        ("sizes", "the image sizes of what it fused are not those that it was given"),
        ("silent", "shares `attention` of 0 encoders, expected 1"),
        ("width", "result `tokens` is [1, 4, 3], expected [1, 4, 2]"),
    ] {
        let connector = foreign.open_connector(&spec(fib), &options).unwrap();
        told(connector.forward(&inputs).map(|_| ()), part);
    }
    let worthless = foreign.open_connector(&spec("nan"), &options).unwrap().forward(&inputs).unwrap_err();
    contains(&worthless.to_string(), &["the result `tokens` of `it` (plugin `fibs`) holds NaN"]);
    let connector = foreign.open_connector(&spec("block"), &options).unwrap();
    let fused = connector.forward(&inputs).unwrap();
    told(
        connector.block(&fused, 0).map(|_| ()),
        "the grid of an image's block is 9×9, which is no part of 2×2",
    );
    let model = foreign.open_llm(&spec("short"), &options).unwrap();
    let ids = Tensor::new(&[[1_u32, 2, 3]], &Device::Cpu).unwrap();
    told(model.embed(&ids).map(|_| ()), "result `hidden` is [1, 1, 4], expected [1, 3, 4]");
}

// ---------------------------------------------------------------- files that are not the plugin

#[test]
fn a_plugin_that_is_not_there_is_missed_with_the_folders_searched() {
    let place = Sandbox::new();
    place.install("other_layout", &bad(), |_| ());
    let message = place.refusal("clap");
    contains(
        &message,
        &["plugin `clap` was not found", &place.folder().display().to_string(), "other_layout"],
    );
    contains(&message, &["--plugin-dir", "clap.plugin.toml"]);
}

#[test]
fn a_library_that_was_deleted_is_missed() {
    let place = Sandbox::new();
    place.install("gone", &bad(), |_| ());
    std::fs::remove_file(place.library()).unwrap();
    let message = place.refusal("gone");
    contains(&message, &["plugin `gone`: its library", "lib.so is missing", "stage the plugin again"]);
}

#[test]
fn another_revision_is_refused_before_and_after_opening() {
    let place = Sandbox::new();
    place.install("other_revision", &bad(), |m| m.abi = 7);
    contains(&place.refusal("other_revision"), &["built for ABI revision 7", "this program speaks 1"]);
    // The manifest lies; the library's own word counts.
    place.install("other_revision", &bad(), |_| ());
    contains(&place.refusal("other_revision"), &["built for ABI revision 4711", "rebuild the plugin"]);
}

#[test]
fn another_layout_is_refused_in_one_sentence_with_the_details_in_a_file() {
    let place = Sandbox::new();
    place.install("other_layout", &bad(), |_| ());
    let message = place.refusal("other_layout");
    contains(&message, &["plugin `other_layout` was built against another version of the plugin interface"]);
    let dump = message.split("(details: ").nth(1).unwrap().trim_end_matches(')');
    let details = std::fs::read_to_string(dump).unwrap();
    std::fs::remove_file(dump).unwrap();
    contains(&details, &["PluginRoot"]);
}

#[test]
fn a_library_without_the_symbol_is_no_plugin() {
    let place = Sandbox::new();
    place.install("nobody", &bad(), |_| ());
    contains(&place.refusal("nobody"), &["is not the plugin `nobody`", "exports no `zoo_plugin_nobody`"]);
}

#[test]
fn a_symbol_that_is_something_else_is_no_plugin() {
    let place = Sandbox::new();
    place.install("not_ours", &bad(), |_| ());
    contains(&place.refusal("not_ours"), &["is not the plugin `not_ours`", "something else"]);
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let place = Sandbox::new();
    let text = place.root.path().join("notes.txt");
    std::fs::write(&text, "not a library").unwrap();
    place.install("notes", &text, |_| ());
    let message = place.refusal("notes");
    contains(&message, &["lib.so: cannot be opened as a dynamic library"]);
    assert!(!message.contains("/proc/"), "{message}");
}

#[test]
fn a_manifest_that_says_something_else_is_refused() {
    let place = Sandbox::new();
    place.install("no_start", &bad(), |m| m.version = "1.0.0".into());
    let message = place.refusal("no_start");
    contains(
        &message,
        &["calls its version `9.9.9`, the manifest `1.0.0`", "install plugin `no_start` again"],
    );
}

#[test]
fn a_panic_while_starting_is_an_error() {
    let place = Sandbox::new();
    place.install("no_start", &bad(), |_| ());
    contains(&place.refusal("no_start"), &["plugin `no_start` cannot start", "not today"]);
}

#[test]
fn another_platform_is_refused_before_opening() {
    let place = Sandbox::new();
    place.install("far", &bad(), |m| m.target = "riscv64gc-unknown-linux-gnu".into());
    contains(&place.refusal("far"), &["`far` was built for riscv64gc-unknown-linux-gnu", zoo_abi::TARGET]);
    if backend() == "cpu" {
        place.install("far", &bad(), |m| m.backend = "cuda".into());
        contains(&place.refusal("far"), &["built for the cuda backend, this program is a cpu build"]);
    }
}

#[test]
fn two_plugins_of_one_name_are_refused_naming_both() {
    let (one, two) = (Sandbox::new(), Sandbox::new());
    one.install("twin", &bad(), |_| ());
    two.install("twin", &bad(), |_| ());
    let set = PluginSet::discover(&[one.folder(), two.folder()], &one.root.path().join("data")).unwrap();
    let message = set.get("twin").err().unwrap().to_string();
    let [a, b] = [&one, &two].map(|p| p.manifest("twin").display().to_string());
    contains(&message, &["two plugins are called `twin`", &a, &b]);
    // So is one whose name a loaded library has already.
    toy();
    let place = Sandbox::new();
    place.install("toy", &library("zoo-toy"), |_| ());
    let first = staged(&[]).join(library("zoo-toy").file_name().unwrap()).display().to_string();
    contains(&place.refusal("toy"), &["two plugins are called `toy`", &first]);
}

#[test]
fn a_wrong_manifest_harms_nobody_else() {
    let place = Sandbox::new();
    place.install("far", &bad(), |m| m.target = "elsewhere".into());
    std::fs::write(place.manifest("torn"), "name = \"torn\nversion = 3").unwrap();
    let set = place.set();
    assert_eq!(set.list().iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["far", "torn"]);
    assert!(set.list()[0].manifest.is_ok() && set.list()[1].manifest.is_err());
    contains(&place.refusal("torn"), &["torn.plugin.toml: TOML parse error at line 1"]);
}

// ---------------------------------------------------------------- trust

#[test]
fn a_library_that_does_not_match_its_manifest_is_refused() {
    let place = Sandbox::new();
    place.install("swapped", &bad(), |_| ());
    std::fs::write(place.library(), "something else").unwrap();
    contains(&place.refusal("swapped"), &["the library does not match its manifest", "sha256"]);
}

#[test]
fn a_plugin_that_changed_must_be_trusted_again() {
    let place = Sandbox::new();
    // Never seen: the hash is remembered, before the file turns out to be no library.
    let text = place.root.path().join("notes.txt");
    std::fs::write(&text, "first").unwrap();
    place.install("fickle", &text, |_| ());
    contains(&place.refusal("fickle"), &["cannot be opened"]);
    std::fs::write(&text, "second").unwrap();
    place.install("fickle", &text, |_| ());
    let message = place.refusal("fickle");
    contains(&message, &["plugin `fickle` has changed since it was trusted", "zoo plugins trust fickle"]);
    let trusted = place.set().trust("fickle").unwrap();
    contains(&message, &[&trusted.sha256]);
    contains(&place.refusal("fickle"), &["cannot be opened"]);
}

#[test]
fn relative_folders_are_refused() {
    let message = PluginSet::discover(&["plugins".into()], Path::new("/data")).err().unwrap().to_string();
    contains(&message, &["plugins: --plugin-dir takes absolute paths only"]);
}

#[cfg(unix)]
mod files {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_write_is_refused() {
        let place = Sandbox::new();
        place.install("open", &bad(), |_| ());
        let all = [(place.library(), 0o644), (place.manifest("open"), 0o644), (place.folder(), 0o755)];
        for (path, safe) in all {
            mode(&path, safe | 0o002);
            let message = place.refusal("open");
            contains(&message, &[&path.display().to_string(), "everybody may write to it", "chmod go-w"]);
            mode(&path, safe);
        }
        // A folder above counts as well.
        mode(place.root.path(), 0o777);
        contains(&place.refusal("open"), &["everybody may write to it"]);
        // With the sticky bit nobody can exchange other people's files in it.
        mode(place.root.path(), 0o1777);
        contains(&place.refusal("open"), &["exports no `zoo_plugin_open`"]);
    }

    #[test]
    fn what_a_group_may_write_is_refused() {
        let place = Sandbox::new();
        place.install("shared", &bad(), |_| ());
        // Only root can give files to a group that it is not in.
        if chown(place.library(), None, Some(65_534)).is_ok() {
            mode(&place.library(), 0o664);
            contains(&place.refusal("shared"), &["lib.so: not loaded", "its group may write to it"]);
            mode(&place.library(), 0o644);
            contains(&place.refusal("shared"), &["exports no `zoo_plugin_shared`"]);
        }
    }

    #[test]
    fn other_peoples_files_are_refused() {
        let place = Sandbox::new();
        place.install("theirs", &bad(), |_| ());
        // Only root can give files away.
        if chown(place.library(), Some(65_534), None).is_ok() {
            contains(&place.refusal("theirs"), &["belongs to user 65534, neither to you nor to root"]);
        }
    }

    #[test]
    fn links_out_of_the_folder_are_refused() {
        let place = Sandbox::new();
        place.install("linked", &bad(), |_| ());
        std::fs::remove_file(place.library()).unwrap();
        symlink(bad(), place.library()).unwrap();
        contains(&place.refusal("linked"), &["it leads out of the plugin folder"]);
    }
}
