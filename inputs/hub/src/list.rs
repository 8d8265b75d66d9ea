//! What a repository holds, and several of its files as of one commit.

use std::path::PathBuf;

use serde::Deserialize;

use crate::remote::{Address, Remote, not_a_hub};
use crate::retry::retry;
use crate::{Error, Hub, Progress, Result, hub, names};

/// The files of a repository as of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The commit.
    pub commit: String,
    /// Paths inside the repository, as the Hub orders them.
    pub files: Vec<String>,
}

#[derive(Deserialize)]
struct About {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub {
    /// The files that `repo` has at `revision`, a branch, tag or commit. The Hub is always asked.
    ///
    /// # Errors
    /// Those of [`Error`]; [`Error::NotAsked`] when no socket may be opened.
    pub fn list(&self, repo: &str, revision: &str, progress: &dyn Progress) -> Result<Listed> {
        let address = Address { repo, file: "a", revision };
        hub::check(address)?;
        if self.settings.offline {
            let url = format!("{}/{}", self.settings.endpoint, self.kind.of(repo));
            return Err(Error::NotAsked { url });
        }
        let remote = Remote::new(&self.settings, self.kind)?;
        let (url, body) = retry(self.settings.backoff, progress, || remote.about(address))?;
        let about: About = serde_json::from_slice(&body)
            .map_err(|error| not_a_hub(&url, format!("its list of files cannot be read ({error})")))?;
        if !names::is_component(&about.sha) {
            return Err(not_a_hub(&url, "its list of files names no commit".into()));
        }
        let files: Vec<String> = about.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        for file in &files {
            names::file(file)?;
        }
        Ok(Listed { commit: about.sha, files })
    }

    /// [`Hub::fetch`] of `files`, all as of `commit`. `revision` points at that commit when all are there.
    ///
    /// # Errors
    /// Those of [`Hub::fetch`]; what has arrived stays, and the next call continues.
    pub fn fetch_all(
        &self,
        repo: &str,
        revision: &str,
        commit: &str,
        files: &[String],
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>> {
        let fetch = |file: &String| self.fetch(repo, file, commit, None, progress);
        let paths = files.iter().map(fetch).collect::<Result<Vec<_>>>()?;
        self.cache(Address { repo, file: "a", revision }).point(commit)?;
        Ok(paths)
    }
}
