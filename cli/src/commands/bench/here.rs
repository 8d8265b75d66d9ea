//! Measuring in this process, with the threads that it has.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use zoo_core::{CallContext, Precision};
use zoo_host::{EncoderRequest, EnsembleRequest, Eyes, EyesRequest, HostError, Zoo};
use zoo_measure::{Machine, memory, rounds};

use super::Measured;
use super::cell::{Cell, MemberTime};
use super::contestant::{Call, Work};
use crate::args::BenchArgs;
use zoo_terminal::{CliError, Context, interrupt};

/// A turn lasts at least this many seconds, so that short calls are timed more than once.
const TURN: f64 = 0.1;
/// Where random weights come from.
const SEED: u64 = 0;

/// One configuration, or a part of it by itself.
struct Contestant {
    /// Index of what looks.
    eyes: usize,
    /// Index of what its times belong to, and that of the part.
    cell: usize,
    part: Option<usize>,
    work: Work,
}

/// Everything that is measured here, opened.
#[derive(Default)]
struct Field {
    eyes: Vec<Eyes>,
    cells: Vec<Cell>,
    contestants: Vec<Contestant>,
}

/// Opens everything, and lets each configuration have its turn in every round. Ctrl-C ends it after the call that is
/// running, and leaves what was measured.
pub(super) fn measure(args: &BenchArgs, context: &Context<'_>) -> Result<Measured, CliError> {
    // A call that was cut short is no measurement.
    CallContext::new().scope(|| uncut(args, context))
}

fn uncut(args: &BenchArgs, context: &Context<'_>) -> Result<Measured, CliError> {
    let stop = interrupt::flag();
    let random = args.random_weights.then_some(SEED);
    let zoos = args.dtype.iter().map(|&dtype| Ok((dtype, context.measuring(dtype.into(), random)?)));
    // Opening one loads nothing; all at once, so that what they warn of is not written over the bar.
    let zoos = zoos.collect::<Result<Vec<_>, CliError>>()?;
    let Some((_, first)) = zoos.first() else { return Err(CliError::Usage("--dtype is empty".into())) };
    let progress = context.progress("bench", count(args, first)? * (args.rounds.get() as u64 + 1));
    let mut machine = Machine::new();
    let mut field = Field::default();
    for (dtype, zoo) in &zoos {
        let dtype = *dtype;
        let ids = args.encoder.iter().map(|id| (id, true)).chain(args.ensemble.iter().map(|id| (id, false)));
        for (id, encoder) in ids {
            progress.message(id);
            let before = field.contestants.len();
            field.open(zoo, args, id, encoder, (dtype.into(), machine.threads))?;
            progress.advance((field.contestants.len() - before) as u64);
            if stop.load(Ordering::Relaxed) {
                return Err(CliError::Failed("interrupted before anything was measured".into()));
            }
        }
    }

    let mut turn = 0;
    let contestants = field.contestants.len();
    let parts: Vec<RefCell<Vec<MemberTime>>> = field.cells.iter().map(|_| RefCell::default()).collect();
    let times = rounds(
        contestants,
        args.rounds.get(),
        TURN,
        |which| {
            let Call { seconds, parts: found, .. } = field.run(which)?;
            add(&mut parts[field.contestants[which].cell].borrow_mut(), found);
            Ok::<_, CliError>(seconds)
        },
        || {
            if turn % contestants == 0 {
                machine.measure();
            }
            if turn > 0 {
                progress.advance(1);
            }
            turn += 1;
            stop.load(Ordering::Relaxed)
        },
    )?;
    progress.finish();
    let mut cells = field.cells;
    cells.iter_mut().zip(parts).for_each(|(cell, parts)| cell.parts = parts.into_inner());
    for (Contestant { cell, part, .. }, seconds) in field.contestants.iter().zip(times) {
        match part {
            None => cells[*cell].seconds = seconds,
            Some(part) => {
                if let Some(part) = cells[*cell].parts.get_mut(*part) {
                    part.alone = seconds;
                }
            }
        }
    }
    Ok(Measured { machines: vec![machine], cells, interrupted: stop.load(Ordering::Relaxed) })
}

