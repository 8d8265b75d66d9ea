//! From what was named to shards: the units of work, of which each has one output.
//!
//! An archive (`.tar`, `.parquet`, …) is a shard. Loose pictures are cut into shards of equal length, in an order that
//! is the same on every machine. A plan reads no picture.

use std::path::Path;

use sha2::{Digest, Sha256};
use zoo_core::path_text;
use zoo_pipeline::find::{Contents, Passed, find, has_image_name};
use zoo_records::Form;

use crate::error::{Error, Result};
use crate::store::{Entry, Store, Stores, remote};

/// How what was named is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Loose pictures in a shard.
    pub rows: usize,
}

impl Default for Reach {
    fn default() -> Self {
        Self { rows: 10_000 }
    }
}

/// A loose picture.
#[derive(Debug, Clone)]
pub struct Loose {
    /// Its name in the output: the path below what was named.
    pub key: String,
    /// Where it is.
    pub entry: Entry,
}

/// What a shard is made of.
#[derive(Debug, Clone)]
pub enum Parts {
    /// Pictures that are files of their own.
    Pictures(Store, Vec<Loose>),
    /// A table or an archive.
    Archive(Store, Entry),
}

/// A unit of work.
#[derive(Debug, Clone)]
pub struct Shard {
    /// Its place among all.
    pub number: usize,
    /// Its name: that of its output, without an extension.
    pub name: String,
    /// What it is made of.
    pub parts: Parts,
}

impl Shard {
    /// What went in, in one number: names, lengths and versions, not contents.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        let mut add = |name: &str, entry: &Entry| {
            digest.update(format!("{name}\0{}\0{}\n", entry.size, entry.version));
        };
        match &self.parts {
            Parts::Pictures(_, pictures) => pictures.iter().for_each(|one| add(&one.key, &one.entry)),
            Parts::Archive(_, entry) => add(&base_name(&entry.address), entry),
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How many pictures it has, where that can be said without opening it.
    pub fn pictures(&self) -> Option<usize> {
        match &self.parts {
            Parts::Pictures(_, pictures) => Some(pictures.len()),
            Parts::Archive(..) => None,
        }
    }

    /// Bytes that it takes to read.
    pub fn bytes(&self) -> u64 {
        match &self.parts {
            Parts::Pictures(_, pictures) => pictures.iter().map(|one| one.entry.size).sum(),
            Parts::Archive(_, entry) => entry.size,
        }
    }
}

/// All shards, and what was passed over.
#[derive(Debug, Default)]
pub struct Plan {
    /// In order.
    pub shards: Vec<Shard>,
    /// Files that are neither pictures nor archives, one entry per reason.
    pub passed: Vec<Passed>,
}

/// Makes shards of what `sources` name: files, folders, patterns, and the same below a store's address.
///
/// # Errors
/// A name that leads to nothing; a store that does not answer; nothing to do at all.
pub fn plan(stores: &Stores, sources: &[String], reach: Reach) -> Result<Plan> {
    let mut planner = Planner { plan: Plan::default(), loose: None, reach };
    for source in sources {
        match remote(source) {
            Some(_) => planner.stored(&stores.open(source)?, source)?,
            None => planner.local(stores, source)?,
        }
    }
    planner.flush();
    if planner.plan.shards.is_empty() {
        return Err(Error::Request(
            "nothing that was named holds a picture or an archive of pictures".into(),
        ));
    }
    Ok(planner.plan)
}

struct Planner {
    plan: Plan,
    /// Pictures that wait to be enough for a shard, all of one store.
    loose: Option<(Store, Vec<Loose>)>,
    reach: Reach,
}

impl Planner {
    fn flush(&mut self) {
        let Some((store, pictures)) = self.loose.take() else { return };
        for part in pictures.chunks(self.reach.rows.max(1)) {
            self.push("pictures", Parts::Pictures(store.clone(), part.to_vec()));
        }
    }

    fn push(&mut self, name: &str, parts: Parts) {
        let number = self.plan.shards.len();
        self.plan.shards.push(Shard { number, name: format!("{number:05}-{name}"), parts });
    }

