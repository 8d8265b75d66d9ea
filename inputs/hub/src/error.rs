//! What can go wrong, in words for the person at the terminal.

use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a name on the Hub and a file on the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A repository, file or revision name that no Hub has, or that would leave the cache folder.
    #[error("`{name}` is not a valid {what}: {why}")]
    Name {
        /// "repository", "file name", "revision", "endpoint" or "token".
        what: &'static str,
        /// The name as given; empty for a token.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file is not in the cache and no socket may be opened.
    #[error(
        "`{file}` of {repo} (revision {revision}) is not in {cache}, and downloads are off (--offline or \
         HF_HUB_OFFLINE). Where there is network, fetch it with `zoo pull`, or with \
         `hf download {repo} {file} --revision {revision}`, which fills the same cache"
    )]
    Offline {
        /// `org/name`.
        repo: String,
        /// Path inside the repository.
        file: String,
        /// Branch, tag or commit.
        revision: String,
        /// The cache folder that was searched.
        cache: PathBuf,
    },
    /// The Hub knows no such repository, or hides it from this user.
    #[error(
        "{endpoint} has no repository `{repo}`, or it is private{}",
        if *.token { " and the token that was sent has no access to it" }
        else { "; for a private one set HF_TOKEN to a token that has access (https://huggingface.co/settings/tokens)" }
    )]
    NoRepo {
        /// The Hub or mirror that was asked.
        endpoint: String,
        /// `org/name`.
        repo: String,
        /// Whether a token was sent.
        token: bool,
    },
    /// The repository has no such branch, tag or commit.
    #[error("{repo} has no revision `{revision}`")]
    NoRevision {
        /// `org/name`.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// The revision has no such file.
    #[error("{repo} has no file `{file}` at revision {revision}")]
    NoFile {
        /// `org/name`.
        repo: String,
        /// Path inside the repository.
        file: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// The weights are behind a licence that this user has not accepted.
    #[error(
        "{repo} is gated: accept its terms at https://huggingface.co/{repo}, then {}",
        if *.token { "try again (the token that was sent has no access to it yet)" }
        else { "make a read token at https://huggingface.co/settings/tokens and set HF_TOKEN to it" }
    )]
    Gated {
        /// `org/name`.
        repo: String,
        /// Whether a token was sent.
        token: bool,
    },
    /// The token is wrong or expired.
    #[error(
        "{endpoint} refused the token (HTTP {status}): it is wrong, expired or lacks the right to read {repo}; make \
         a new one at https://huggingface.co/settings/tokens"
    )]
    Token {
        /// The Hub or mirror that was asked.
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// `org/name`.
        repo: String,
    },
    /// Any other answer that is not the file.
    #[error("{url}: HTTP {status}{}", if crate::retry::is_transient(*.status) { ", also after several tries; try again later" } else { "" })]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The server answers, but not in the Hub's protocol.
    #[error("{url} does not answer like a Hub: {why}; check HF_ENDPOINT and proxies")]
    NotAHub {
        /// What was asked for.
        url: String,
        /// What is missing.
        why: String,
    },
    /// No connection, or one that broke too often.
    #[error(
        "{url}: {why}; check the network, proxies (HTTPS_PROXY, SSL_CERT_FILE) and HF_ENDPOINT. What has arrived is kept"
    )]
    Network {
        /// What was asked for.
        url: String,
        /// What the client said.
        why: String,
    },
    /// A server that is not the Hub would have to be asked, and no socket may be opened.
    #[error("{url} is not asked: --offline or HF_HUB_OFFLINE is set, and no socket is opened")]
    NotAsked {
        /// Its address.
        url: String,
    },
    /// A server that is not the Hub gave no answer.
    #[error(
        "{url}: {why}; check that the server runs, the address, and proxies (HTTPS_PROXY, SSL_CERT_FILE)"
    )]
    NoAnswer {
        /// Its address.
        url: String,
        /// What the client said.
        why: String,
    },
    /// A file of certificates that holds none.
    #[error("{}: {why}; SSL_CERT_FILE must name a file of PEM certificates", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The bytes are not those that were promised.
    #[error(
        "{what} has sha256 {found}, but {source_of_expected} says {expected}; {}",
        if *.removed { "the bad copy was removed: try again, and if it happens again do not use this source" }
        else { "nothing was downloaded: the file was changed at its source, or the registry row is wrong" }
    )]
    Hash {
        /// File and repository.
        what: String,
        /// Who named the expected hash: "the Hub" or "the registry".
        source_of_expected: &'static str,
        /// Expected, lower-case hex.
        expected: String,
        /// Found, lower-case hex.
        found: String,
        /// Whether a file was there and has been removed.
        removed: bool,
    },
    /// The disk is too full.
    #[error("{}: {need} bytes are needed and {have} are free; free some space or set HF_HUB_CACHE to another disk", .folder.display())]
    Space {
        /// Where the file was to be written.
        folder: PathBuf,
        /// Bytes still to be written.
        need: u64,
        /// Bytes free for this user.
        have: u64,
    },
    /// Reading or writing a file failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An index of a sharded checkpoint that cannot be followed.
    #[error("{}: {why}", .path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The caller asked to stop.
    #[error("cancelled; what has been downloaded is kept and will be continued")]
    Cancelled,
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }
}
