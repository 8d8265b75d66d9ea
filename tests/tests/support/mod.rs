//! Plugins as files, for tests. Cargo leaves the libraries of dev-dependencies beside the test executable; here
//! they get manifests, as an installation would give them.
//!
//! Libraries are never unloaded and names are unique in a process, so there is one staged folder per process.

#![allow(dead_code, reason = "each test program uses its part")]

mod folder;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use zoo_core::Precision;
use zoo_host::plugins::{PluginSet, stage};
use zoo_host::{Folders, Options, Zoo};

/// The plugins of the test checkpoint `cambrian-vicuna`.
pub const CAMBRIAN: [&str; 6] = [
    "plugins/clip",
    "plugins/convnext",
    "plugins/dinov2",
    "plugins/llama",
    "plugins/sva",
    "plugins/timm-vit",
];
/// The plugins of all test checkpoints.
pub const ALL: [&str; 20] = [
    "plugins/aimv2",
    "plugins/c-radio",
    "plugins/clip",
    "plugins/convnext",
    "plugins/dinov2",
    "plugins/dinov3",
    "plugins/dpt",
    "plugins/eva02",
    "plugins/gemma",
    "plugins/internvit",
    "plugins/llama",
    "plugins/openclip-vit",
    "plugins/pe",
    "plugins/phi3",
    "plugins/projectors",
    "plugins/qwen2",
    "plugins/sam",
    "plugins/sd-unet",
    "plugins/sva",
    "plugins/timm-vit",
];

/// A folder of this process, empty when it is asked for first.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<folder::Folder> = OnceLock::new();
    FOLDER.get_or_init(|| folder::Folder::new(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()).path()
}

/// The built library of a crate.
pub fn library(crate_name: &str) -> PathBuf {
    let (start, end) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let file = format!("{start}{}{end}", crate_name.replace('-', "_"));
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().join(&file);
    assert!(path.is_file(), "{} is missing: is {crate_name} a dev-dependency?", path.display());
    path
}

/// The folder of a plugin's sources, from the root of the repository.
pub fn sources(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(folder)
}

/// The folder of the test checkpoints.
pub fn checkpoints() -> PathBuf {
    sources("tests/checkpoints")
}

/// A plugin folder that holds these plugins, each given by its source folder: `tests/plugins/toy`,
/// `plugins/clip`. The crate is called `zoo-` and the folder's name.
pub fn staged(plugins: &[&str]) -> PathBuf {
    static STAGED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let dest = folder().join("plugins");
    let mut staged = STAGED.lock().unwrap();
    for plugin in plugins {
        if staged.iter().all(|s| s != plugin) {
            let name = Path::new(plugin).file_name().unwrap().to_str().unwrap();
            let template = sources(plugin).join("plugin.toml");
            stage(&library(&format!("zoo-{name}")), &template, &dest).unwrap();
            staged.push((*plugin).to_owned());
        }
    }
    dest
}

/// The shipped registry over these plugins, with folders of its own.
pub fn zoo(plugins: &[&str], precision: Precision) -> Zoo {
    zoo_with(plugins, precision, Vec::new())
}

/// The same with more registry files.
pub fn zoo_with(plugins: &[&str], precision: Precision, registries: Vec<PathBuf>) -> Zoo {
    let own = |name: &str| folder().join(name);
    let folders = Folders { config: own("config"), data: own("data"), cache: own("cache") };
    let plugin_dirs = vec![staged(plugins)];
    let options = Options { plugin_dirs, registries, offline: true, precision, ..Options::default() };
    Zoo::open_in(options, folders).unwrap()
}

/// [`staged`], discovered, with a data folder of its own.
pub fn plugins(plugins: &[&str]) -> PluginSet {
    PluginSet::discover(&[staged(plugins)], &folder().join("data")).unwrap()
}
