//! The benchmarks of the paper as task files, and finding a task by its name.

use std::path::Path;

use super::Task;
use crate::{Error, Result};

macro_rules! tasks {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../tasks/", $name, ".toml")))),*] };
}

/// Name and text of each, in the order of the paper's tables; those that are in none come last.
const SHIPPED: &[(&str, &str)] = tasks![
    "mme",
    "mmbench-en",
    "seed-i",
    "gqa",
    "scienceqa-i",
    "mmmu-v",
    "mathvista",
    "ai2d",
    "chartqa",
    "ocrbench",
    "textvqa",
    "docvqa",
    "mmvp",
    "realworldqa",
    "cv-bench",
    "mmbench-cn",
    "vizwiz",
    "vizwiz-test",
    "pope",
    "infovqa",
    "st-vqa",
    "mmstar",
    "q-bench",
    "blink",
    "v-star",
    "ade",
    "coco",
    "omni",
    "synthdog-en",
    "mm-vet",
    "shapes",
];

/// The names of the embedded tasks.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// An embedded task.
///
/// # Errors
/// [`Error::NoTask`] with what is near.
pub fn shipped(name: &str) -> Result<Task> {
    match SHIPPED.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Task::parse(&format!("{name}.toml"), (*text).to_owned()),
        None => {
            let near = zoo_registry::suggestion(name, "there are", names()).unwrap_or_default();
            let end = if near.ends_with('?') { "" } else { "." };
            let hint =
                format!("; {near}{end} A task of your own is a file: give its path, or put it into `tasks/`");
            Err(Error::NoTask { name: name.to_owned(), hint })
        }
    }
}

/// The task that `name` means: a file, `tasks/NAME.toml` in `folder`, or an embedded one.
///
/// # Errors
/// [`Error::NoTask`]; those of [`Task::open`].
pub fn find(name: &str, folder: &Path) -> Result<Task> {
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") {
        return Task::open(path);
    }
    let own = folder.join("tasks").join(format!("{name}.toml"));
    if own.is_file() { Task::open(&own) } else { shipped(name) }
}
