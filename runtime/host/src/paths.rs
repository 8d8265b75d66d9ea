//! Where things live on this machine.

use std::path::PathBuf;

use etcetera::{BaseStrategy, choose_base_strategy};

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
