//! From an address to a store.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;
use url::Url;

use super::Store;
use crate::error::{Error, Result};

/// Connections to stores: one for all, as each has threads.
#[derive(Clone)]
pub struct Stores {
    runtime: Arc<Runtime>,
    retry: RetryConfig,
}

impl Stores {
    /// Ready to connect; nothing is opened. Failing calls are repeated for at most `patience`.
    ///
    /// # Errors
    /// [`Error::Io`] where no thread can be had.
    pub fn new(patience: Duration) -> Result<Self> {
        // Fails only where somebody has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().thread_name("store").build();
        let retry = RetryConfig { max_retries: 100, retry_timeout: patience, ..RetryConfig::default() };
        Ok(Self { runtime: Arc::new(runtime.map_err(Error::io("threads for stores"))?), retry })
    }

    /// The store and the prefix that `address` names: an URL, else a folder or file here.
    ///
    /// # Errors
    /// [`Error::Address`]: no known scheme, or settings in the environment that do not fit.
    pub fn open(&self, address: &str) -> Result<Store> {
        let Some(url) = remote(address) else { return self.local(FilePath::new(address)) };
        let wrong = |what: String| Error::Address { address: address.to_owned(), what };
        let url = url.map_err(&wrong)?;
        let (object, prefix) = self.connect(&url).map_err(|error| wrong(error.to_string()))?;
        let shown = url.as_str().trim_end_matches('/');
        let shown = shown.strip_suffix(prefix.as_ref()).unwrap_or(shown).trim_end_matches('/').to_owned();
        Ok(Store { object, runtime: Arc::clone(&self.runtime), shown, prefix, local: None })
    }

    fn connect(&self, url: &Url) -> object_store::Result<(Arc<dyn ObjectStore>, Path)> {
        let client = || ClientOptions::new().with_timeout(Duration::from_secs(300)).with_allow_http(true);
        let host = format!("{}://{}", url.scheme(), url.authority());
        let (prefix, retry) = (Path::from_url_path(url.path())?, self.retry.clone());
        let object: Arc<dyn ObjectStore> = match url.scheme() {
            "s3" | "s3a" => {
                let builder = object_store::aws::AmazonS3Builder::from_env().with_url(url.as_str());
                Arc::new(builder.with_retry(retry).with_allow_http(true).build()?)
            }
            "gs" => {
                let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
                Arc::new(builder.with_retry(retry).build()?)
            }
            "az" | "abfs" | "abfss" => {
                let builder = object_store::azure::MicrosoftAzureBuilder::from_env().with_url(url.as_str());
                Arc::new(builder.with_retry(retry).build()?)
            }
            _ => {
                let builder = object_store::http::HttpBuilder::new().with_url(host);
                Arc::new(builder.with_client_options(client()).with_retry(retry).build()?)
            }
        };
        Ok((object, prefix))
    }

    fn local(&self, path: &FilePath) -> Result<Store> {
        let shown = path.to_string_lossy().trim_end_matches('/').to_owned();
        let absolute = std::path::absolute(path).map_err(Error::io(shown.as_str()))?;
        let root = object_store::local::LocalFileSystem::new().with_fsync(true);
        let prefix = Path::from_absolute_path(&absolute)
            .map_err(|error| Error::Address { address: shown.clone(), what: error.to_string() })?;
        let runtime = Arc::clone(&self.runtime);
        Ok(Store { object: Arc::new(root), runtime, shown, prefix, local: Some(absolute) })
    }
}

/// The URL that `address` is, if it is one and not a path.
pub fn remote(address: &str) -> Option<Result<Url, String>> {
    let (scheme, _) = address.split_once("://")?;
    Some(match scheme {
        "s3" | "s3a" | "gs" | "az" | "abfs" | "abfss" | "http" | "https" => {
            Url::parse(address).map_err(|error| error.to_string())
        }
        _ => Err(format!(
            "`{scheme}` is no store that is known here; those are s3, gs, az, abfs, http and https, and folders"
        )),
    })
}
