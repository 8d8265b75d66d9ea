//! Drives shards: fetched ahead, computed, kept, done.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use sha2::{Digest, Sha256};
use zoo_host::Zoo;
use zoo_pipeline::read::Item;
use zoo_pipeline::{Control, End, Failure, Reading, run_from};

use crate::error::{Error, Result};
use crate::look::Lookers;
use crate::plan::{Plan, Shard, plan};
use crate::receipt::{Output, Receipt};
use crate::request::{Done, Request, Watch};
use crate::setting::{layout, setting, settle};
use crate::store::{Store, Stores};
use crate::table::{Layout, TableSink};
use crate::turns::{Next, Ready, Shards};

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
    let out = open_out(&stores, request)?;
    let plan = plan(&stores, &request.sources, request.reach)?;
    request.columns.fit(&plan)?;
    let looking = Lookers::open(zoo, encoders, request.keep, request.unit)?;
    let decode = looking.decode_options(&request.decode);
    let setting = setting(zoo, &looking, request, &decode);
    settle(&out, &setting, request.existing)?;
    let layout = layout(&looking, request, &setting)?;
    let reading = Reading::new(request.batch, request.threads, decode);
    let shards = Shards { out: &out, fingerprint: setting.fingerprint(), request, cancel };
    Run { plan: &plan, shards, looking: &looking, layout: &layout, reading, watch }.all()
}

/// Where outputs go.
///
/// # Errors
/// A file where a folder is needed; an address that cannot be reached.
pub(crate) fn open_out(stores: &Stores, request: &Request) -> Result<Store> {
    let out = stores.open(&request.out)?;
    let there = out.folder().and_then(|folder| folder.ancestors().find(|part| part.exists()));
    match there.filter(|part| !part.is_dir()) {
        Some(file) => Err(Error::Address {
            address: request.out.clone(),
            what: format!("outputs go into a folder, and {} is a file", file.display()),
        }),
        None => Ok(out),
    }
}

struct Run<'r> {
    plan: &'r Plan,
    shards: Shards<'r>,
    looking: &'r Lookers<'r>,
    layout: &'r Layout,
    reading: Reading,
    watch: &'r dyn Watch,
}

impl Run<'_> {
    fn all(&self) -> Result<Done> {
        // What was computed before, to see the shape of rows, is no part of the run.
        let (begun, before) = (Instant::now(), self.looking.busy());
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
        done.busy = (self.looking.busy() - before).as_secs_f64() / seconds;
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
