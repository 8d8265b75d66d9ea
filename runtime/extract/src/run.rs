//! Drives shards: whose turn, fetched ahead, computed, kept, done.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zoo_host::Zoo;
use zoo_pipeline::look::pixel_record;
use zoo_pipeline::read::Item;
use zoo_pipeline::write::Setting;
use zoo_pipeline::{Control, End, Failure, Metadata, Reading, run_from};
use zoo_preprocess::DecodeOptions;

use crate::claim::{Attempt, Claim, Claims};
use crate::error::{Error, Result};
use crate::fetch::{Columns, Fetched, fetch};
use crate::look::{Keep, Lookers};
use crate::plan::{Plan, Reach, Shard, plan};
use crate::receipt::{Output, Receipt, State};
use crate::store::{Store, Stores};
use crate::table::{Element, Format, Layout, TableSink};

/// Which shards are this worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All.
    All,
    /// Every `of`-th, from `part` on, which counts from 0.
    Part {
        /// Which.
        part: usize,
        /// Of how many.
        of: usize,
    },
    /// Those that nobody else has, until all are done ([`crate::claim`]).
    Claims {
        /// How long a claim that does not change is believed.
        lease: Duration,
    },
}

/// What becomes of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Shards that are done stay; what was made in another way is an error.
    Continue,
    /// All is made anew.
    Replace,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Pictures and archives, by path or address.
    pub sources: Vec<String>,
    /// Where outputs go: a folder, or a prefix of a store.
    pub out: String,
    /// How sources are cut.
    pub reach: Reach,
    /// Which columns of tables and archives mean what.
    pub columns: Columns,
    /// What is kept of the encoders' output.
    pub keep: Keep,
    /// Vectors are scaled to length 1.
    pub unit: bool,
    /// The form of outputs.
    pub format: Format,
    /// Their element type.
    pub element: Element,
    /// Pictures in a call.
    pub batch: usize,
    /// Threads that decode.
    pub threads: usize,
    /// How pictures are decoded.
    pub decode: DecodeOptions,
    /// Which shards are ours.
    pub share: Share,
    /// What becomes of what is there.
    pub existing: Existing,
    /// How long failing calls of stores are repeated.
    pub patience: Duration,
}

impl Request {
    /// Mean vectors in f16, in Parquet.
    pub fn new(sources: Vec<String>, out: impl Into<String>) -> Self {
        Self {
            sources,
            out: out.into(),
            reach: Reach::default(),
            columns: Columns::default(),
            keep: Keep::Mean,
            unit: false,
            format: Format::Parquet,
            element: Element::F16,
            batch: 8,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            decode: DecodeOptions::default(),
            share: Share::All,
            existing: Existing::Continue,
            patience: Duration::from_secs(180),
        }
    }
}

