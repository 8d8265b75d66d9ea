//! What is asked for: by the filter on the command line, and by `ZOO_BENCH` beyond what always runs: names with commas
//! between them, each a table ([`TABLES`]), an encoder of the registry or a connector of it.

use zoo_registry::{ConnectorRow, Registry, Selection};

/// Tables of docs/performance.md.
const TABLES: [&str; 2] = ["kernels", "loading"];

/// What the names of groups begin with, for each function that runs some.
const GROUPS: [&[&str]; 7] = [
    &["preprocess"],
    &["kernels"],
    &["attention"],
    &["encode"],
    &["sva"],
    &["read", "prefill", "decode"],
    &["boundary"],
];

/// Whether the filter may ask for a group of `name`'s function. criterion itself filters after a group has opened
/// everything that it measures, and a language model is not opened in no time.
pub fn group(name: &str) -> bool {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    // `preprocess/decode` is a name of the first group, not of the one that begins with `decode`.
    let first = filter.split('/').next().unwrap_or_default();
    let asks = |group: &&&[&str]| group.iter().any(|name| first.contains(name));
    let mut asked = GROUPS.iter().filter(asks).peekable();
    asked.peek().is_none() && filter != NOTHING || asked.any(|group| group.contains(&name))
}

/// The filter for tables alone.
const NOTHING: &str = "none";

fn names() -> Vec<String> {
    let asked = std::env::var("ZOO_BENCH").unwrap_or_default();
    asked.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether a table is wanted.
pub fn table(name: &str) -> bool {
    names().iter().any(|asked| asked == name)
}

/// The connectors of the plugin that are named.
pub fn connectors<'a>(registry: &'a Registry, plugin: &str) -> Vec<&'a ConnectorRow> {
    let own = |name: &String| registry.connectors().find(|row| row.id == *name && row.plugin == plugin);
    names().iter().filter_map(own).collect()
}

/// The encoders that are named.
///
/// # Panics
/// When something is named that is nothing at all.
pub fn encoders(registry: &Registry) -> Vec<Selection<'_>> {
    let other = |name: &str| TABLES.contains(&name) || registry.connectors().any(|row| row.id == name);
    let encoders = names().into_iter().filter(|name| !other(name));
    encoders.map(|name| registry.select(&name).unwrap_or_else(|e| panic!("ZOO_BENCH: {e}"))).collect()
}
