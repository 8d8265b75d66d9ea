//! Where things live on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use zoo_core::path_bytes;

/// The user's folders, each overridable by an environment variable, in which `~` and `$NAME` are replaced.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Registry overlays: `ZOO_CONFIG`, else `<config>/zoo`.
    pub config: PathBuf,
    /// Plugins and their lock: `ZOO_DATA`, else `<data>/zoo`.
    pub data: PathBuf,
    /// Generated weights: `ZOO_CACHE`, else `<cache>/zoo`.
    pub cache: PathBuf,
}

impl Folders {
    /// Reads the environment. Without a home folder everything falls back to the system's temporary folder.
    pub fn from_env() -> Self {
        let base = choose_base_strategy().ok();
        let pick = |variable: &str, default: Option<PathBuf>| {
            std::env::var_os(variable)
                .filter(|v| !v.is_empty())
                .map(|v| {
                    zoo_hub::expand(v.clone(), &|name| std::env::var_os(name)).unwrap_or_else(|_| v.into())
                })
                .unwrap_or_else(|| default.unwrap_or_else(std::env::temp_dir).join("zoo"))
        };
        Self {
            config: pick("ZOO_CONFIG", base.as_ref().map(BaseStrategy::config_dir)),
            data: pick("ZOO_DATA", base.as_ref().map(BaseStrategy::data_dir)),
            cache: pick("ZOO_CACHE", base.as_ref().map(BaseStrategy::cache_dir)),
        }
    }
}

/// The folder of a file whose name was written with [`zoo_core::path_text`], as those of registry files are.
pub(crate) fn folder_of(file: &str) -> PathBuf {
    let file = os_string(file);
    Path::new(&file).parent().map(Path::to_path_buf).unwrap_or_default()
}

#[cfg(unix)]
fn os_string(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(path_bytes(text))
}

#[cfg(not(unix))]
fn os_string(text: &str) -> OsString {
    // What is not Unicode there cannot be made of bytes.
    String::from_utf8(path_bytes(text)).unwrap_or_else(|_| text.to_owned()).into()
}