/// What a caller wants to hear. Everything is heard on the thread that called [`run()`].
pub trait Watch {
    /// There are so many shards, of which so many were done before.
    fn planned(&self, _plan: &Plan, _done: usize) {}
    /// A shard begins.
    fn begun(&self, _shard: &Shard, _pictures: usize) {}
    /// So many pictures more are dealt with.
    fn pictures(&self, _count: u64) {}
    /// A picture is a row with an error.
    fn failed(&self, _failure: &Failure) {}
    /// A shard is done.
    fn done(&self, _shard: &Shard) {}
    /// A shard could not be made, while others may.
    fn lost(&self, _shard: &Shard, _error: &Error) {}
    /// All that is left is being made by others.
    fn waiting(&self, _left: usize) {}
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {}

/// What a run did.
#[derive(Debug, Default)]
pub struct Done {
    /// Shards of the plan.
    pub shards: usize,
    /// Those that this run made.
    pub made: usize,
    /// Those that were done before, or by others.
    pub before: usize,
    /// Those that could not be made, and why.
    pub lost: Vec<(String, Error)>,
    /// Rows written.
    pub rows: usize,
    /// Rows written that hold an error.
    pub failures: usize,
    /// Share of the time for which the encoders computed; the rest they waited for pictures or for the output.
    pub busy: f64,
    /// Pictures a second, over all.
    pub rate: f64,
    /// Whether it was asked to stop before its end.
    pub stopped: bool,
}

/// Extracts.
///
/// # Errors
/// What concerns all shards. One shard that cannot be read is told in [`Done::lost`], and the others go on.
pub fn run(
    zoo: &Zoo,
    encoders: Vec<zoo_host::EyesRequest>,
    request: &Request,
    watch: &dyn Watch,
    cancel: &AtomicBool,
) -> Result<Done> {
    let stores = Stores::new(request.patience)?;
    let out = stores.open(&request.out)?;
    let plan = plan(&stores, &request.sources, request.reach)?;
    let looking = Lookers::open(zoo, encoders, request.keep, request.unit)?;
    let decode = looking.decode_options(&request.decode);
    let setting = setting(zoo, &looking, request, &decode);
    settle(&out, &setting, request.existing)?;
    let layout = layout(&looking, request, &setting)?;
    let reading = Reading::new(request.batch, request.threads, decode);
    let shards = Shards { out: &out, fingerprint: setting.fingerprint(), request, cancel };
    Run { plan: &plan, shards, looking: &looking, layout: &layout, reading, watch }.all()
}

/// Everything that decides the numbers and the form in which they are kept.
fn setting(zoo: &Zoo, looking: &Lookers<'_>, request: &Request, decode: &DecodeOptions) -> Setting {
    let mut identity = looking.identity();
    identity.insert("element".into(), json!(format!("{:?}", request.element)));
    identity.insert("format".into(), json!(format!("{:?}", request.format)));
    identity.insert(
        "columns".into(),
        json!([request.columns.picture, request.columns.key, request.columns.kept]),
    );
    let mut common = zoo_pipeline::look::run_record(zoo);
    common.extend(pixel_record(decode));
    Setting::new(identity, common)
}

/// The name of the file that says how a folder of outputs is made.
const SETTING: &str = "extract.json";

/// Holds the output's setting against ours, or writes ours.
fn settle(out: &Store, setting: &Setting, existing: Existing) -> Result<()> {
    let ours = json!({ "fingerprint": setting.fingerprint(), "identity": setting.identity() });
    let bytes = || serde_json::to_vec_pretty(&ours).map_err(|_| Error::Internal("a setting is no JSON"));
    if existing == Existing::Replace {
        return out.put(SETTING, bytes()?);
    }
    let there = match out.get(SETTING)? {
        None if out.create(SETTING, bytes()?)? => return Ok(()),
        None => out.get(SETTING)?,
        there => there,
    };
    let there = there.and_then(|(bytes, _)| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default();
    if there["fingerprint"] == ours["fingerprint"] {
        return Ok(());
    }
    let (empty, before) = (serde_json::Map::new(), there["identity"].as_object());
    let (before, now) = (before.unwrap_or(&empty), setting.identity());
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let keys: Vec<&str> =
        keys.into_iter().filter(|key| before.get(*key) != now.get(*key)).map(String::as_str).collect();
    let what = if keys.is_empty() { "its setting cannot be read".to_owned() } else { keys.join(", ") };
    Err(Error::Other { address: out.address(SETTING), what })
}

fn layout(looking: &Lookers<'_>, request: &Request, setting: &Setting) -> Result<Layout> {
    let probe = looking.probe()?;
    let tensors = probe.tensors.into_iter().map(|rows| (rows.name, rows.shape)).collect();
    let mut metadata: Metadata = setting.common.clone();
    metadata.insert("encoders".into(), probe.record.into());
    metadata.insert("kept".into(), request.keep.name().into());
    metadata.insert("untrained".into(), looking.untrained().into());
    let kept = request.columns.kept.clone();
    Ok(Layout { format: request.format, element: request.element, tensors, kept, metadata })
}

/// A shard that is ready to be computed.
struct Ready<'p> {
    shard: &'p Shard,
    fetched: Result<Fetched>,
    /// Kept alive until the shard is done.
    _claim: Option<Claim>,
}

/// What the thread that fetches has to say.
enum Next<'p> {
    Ready(Box<Ready<'p>>),
    Waiting(usize),
    Failed(Error),
}

/// Whose turn it is, seen from the thread that fetches.
#[derive(Clone, Copy)]
struct Shards<'r> {
    out: &'r Store,
    fingerprint: &'r str,
    request: &'r Request,
    cancel: &'r AtomicBool,
}

