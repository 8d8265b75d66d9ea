//! What a terminal is asked to show.

use std::env::var_os;

/// Whether messages may have colour: unless somebody asked for plain text (<https://no-color.org>), or the terminal can
/// show nothing else.
pub(crate) fn colour() -> bool {
    var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !dumb()
}

/// Whether the terminal says of itself that it shows lines and nothing else: no colour, no bar that moves.
pub(crate) fn dumb() -> bool {
    var_os("TERM").is_some_and(|term| term == "dumb")
}
