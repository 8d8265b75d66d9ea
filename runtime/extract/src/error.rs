//! Why an extraction gave up. What is wrong with one picture is no error: it is a row.

use zoo_host::HostError;
use zoo_pipeline::find::FindError;

/// As [`std::result::Result`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an extraction gave up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that nothing here can reach.
    #[error("{address}: {what}")]
    Address {
        /// As it was typed.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// A name that leads to nothing.
    #[error("{name}: {source}")]
    Find {
        /// As it was typed.
        name: String,
        /// What was found in its place.
        source: FindError,
    },
    /// A store, or the file system.
    #[error("{address}: {source}{}", hint(source))]
    Store {
        /// Which file of it.
        address: String,
        /// Its answer, after every retry.
        source: object_store::Error,
    },
    /// A file beside the work: a list, a spool.
    #[error("{name}: {source}")]
    Io {
        /// The file.
        name: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A table or an archive.
    #[error(transparent)]
    Records(#[from] zoo_records::Error),
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What is there was made in another way.
    #[error("{address}: made in another way ({what}); choose another --out, or begin anew with --overwrite")]
    Other {
        /// What is there.
        address: String,
        /// What differs.
        what: String,
    },
    /// What a shard was made of has changed since.
    #[error("{address}: made of other pictures than these ({what}); --overwrite makes it anew")]
    Changed {
        /// Its receipt.
        address: String,
        /// What differs.
        what: String,
    },
    /// A table that its format cannot hold.
    #[error("{address}: cannot be written: {what}")]
    Table {
        /// The output.
        address: String,
        /// Why.
        what: String,
    },
    /// A request that cannot be meant.
    #[error("{0}")]
    Request(String),
    /// Something that cannot be.
    #[error("internal: {0}; please report it")]
    Internal(&'static str),
}

/// What to do about an answer of a store that does not say so itself.
fn hint(source: &object_store::Error) -> &'static str {
    let said = source.to_string();
    // Where no key is set, the machine's own service is asked for one, which only exists inside of a cloud.
    let asked_machine = said.contains("169.254.169.254") || said.contains("metadata.google.internal");
    match asked_machine {
        true => {
            "; no keys of the store are set in the environment (AWS_ACCESS_KEY_ID and the like, docs/extract.md)"
        }
        false => "",
    }
}

impl Error {
    /// For `map_err`: of a file of a store.
    pub(crate) fn store(address: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let address = address.into();
        move |source| Self::Store { address, source }
    }

    /// For `map_err`: of a file here.
    pub(crate) fn io(name: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.into();
        move |source| Self::Io { name, source }
    }
}