/// How many take turns: configurations, and the parts of ensembles.
fn count(args: &BenchArgs, zoo: &Zoo) -> Result<u64, CliError> {
    let parts = |id: &String| {
        let row = zoo.registry().ensemble(id)?;
        Ok::<_, HostError>(1 + row.members.len() + usize::from(row.connector.is_some()))
    };
    let ensembles = args.ensemble.iter().map(parts).sum::<Result<usize, _>>()?;
    let subjects = args.encoder.len() * args.resolution.len().max(1) + ensembles;
    Ok((args.dtype.len() * args.batch.len() * subjects) as u64)
}

/// Joins the parts of one more call to those of the calls before.
fn add(parts: &mut Vec<MemberTime>, found: Vec<MemberTime>) {
    if parts.is_empty() {
        *parts = found;
        return;
    }
    parts.iter_mut().zip(found).for_each(|(part, more)| part.seconds.extend(more.seconds));
}

impl Field {
    /// Opens an encoder or an ensemble, and runs each of its configurations for the first time.
    fn open(
        &mut self,
        zoo: &Zoo,
        args: &BenchArgs,
        id: &str,
        encoder: bool,
        (dtype, threads): (Precision, usize),
    ) -> Result<(), CliError> {
        let resident = memory::resident();
        memory::forget_peak();
        let begun = Instant::now();
        let eyes = open(zoo, args, id, encoder).map_err(explain)?;
        let load_seconds = begun.elapsed().as_secs_f64();
        let opening = memory::peak();
        let sides = match eyes.alone() {
            Some(encoder) if args.resolution.is_empty() => vec![Some(encoder.preprocess().size as usize)],
            Some(_) => args.resolution.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        self.eyes.push(eyes);
        let place = self.eyes.len() - 1;
        // What configurations before hold for the connector, and what is no part of the memory of this one.
        let mut kept = 0;
        for resolution in sides {
            for batch in args.batch.iter().map(|batch| batch.get()) {
                let (work, macs) = Work::of(&self.eyes[place], zoo.device(), resolution, batch)?;
                memory::forget_peak();
                let first = work.run(&self.eyes[place])?;
                // An `Option` that is none is the smallest, so both must be there.
                let peak_memory = opening
                    .zip(memory::peak())
                    .zip(resident)
                    .map(|((a, b), r)| a.max(b.saturating_sub(kept)).saturating_sub(r));
                kept += first.kept();
                let parts = match &work {
                    Work::Photos(photos) => Work::parts(&self.eyes[place], photos, first.members),
                    _ => Vec::new(),
                };
                let cell = self.cells.len();
                let contestant = |(part, work)| Contestant { eyes: place, cell, part, work };
                let parts = parts.into_iter().enumerate().map(|(index, work)| (Some(index), work));
                self.contestants.extend(std::iter::once((None, work)).chain(parts).map(contestant));
                self.cells.push(Cell {
                    id: self.eyes[place].id().to_owned(),
                    dtype,
                    threads,
                    resolution,
                    batch,
                    untrained: self.eyes[place].untrained(),
                    macs,
                    load_seconds,
                    first_seconds: first.seconds,
                    peak_memory,
                    seconds: Vec::new(),
                    parts: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// One call.
    fn run(&self, which: usize) -> Result<Call, CliError> {
        let Contestant { eyes, work, .. } = &self.contestants[which];
        work.run(&self.eyes[*eyes])
    }
}

fn open(zoo: &Zoo, args: &BenchArgs, id: &str, encoder: bool) -> Result<Eyes, HostError> {
    let weights = args.weights.clone();
    zoo.eyes(&match encoder {
        true => EyesRequest::Encoder(EncoderRequest { weights, ..EncoderRequest::new(id) }),
        false => EyesRequest::Ensemble(EnsembleRequest { weights, ..EnsembleRequest::new(id) }),
    })
}

/// Weights that are not here need not be downloaded to be measured.
fn explain(error: HostError) -> CliError {
    match error {
        HostError::WeightsMissing(message) => {
            CliError::Failed(format!("{message}; or measure it with --random-weights"))
        }
        error => error.into(),
    }
}
