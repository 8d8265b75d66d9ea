//! Models of others, as `zoo eval` and `zoo score` reach them.

use zoo_eval::run::{Endpoint, Key, Patience};
use zoo_hub::Settings;
use zoo_terminal::{CliError, Context};

use crate::told::{judged, plain};

/// The environment's settings, and whether sockets may be opened.
pub(super) fn settings(context: &Context<'_>) -> Result<Settings, CliError> {
    let settings = Settings::from_env().map_err(plain)?;
    Ok(Settings { offline: settings.offline || context.global.offline, ..settings })
}

/// What was typed of one.
pub(super) struct Typed<'a> {
    /// Its address.
    pub address: &'a str,
    /// What it calls the model.
    pub model: &'a str,
    /// The variable that holds its key.
    pub key_env: &'a str,
    pub patience: Patience,
    /// Questions that are under way at once.
    pub at_once: usize,
}

impl Typed<'_> {
    /// Opens no connection yet.
    pub fn open(&self, settings: &Settings) -> Result<Endpoint, CliError> {
        let key = Key(std::env::var(self.key_env).ok().filter(|key| !key.is_empty()));
        Endpoint::new(self.address, self.model, key, self.patience, self.at_once, settings).map_err(judged)
    }
}
