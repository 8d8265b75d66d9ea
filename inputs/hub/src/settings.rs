//! Where the Hub and its cache are, from the environment or from a caller.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::expand::expand;
use crate::{Error, Result};

const ENDPOINT: &str = "https://huggingface.co";
const BACKOFF: Duration = Duration::from_millis(500);

/// Everything that [`Hub`](crate::Hub) needs to know. [`Settings::from_env`] reads it as the Python tools do.
#[derive(Clone)]
pub struct Settings {
    /// Base URL of the Hub or a mirror, without a slash at the end.
    pub endpoint: String,
    /// The cache folder, which holds `models--org--name` folders.
    pub cache: PathBuf,
    /// Access token; sent to `endpoint` only, never to the host that a download is redirected to.
    pub token: Option<String>,
    /// Open no socket.
    pub offline: bool,
    /// PEM file of the certificate authorities to trust in place of the built-in ones, for proxies that look into
    /// TLS connections.
    pub certificates: Option<PathBuf>,
    /// Wait after the first failed try; it doubles with each further one, of which there are four.
    pub backoff: Duration,
}

impl Settings {
    /// A cache folder and the public Hub; no token.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: ENDPOINT.to_owned(),
            cache: cache.into(),
            token: None,
            offline: false,
            certificates: None,
            backoff: BACKOFF,
        }
    }

    /// Reads the variables listed on the [crate's page](crate).
    ///
    /// # Errors
    /// [`Error::Name`] when there is no home folder and no variable names a cache.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|key| std::env::var_os(key))
    }

    /// [`Settings::from_env`] with the environment as a function.
    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let given = |key: &str| lookup(key).filter(|value| !value.to_string_lossy().trim().is_empty());
        let set = |key: &str| given(key).and_then(|v| v.into_string().ok()).map(|v| v.trim().to_owned());
        let path =
            |keys: &[&str]| keys.iter().find_map(|key| given(key)).map(|v| expand(v, &lookup)).transpose();
        let on = |key: &str| set(key).is_some_and(|v| is_true(&v));

        let below =
            |base: Option<PathBuf>, names: &[&str]| Some(base?.join(names.iter().collect::<PathBuf>()));
        let home = || given("HOME").or_else(|| given("USERPROFILE")).map(PathBuf::from);
        let hf_home = match (path(&["HF_HOME"])?, path(&["XDG_CACHE_HOME"])?) {
            (Some(hf), _) => Some(hf),
            (None, Some(cache)) => Some(cache.join("huggingface")),
            (None, None) => below(home(), &[".cache", "huggingface"]),
        };
        let cache = match path(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])? {
            Some(cache) => cache,
            None => below(hf_home.clone(), &["hub"]).ok_or(Error::Name {
                what: "cache folder",
                name: String::new(),
                why: "there is no home folder; set HF_HOME or HF_HUB_CACHE",
            })?,
        };
        let token_file = match path(&["HF_TOKEN_PATH"])? {
            Some(path) => Some(path),
            None => below(hf_home, &["token"]),
        };
        let token = if on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            set("HF_TOKEN")
                .or_else(|| set("HUGGING_FACE_HUB_TOKEN"))
                .or_else(|| read_token(token_file?.as_ref()))
        };
        let certificates = path(&["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])?;
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        // Like the Python tools: the first of the two that is set decides.
        let offline =
            set("HF_HUB_OFFLINE").or_else(|| set("TRANSFORMERS_OFFLINE")).is_some_and(|v| is_true(&v));
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache,
            token,
            offline,
            certificates,
            backoff: BACKOFF,
        })
    }
}

/// Never shows the token.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("offline", &self.offline)
            .field("certificates", &self.certificates)
            .field("backoff", &self.backoff)
            .finish()
    }
}

fn read_token(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}

fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Settings::from_lookup(|key| pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.into())).unwrap()
    }

    #[test]
    fn cache_folder_precedence() {
        let cache = |pairs: &[(&str, &str)]| settings(pairs).cache.display().to_string();
        assert_eq!(cache(&[("HOME", "/h")]), "/h/.cache/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), "/x/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "~/hf")]), "/h/hf/hub");
        let variable = [("HOME", "/h"), ("DISK", "/d"), ("HF_HOME", "${DISK}/hf"), ("HF_TOKEN_PATH", "~/t")];
        assert_eq!(cache(&variable), "/d/hf/hub");
        assert_eq!(cache(&[("DISK", "/d"), ("HF_HUB_CACHE", "$DISK/$NONE")]), "/d/$NONE");
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]), "/c");
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("HUGGINGFACE_HUB_CACHE", "/c"), ("HF_HUB_CACHE", "")]), "/c");
    }

    #[test]
    fn no_home_is_an_error() {
        let error = Settings::from_lookup(|_| None).unwrap_err().to_string();
        assert!(error.contains("HF_HUB_CACHE"), "{error}");
        let other = Settings::from_lookup(|key| (key == "HF_HOME").then(|| "~other/hf".into())).unwrap_err();
        assert!(other.to_string().contains("`~other/hf`"), "{other}");
    }

    #[test]
    fn offline_switches() {
        assert!(!settings(&[("HOME", "/h")]).offline);
        for value in ["1", "true", "Yes", "ON"] {
            assert!(settings(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).offline, "{value}");
        }
        assert!(settings(&[("HOME", "/h"), ("TRANSFORMERS_OFFLINE", "1")]).offline);
        assert!(!settings(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).offline);
    }

    #[test]
    fn token_precedence_and_secrecy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let hf_home = folder.path().to_str().unwrap();
        assert_eq!(settings(&[("HF_HOME", hf_home)]).token.as_deref(), Some("hf_file"));
        let both = settings(&[("HF_HOME", hf_home), ("HF_TOKEN", "hf_env")]);
        assert_eq!(both.token.as_deref(), Some("hf_env"));
        assert!(!format!("{both:?}").contains("hf_env"));
        assert_eq!(settings(&[("HF_HOME", hf_home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);
    }

    #[test]
    fn mirror_loses_its_slash() {
        assert_eq!(settings(&[("HOME", "/h"), ("HF_ENDPOINT", "http://mirror/")]).endpoint, "http://mirror");
    }
}