struct Run<'r> {
    plan: &'r Plan,
    shards: Shards<'r>,
    looking: &'r Lookers<'r>,
    layout: &'r Layout,
    reading: Reading,
    watch: &'r dyn Watch,
}

impl<'r> Shards<'r> {
    fn is_mine(&self, shard: &Shard) -> bool {
        match self.request.share {
            Share::Part { part, of } => shard.number % of.max(1) == part,
            Share::All | Share::Claims { .. } => true,
        }
    }

    fn is_open(&self, shard: &Shard) -> Result<bool> {
        if self.request.existing == Existing::Replace {
            return Ok(true);
        }
        Ok(matches!(Receipt::read(self.out, shard, self.fingerprint)?, State::Open))
    }

    fn is_over(&self, over: &AtomicBool) -> bool {
        over.load(Ordering::Relaxed) || self.cancel.load(Ordering::Relaxed)
    }

    /// Hands over shard after shard, until all are done or nobody takes them any more.
    fn fetch_all<'p>(&'p self, open: Vec<&'p Shard>, over: &AtomicBool, hand: &dyn Fn(Next<'p>) -> bool) {
        let ready = |shard, claim| {
            let fetched = fetch(shard, &self.request.columns);
            hand(Next::Ready(Box::new(Ready { shard, fetched, _claim: claim })))
        };
        let Share::Claims { lease } = self.request.share else {
            let _ = open.into_iter().all(|shard| !self.is_over(over) && ready(shard, None));
            return;
        };
        let (mut claims, mut left) = (Claims::new(self.out.clone(), lease), open);
        while !left.is_empty() && !self.is_over(over) {
            let (mut theirs, mut taken) = (Vec::new(), false);
            for shard in std::mem::take(&mut left) {
                if self.is_over(over) {
                    return;
                }
                match self.claim(&mut claims, shard) {
                    Ok(Some(Attempt::Ours(claim))) => {
                        taken = true;
                        if !ready(shard, Some(claim)) {
                            return;
                        }
                    }
                    Ok(Some(Attempt::Theirs)) => theirs.push(shard),
                    Ok(None) => {
                        // Its owner may have died between the receipt and giving the claim back.
                        claims.forget(shard);
                        taken = true;
                    }
                    Err(error) => {
                        hand(Next::Failed(error));
                        return;
                    }
                }
            }
            left = theirs;
            if !left.is_empty() && !taken {
                if !hand(Next::Waiting(left.len())) {
                    return;
                }
                std::thread::sleep(claims.pause().min(Duration::from_secs(5)));
            }
        }
    }

    /// Tries to take a shard; nothing if it is done by now.
    fn claim(&self, claims: &mut Claims, shard: &Shard) -> Result<Option<Attempt>> {
        let replace = self.request.existing == Existing::Replace;
        if !replace && !self.is_open(shard)? {
            return Ok(None);
        }
        let attempt = claims.attempt(shard)?;
        // Its owner may have ended between the two looks.
        if matches!(attempt, Attempt::Ours(_)) && !replace && !self.is_open(shard)? {
            return Ok(None);
        }
        Ok(Some(attempt))
    }
}

