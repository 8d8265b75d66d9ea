//! What is to be made, from what, and at which cost.

use std::path::PathBuf;
use std::time::Duration;

use zoo_hub::Settings;

/// What is to be made, from what, and at which cost.
#[derive(Debug, Clone)]
pub struct Plan {
    /// One field a line: `Field: subfield, subfield`.
    pub fields: PathBuf,
    /// The folder of all stages.
    pub out: PathBuf,
    /// Where pages come from.
    pub pages: Pages,
    /// The model that is asked.
    pub model: Model,
    /// Topics of a subfield that are asked for.
    pub topics: usize,
    /// Pages of a topic.
    pub pages_per_topic: usize,
    /// Sections with fewer words are left out.
    pub words: usize,
    /// What may be used in all runs together.
    pub budget: Budget,
    /// How servers are treated.
    pub manners: Manners,
    /// Whether answers are judged, and those that the page does not bear out dropped.
    pub judge: bool,
}

impl Plan {
    /// With the numbers of the paper, English Wikipedia, and a budget of a thousand requests.
    pub fn new(fields: impl Into<PathBuf>, out: impl Into<PathBuf>, model: Model) -> Self {
        Self {
            fields: fields.into(),
            out: out.into(),
            pages: Pages::MediaWiki("https://en.wikipedia.org/w/api.php".to_owned()),
            model,
            topics: 20,
            pages_per_topic: 10,
            words: 50,
            budget: Budget { requests: 1000, tokens: 1_000_000 },
            manners: Manners::default(),
            judge: true,
        }
    }
}

/// Where pages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pages {
    /// The `api.php` of a wiki.
    MediaWiki(String),
    /// Tables with `title` (or `name`), `url` and `html` (or `article_body.html`): dumps of Wikimedia Enterprise among them.
    Dump(Vec<PathBuf>),
    /// HTML files of a folder, whose pictures are files in it.
    Folder(PathBuf),
}

/// A model behind an OpenAI-compatible endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Model {
    /// Its address, up to and without `/chat/completions`.
    pub url: String,
    /// Its name there.
    pub name: String,
    /// Its key, if it wants one. It is sent there and nowhere else, and never shown.
    pub key: Option<String>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.key.as_ref().map(|_| "…");
        f.debug_struct("Model").field("url", &self.url).field("name", &self.name).field("key", &key).finish()
    }
}

/// What may be used in all runs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests to the model.
    pub requests: u64,
    /// Tokens that it counts, of questions and answers.
    pub tokens: u64,
}

/// How servers are treated.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Certificates, and whether sockets may be opened.
    pub settings: Settings,
    /// Requests to the model in a minute; 0 for as many as it answers.
    pub per_minute: u32,
    /// Least time between two requests to the same server of pages or pictures.
    pub pause: Duration,
    /// Tries of a request in all.
    pub tries: u32,
    /// Wait after the first failure; it doubles with each.
    pub backoff: Duration,
    /// Silence after which a connection counts as broken.
    pub silence: Duration,
    /// Also take pictures from private addresses: for servers of one's own.
    pub private: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            // No cache is read or written.
            settings: Settings::new(""),
            per_minute: 60,
            pause: Duration::from_secs(1),
            tries: 5,
            backoff: Duration::from_secs(1),
            silence: Duration::from_secs(60),
            private: false,
        }
    }
}