    fn archive(&mut self, store: &Store, entry: Entry) {
        self.flush();
        let name = base_name(&entry.address);
        let stem = name.split('.').next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let stem: String = stem.chars().map(plain).take(80).collect();
        self.push(&stem, Parts::Archive(store.clone(), entry));
    }

    fn picture(&mut self, store: &Store, picture: Loose) {
        let same = |(before, _): &(Store, Vec<Loose>)| before.address("") == store.address("");
        if !self.loose.as_ref().is_some_and(same) {
            self.flush();
        }
        self.loose.get_or_insert_with(|| (store.clone(), Vec::new())).1.push(picture);
    }

    fn stored(&mut self, store: &Store, source: &str) -> Result<()> {
        let entries = match store.itself()? {
            Some(entry) => vec![entry],
            None => store.list()?,
        };
        let before = (self.plan.shards.len(), self.loose.as_ref().map_or(0, |(_, loose)| loose.len()));
        for entry in entries {
            if is_archive(&entry.address) {
                self.archive(store, entry);
            } else if has_image_name(Path::new(&entry.address)) {
                let below = entry.address.strip_prefix(&store.address("")).unwrap_or(&entry.address);
                let key = match below.trim_start_matches('/') {
                    "" => base_name(&entry.address),
                    below => below.to_owned(),
                };
                self.picture(store, Loose { key, entry });
            }
        }
        if before == (self.plan.shards.len(), self.loose.as_ref().map_or(0, |(_, loose)| loose.len())) {
            let what = "there is neither a picture nor an archive of this name or below it".to_owned();
            return Err(Error::Address { address: source.to_owned(), what });
        }
        Ok(())
    }

    fn local(&mut self, stores: &Stores, source: &str) -> Result<()> {
        let path = Path::new(source);
        let mut archives = Vec::new();
        if path.is_file() && is_archive(source) {
            archives.push(path.to_path_buf());
        } else if path.is_dir() {
            let walk = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name();
            let files = walk.into_iter().flatten().filter(|entry| entry.file_type().is_file());
            archives
                .extend(files.map(walkdir::DirEntry::into_path).filter(|path| is_archive(&path_text(path))));
        }
        for archive in &archives {
            let store = stores.open(&path_text(archive))?;
            let entry = store.itself()?.ok_or_else(|| gone(&path_text(archive)))?;
            self.archive(&store, entry);
        }
        if path.is_file() && !archives.is_empty() {
            return Ok(());
        }
        let found = find(&[source]);
        self.plan.passed.extend(found.passed.into_iter().filter_map(|mut passed| {
            passed.paths.retain(|path| !is_archive(&path_text(path)));
            (!passed.paths.is_empty()).then_some(passed)
        }));
        if let Some(failure) = found.failures.into_iter().find(|_| archives.is_empty()) {
            let zoo_pipeline::Error::Find(what) = failure.error else {
                return Err(Error::Internal("a search that failed otherwise than by finding nothing"));
            };
            return Err(Error::Find { name: failure.input, source: what });
        }
        let store = stores.open(".")?;
        for input in found.inputs {
            let name = path_text(&input.path).into_owned();
            if input.contents != Contents::Image || name == "-" {
                let what = "only pictures and archives of pictures can be cut into shards".to_owned();
                return Err(Error::Address { address: name, what });
            }
            let metadata = input.path.metadata().map_err(Error::io(&name))?;
            let changed =
                metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            let version = changed.map_or_else(String::new, |time| time.as_micros().to_string());
            let absolute = std::path::absolute(&input.path).map_err(Error::io(&name))?;
            let path = object_store::path::Path::from_absolute_path(absolute)
                .map_err(|error| Error::Address { address: name.clone(), what: error.to_string() })?;
            let key = path_text(&input.name).into_owned();
            self.picture(
                &store,
                Loose { key, entry: Entry { address: name, path, size: metadata.len(), version } },
            );
        }
        Ok(())
    }
}

fn gone(address: &str) -> Error {
    Error::Address { address: address.to_owned(), what: "it is gone".to_owned() }
}

fn is_archive(address: &str) -> bool {
    let name = base_name(address).to_lowercase();
    Form::of(Path::new(&name)).is_some()
}

fn base_name(address: &str) -> String {
    address.trim_end_matches('/').rsplit('/').next().unwrap_or(address).to_owned()
}