impl Run<'_> {
    fn all(&self) -> Result<Done> {
        let begun = Instant::now();
        let mine: Vec<&Shard> = self.plan.shards.iter().filter(|shard| self.shards.is_mine(shard)).collect();
        let mut open = Vec::new();
        for shard in &mine {
            if self.shards.is_open(shard)? {
                open.push(*shard);
            }
        }
        let mut done = Done { shards: mine.len(), before: mine.len() - open.len(), ..Done::default() };
        self.watch.planned(self.plan, done.before);
        let over = AtomicBool::new(false);
        let ended = std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(0);
            let (shards, over) = (&self.shards, &over);
            scope.spawn(move || shards.fetch_all(open, over, &|next| sender.send(next).is_ok()));
            let mut ended = Ok(());
            while let Ok(next) = receiver.recv() {
                match next {
                    Next::Waiting(left) => self.watch.waiting(left),
                    Next::Failed(error) => ended = Err(error),
                    Next::Ready(ready) => match self.make(*ready, &mut done) {
                        Ok(true) => continue,
                        Ok(false) => done.stopped = true,
                        Err(error) => ended = Err(error),
                    },
                }
                if ended.is_err() || done.stopped {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
            // Whoever fetches and cannot hand over ends then.
            drop(receiver);
            ended
        });
        self.shards.out.tidy();
        ended?;
        done.stopped |= self.shards.cancel.load(Ordering::Relaxed);
        if !done.stopped {
            done.before = done.shards - done.made - done.lost.len();
        }
        let seconds = begun.elapsed().as_secs_f64().max(1e-9);
        done.busy = self.looking.busy().as_secs_f64() / seconds;
        done.rate = done.rows as f64 / seconds;
        Ok(done)
    }

    /// Computes and keeps a shard; whether to go on.
    fn make(&self, ready: Ready<'_>, done: &mut Done) -> Result<bool> {
        let shard = ready.shard;
        let fetched = match ready.fetched {
            Ok(fetched) => fetched,
            Err(error @ (Error::Request(_) | Error::Io { .. } | Error::Internal(_))) => return Err(error),
            Err(error) => {
                self.watch.lost(shard, &error);
                done.lost.push((shard.name.clone(), error));
                return Ok(true);
            }
        };
        self.watch.begun(shard, fetched.inputs.len());
        let scratch = self.shards.out.scratch();
        let mut sink = TableSink::new(self.layout, &shard.name, &fetched.lines, &scratch)?;
        let control = Control { watch: &Heard(self.watch), cancel: self.shards.cancel };
        let outcome = run_from(&fetched, &fetched.inputs, &self.reading, self.looking, &mut sink, &control);
        match outcome.end {
            End::Complete => {}
            End::Cancelled => return Ok(false),
            End::Stopped(error) => {
                let address = self.shards.out.address(&shard.name);
                return Err(Error::Table { address, what: error.to_string() });
            }
        }
        let (rows, failures) = sink.counts();
        let mut outputs = Vec::new();
        for (name, file) in sink.finish()? {
            let (bytes, sha256) = digest(file.path()).map_err(Error::io(self.shards.out.address(&name)))?;
            self.shards.out.put_file(&name, file)?;
            outputs.push(Output { name, bytes, sha256 });
        }
        let receipt = Receipt::new(shard, self.shards.fingerprint, rows, failures, outputs);
        receipt.write(self.shards.out, shard)?;
        (done.rows, done.failures, done.made) = (done.rows + rows, done.failures + failures, done.made + 1);
        self.watch.done(shard);
        Ok(true)
    }
}

/// Hands on what the pipeline tells.
struct Heard<'w>(&'w dyn Watch);

impl zoo_pipeline::Watch for Heard<'_> {
    fn failed(&self, failure: &Failure) {
        self.0.failed(failure);
    }

    fn kept(&self, _: &Item) {}

    fn done(&self, inputs: u64) {
        self.0.pictures(inputs);
    }
}

fn digest(path: &std::path::Path) -> std::io::Result<(u64, String)> {
    let mut digest = Sha256::new();
    let (mut file, mut buffer, mut bytes) = (std::fs::File::open(path)?, vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => {
                digest.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
    Ok((bytes, digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
