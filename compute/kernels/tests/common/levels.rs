//! The instruction levels that tests run at: what this machine lacks is said, and may be demanded.

use std::io::Write;
use std::sync::Once;

use super::Isa;

/// Levels that must be there: their names with commas between them, or `all`.
const REQUIRED: &str = "ZOO_REQUIRE_LEVELS";

/// The levels that this machine has. The others are named on standard error, once for each test program.
///
/// # Panics
/// When `ZOO_REQUIRE_LEVELS` names one that is not there.
pub fn levels() -> impl Iterator<Item = Isa> {
    static SAID: Once = Once::new();
    let best = Isa::detect();
    SAID.call_once(|| {
        for level in Isa::ALL.into_iter().filter(|&level| level > best) {
            let missing = level.missing().join(", ");
            // Past what the test runner captures.
            let _ =
                writeln!(std::io::stderr(), "not tested here: level {}, for want of {missing}", level.name());
        }
    });
    if let Err(message) = demanded(&std::env::var(REQUIRED).unwrap_or_default(), best) {
        panic!("{message}");
    }
    Isa::ALL.into_iter().filter(move |&level| level <= best)
}

/// Whether a machine with this highest level has all that a list names.
pub fn demanded(list: &str, best: Isa) -> Result<(), String> {
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let level = match name {
            "all" => Isa::ALL.into_iter().max(),
            name => Isa::ALL.into_iter().find(|level| level.name() == name),
        };
        let names = Isa::ALL.map(Isa::name).join(", ");
        let level = level.ok_or_else(|| format!("{REQUIRED}: no level `{name}`; there are all, {names}"))?;
        if level > best {
            let missing = level.missing().join(", ");
            return Err(format!("{REQUIRED} demands level {name}, but this machine lacks {missing}"));
        }
    }
    Ok(())
}
