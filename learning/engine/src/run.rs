//! All stages, one after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde_json::Value;

use crate::ask::Asker;
use crate::net::Net;
use crate::pages::{Dump, Folder, Link, MediaWiki, Page, Source, Taken};
use crate::plan::{Pages, Plan};
use crate::{Error, Result, fields, stages};

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// The data set: conversations as LLaVA writes them, images below the same folder.
    pub data: PathBuf,
    /// Its records.
    pub records: u64,
    /// Answers that the judge dropped.
    pub dropped: u64,
    /// Requests to the model, of all runs in this folder.
    pub requests: u64,
    /// Tokens of them.
    pub tokens: u64,
    /// What failed in this run, by stage: how many, and the first of them. The next run tries them again.
    pub failed: BTreeMap<String, (u64, String)>,
    /// Why the run ended before its end, if it did: the budget.
    pub ended: Option<String>,
}

/// Who watches: stage, things that it is done with, all of them.
pub type Watch<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// A run in its folder.
pub struct Engine {
    plan: Plan,
    fields: Vec<fields::Field>,
    source: Box<dyn Source>,
}

impl Engine {
    /// Reads what the plan names on this machine. No socket is opened.
    ///
    /// # Errors
    /// Fields, dumps or folders that cannot be used; a plan that needs the network where it is forbidden.
    pub fn open(plan: Plan) -> Result<Self> {
        let fields = fields::fields(&plan.fields)?;
        let url = &plan.model.url;
        if plan.manners.settings.offline {
            return Err(Error::Offline(format!("the model at {url}")));
        }
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let why = "an address begins with http:// or https://".to_owned();
            return Err(Error::Remote { url: url.clone(), why });
        }
        let source: Box<dyn Source> = match &plan.pages {
            Pages::MediaWiki(api) => Box::new(MediaWiki::new(api)),
            Pages::Dump(paths) => Box::new(Dump::open(paths)?),
            Pages::Folder(root) => Box::new(Folder::open(root)?),
        };
        Ok(Self { plan, fields, source })
    }

    /// Makes what is not made yet. What fails for one thing leaves it out; what was made stays whatever happens.
    ///
    /// # Errors
    /// [`Error::Stopped`]; files that cannot be read or written. A budget that is used up is no error: the data set is
    /// written from what there is, and [`Made::ended`] says so.
    pub fn run(&mut self, watch: Watch<'_>, stop: &AtomicBool) -> Result<Made> {
        std::fs::create_dir_all(&self.plan.out)
            .map_err(Error::io(&self.plan.out, "cannot make the folder"))?;
        let (plan, fields) = (&self.plan, &self.fields);
        let mut run = Run {
            plan,
            net: Net::new(&plan.manners, stop)?,
            asker: Asker::new(&plan.model, plan.budget, plan.manners.per_minute, &plan.out)?,
            source: &mut *self.source,
            watch,
            failed: BTreeMap::new(),
        };
        let mut stages = || {
            stages::topics(&mut run, fields)?;
            stages::links(&mut run, fields)?;
            stages::pages(&mut run, fields)?;
            stages::pictures(&mut run)?;
            stages::answers(&mut run)?;
            if plan.judge {
                stages::judge(&mut run)?;
            }
            Ok(())
        };
        let ended = match stages() {
            Ok(()) => None,
            Err(error @ Error::Budget { .. }) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let (records, dropped) = stages::export(&mut run)?;
        let used = run.asker.used();
        let (requests, tokens) = (used.requests, used.tokens);
        let data = plan.out.join("data.jsonl");
        Ok(Made { data, records, dropped, requests, tokens, failed: run.failed, ended })
    }
}

/// What stages work with.
pub(crate) struct Run<'a> {
    pub plan: &'a Plan,
    net: Net<'a>,
    asker: Asker<'a>,
    source: &'a mut dyn Source,
    watch: Watch<'a>,
    failed: BTreeMap<String, (u64, String)>,
}

impl Run<'_> {
    pub fn out(&self) -> &Path {
        &self.plan.out
    }

    /// Does `one` for each thing. What fails for one is noted.
    pub fn each<T>(
        &mut self,
        stage: &str,
        things: &[T],
        mut one: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        for (done, thing) in things.iter().enumerate() {
            (self.watch)(stage, done as u64, things.len() as u64);
            match one(self, thing) {
                Ok(()) => {}
                Err(error) if error.is_of_one() => {
                    let failed =
                        self.failed.entry(stage.to_owned()).or_insert_with(|| (0, error.to_string()));
                    failed.0 += 1;
                }
                Err(error) => return Err(error),
            }
        }
        (self.watch)(stage, things.len() as u64, things.len() as u64);
        Ok(())
    }

    /// The files of a stage, in the order of their names.
    pub fn made(&self, stage: &str) -> Result<Vec<PathBuf>> {
        let folder = self.out().join(stage);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&folder, "cannot read the folder")(error)),
        };
        let mut out = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io(&folder, "cannot read the folder"))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                out.push(path);
            }
        }
        out.sort();
        Ok(out)
    }

    pub fn ask_json(&mut self, system: &str, user: &str) -> Result<Value> {
        self.asker.ask_json(&mut self.net, system, user)
    }

    /// An answer of the model that is of no use.
    pub fn unusable(&self, why: &str) -> Error {
        Error::Remote { url: self.plan.model.url.clone(), why: why.to_owned() }
    }

    pub fn find(&mut self, topic: &str) -> Result<Vec<Link>> {
        self.source.find(&mut self.net, topic, self.plan.pages_per_topic)
    }

    pub fn page(&mut self, link: &Link) -> Result<Page> {
        self.source.page(&mut self.net, link)
    }

    pub fn picture(&mut self, link: &Link, url: &str) -> Result<Taken> {
        self.source.picture(&mut self.net, link, url)
    }
}
