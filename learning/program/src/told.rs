//! Errors of the libraries, as the edge shows them.

use zoo_host::HostError;
use zoo_terminal::CliError;

/// What training has to say.
pub(crate) fn trained(error: zoo_train::Error) -> CliError {
    match error {
        // Shown in its place, as those of a registry.
        zoo_train::Error::Recipe(problems) => CliError::Host(HostError::Registry(problems)),
        zoo_train::Error::Host(error) => CliError::Host(error),
        other => CliError::Failed(other.to_string()),
    }
}

/// What judging has to say.
pub(crate) fn judged(error: zoo_eval::Error) -> CliError {
    match error {
        zoo_eval::Error::Task(problems) => CliError::Host(HostError::Registry(problems)),
        zoo_eval::Error::Host(error) => CliError::Host(error),
        zoo_eval::Error::Hub(error) => CliError::Host(HostError::Hub(error)),
        other => CliError::Failed(other.to_string()),
    }
}

/// An error whose message is all that there is to say.
pub(crate) fn plain(error: impl std::error::Error) -> CliError {
    CliError::Failed(error.to_string())
}
