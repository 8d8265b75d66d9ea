//! Measuring in this process, with the threads that it has.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use candle_core::{Device, Tensor};
use zoo_core::{ImageBatch, Origin, Precision};
use zoo_host::{EncoderRequest, EncoderSession, EnsembleRequest, EnsembleSession, HostError, Zoo};
use zoo_measure::{Machine, memory, rounds};
use zoo_preprocess::{Decoded, Format, RgbImage};

use super::Measured;
use super::cell::{Cell, Part};
use crate::args::BenchArgs;
use crate::context::Context;
use crate::interrupt;
use crate::report::CliError;

/// A turn lasts at least this many seconds, so that short calls are timed more than once.
const TURN: f64 = 0.1;
/// Where random weights come from.
const SEED: u64 = 0;
/// Width and height of the photos that ensembles look at.
const PHOTO: (u32, u32) = (640, 480);

/// Something opened.
enum Session {
    Encoder(EncoderSession),
    Ensemble(EnsembleSession),
}

/// What it is given.
enum Input {
    Pixels(ImageBatch),
    Photos(Vec<Decoded>),
}

/// One configuration.
struct Contestant {
    /// Index of its session.
    session: usize,
    input: Input,
    cell: Cell,
}

/// Everything that is measured here, opened.
#[derive(Default)]
struct Field {
    sessions: Vec<Session>,
    contestants: Vec<Contestant>,
}

/// Opens everything, and lets each configuration have its turn in every round. Ctrl-C ends it after the call that is
/// running, and leaves what was measured.
pub(super) fn measure(args: &BenchArgs, context: &Context<'_>) -> Result<Measured, CliError> {
    let stop = interrupt::flag();
    let subjects = args.encoder.len() + args.ensemble.len();
    let count = args.dtype.len() * subjects * args.batch.len() * args.resolution.len().max(1);
    let progress = context.progress("bench", (count * (args.rounds.get() + 1)) as u64);
    let mut machine = Machine::new();
    let mut field = Field::default();
    for &dtype in &args.dtype {
        let zoo = context.measuring(dtype.into(), args.random_weights.then_some(SEED))?;
        let ids = args.encoder.iter().map(|id| (id, true)).chain(args.ensemble.iter().map(|id| (id, false)));
        for (id, encoder) in ids {
            progress.message(id);
            let before = field.contestants.len();
            field.open(&zoo, args, id, encoder, (dtype.into(), machine.threads))?;
            progress.advance((field.contestants.len() - before) as u64);
            if stop.load(Ordering::Relaxed) {
                return Err(CliError::Failed("interrupted before anything was measured".into()));
            }
        }
    }

    let mut turn = 0;
    let names: Vec<String> = field.contestants.iter().map(|c| c.cell.id.clone()).collect();
    let parts: Vec<RefCell<Vec<Part>>> = names.iter().map(|_| RefCell::default()).collect();
    let times = rounds(
        names.len(),
        args.rounds.get(),
        TURN,
        |which| {
            let (seconds, found) = field.run(which)?;
            add(&mut parts[which].borrow_mut(), found);
            Ok::<_, CliError>(seconds)
        },
        || {
            if turn % names.len() == 0 {
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
    let cells = field
        .contestants
        .into_iter()
        .zip(times)
        .zip(parts)
        .map(|((contestant, seconds), parts)| Cell { seconds, parts: parts.into_inner(), ..contestant.cell });
    Ok(Measured {
        machines: vec![machine],
        cells: cells.collect(),
        interrupted: stop.load(Ordering::Relaxed),
    })
}

/// Joins the parts of one more call to those of the calls before.
fn add(parts: &mut Vec<Part>, found: Vec<Part>) {
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
        let session = open(zoo, args, id, encoder).map_err(explain)?;
        let load_seconds = begun.elapsed().as_secs_f64();
        let opening = memory::peak();
        let sides = match &session {
            Session::Encoder(session) if args.resolution.is_empty() => {
                vec![Some(session.preprocess().size as usize)]
            }
            Session::Encoder(_) => args.resolution.iter().copied().map(Some).collect(),
            Session::Ensemble(_) => vec![None],
        };
        self.sessions.push(session);
        for resolution in sides {
            for batch in args.batch.iter().map(|batch| batch.get()) {
                let session = self.sessions.len() - 1;
                let (input, macs) = self.sessions[session].input(zoo.device(), resolution, batch)?;
                let cell = Cell {
                    id: self.sessions[session].id().to_owned(),
                    dtype,
                    threads,
                    resolution,
                    batch,
                    untrained: self.sessions[session].untrained(),
                    macs,
                    load_seconds,
                    first_seconds: 0.0,
                    peak_memory: None,
                    seconds: Vec::new(),
                    parts: Vec::new(),
                };
                self.contestants.push(Contestant { session, input, cell });
                memory::forget_peak();
                let which = self.contestants.len() - 1;
                let (first, _) = self.run(which)?;
                let cell = &mut self.contestants[which].cell;
                cell.first_seconds = first;
                // An `Option` that is none is the smallest, so both must be there.
                cell.peak_memory =
                    opening.zip(memory::peak()).zip(resident).map(|((a, b), r)| a.max(b).saturating_sub(r));
            }
        }
        Ok(())
    }

    /// One call: its seconds, and those of its parts.
    fn run(&self, which: usize) -> Result<(f64, Vec<Part>), CliError> {
        let contestant = &self.contestants[which];
        let begun = Instant::now();
        match (&self.sessions[contestant.session], &contestant.input) {
            (Session::Encoder(session), Input::Pixels(batch)) => {
                session.encode(batch)?;
                Ok((begun.elapsed().as_secs_f64(), Vec::new()))
            }
            (Session::Ensemble(session), Input::Photos(photos)) => {
                let marks = RefCell::new(Vec::new());
                session
                    .encode(photos, &|part| marks.borrow_mut().push((part.to_owned(), begun.elapsed())))?;
                let end = begun.elapsed();
                let marks = marks.into_inner();
                let ends = marks.iter().skip(1).map(|(_, at)| *at).chain([end]);
                let parts = marks.iter().zip(ends).enumerate().map(|(index, ((id, at), next))| Part {
                    id: id.clone(),
                    macs: session.members().get(index).map_or(0, |m| m.cost(photos.len()).macs),
                    seconds: vec![next.saturating_sub(*at).as_secs_f64()],
                });
                Ok((end.as_secs_f64(), parts.collect()))
            }
            _ => Err(HostError::Internal("a configuration without its input".into()).into()),
        }
    }
}

fn open(zoo: &Zoo, args: &BenchArgs, id: &str, encoder: bool) -> Result<Session, HostError> {
    let weights = args.weights.clone();
    if encoder {
        let request = EncoderRequest { weights, ..EncoderRequest::new(id) };
        return Ok(Session::Encoder(zoo.encoder(&request)?));
    }
    let request = EnsembleRequest { weights, features_only: false };
    Ok(Session::Ensemble(zoo.ensemble(id, &request)?))
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

impl Session {
    fn id(&self) -> &str {
        match self {
            Self::Encoder(session) => session.id(),
            Self::Ensemble(session) => session.id(),
        }
    }

    fn untrained(&self) -> bool {
        match self {
            Self::Encoder(session) => session.untrained(),
            Self::Ensemble(session) => session.untrained(),
        }
    }

    /// Something to look at, and the multiply-accumulates of doing so.
    fn input(
        &self,
        device: &Device,
        resolution: Option<usize>,
        batch: usize,
    ) -> Result<(Input, u64), CliError> {
        match (self, resolution) {
            (Self::Encoder(session), Some(side)) => {
                // Says which sizes would be legal.
                session.descriptor().grid(0, side, side).map_err(HostError::from)?;
                let pixels =
                    Tensor::randn(0f32, 1.0, (batch, 3, side, side), device).map_err(HostError::from)?;
                let size = (side as u32, side as u32);
                let origins =
                    (0..batch).map(|image| Origin { image, size, crop: None, padded: false }).collect();
                let pixels = ImageBatch::new(pixels, origins).map_err(HostError::from)?;
                Ok((Input::Pixels(pixels), session.encoder().cost(batch, side, side).macs))
            }
            (Self::Ensemble(session), None) => {
                let macs = session.members().iter().map(|member| member.cost(batch).macs).sum();
                Ok((Input::Photos((0..batch as u32).map(photo).collect()), macs))
            }
            _ => Err(HostError::Internal("an input of another kind".into()).into()),
        }
    }
}

/// A picture with structure at several scales.
fn photo(number: u32) -> Decoded {
    let image = RgbImage::from_fn(PHOTO.0, PHOTO.1, |x, y| {
        let value = |k: u32| ((x * k + y * (number + 3)) ^ (x * y / (k + 7))) as u8;
        image::Rgb([value(1), value(2), value(5)])
    });
    Decoded { image, format: Format::Png, notes: Vec::new() }
}
