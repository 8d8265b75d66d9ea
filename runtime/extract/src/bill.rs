//! What an extraction would cost, before anything is spent.

use std::time::Instant;

use zoo_host::Zoo;
use zoo_pipeline::look::Look as _;
use zoo_pipeline::read::{Position, Work, read};
use zoo_pipeline::{Metadata, Reading};

use crate::error::Result;
use crate::fetch::fetch;
use crate::look::Lookers;
use crate::plan::plan;
use crate::request::Request;
use crate::run::open_out;
use crate::store::Stores;
use crate::table::Layout;

/// Pictures that are measured.
const MEASURED: usize = 32;

/// The bill.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Shards, of which `--shard` leaves so many.
    pub shards: usize,
    /// Pictures in them; of archives that were not opened, as many for each byte as in the first one.
    pub pictures: usize,
    /// Whether that number is an estimate.
    pub estimated: bool,
    /// Bytes to read.
    pub bytes_in: u64,
    /// Bytes of numbers to write; what is beside them comes on top.
    pub bytes_out: u64,
    /// Pictures a second, decoding and computing, on some of the first shard.
    pub rate: f64,
    /// How many pictures that was measured on.
    pub measured: usize,
    /// Of those, how many could not be used.
    pub failures: usize,
}

impl Bill {
    /// How long it would take at this rate.
    pub fn hours(&self) -> f64 {
        self.pictures as f64 / self.rate.max(1e-9) / 3600.0
    }
}

/// Plans, looks at a few pictures, and writes nothing.
///
/// # Errors
/// As [`crate::run()`], for the first shard.
pub fn bill(zoo: &Zoo, encoders: Vec<zoo_host::EyesRequest>, request: &Request) -> Result<Bill> {
    let stores = Stores::new(request.patience)?;
    open_out(&stores, request)?;
    let plan = plan(&stores, &request.sources, request.reach)?;
    request.columns.fit(&plan)?;
    let looking = Lookers::open(zoo, encoders, request.keep, request.unit)?;
    let tensors = looking.probe()?.tensors.into_iter().map(|rows| (rows.name, rows.shape)).collect();
    let (format, element, kept) = (request.format, request.element, Vec::new());
    let layout = Layout { format, element, tensors, kept, metadata: Metadata::new() };
    let mine: Vec<_> = plan.shards.iter().filter(|shard| request.share.has(shard)).collect();
    let mut out = Bill {
        shards: mine.len(),
        pictures: 0,
        estimated: false,
        bytes_in: mine.iter().map(|shard| shard.bytes()).sum(),
        bytes_out: 0,
        rate: 0.0,
        measured: 0,
        failures: 0,
    };
    let Some(first) = mine.first() else { return Ok(out) };
    let fetched = fetch(first, &request.columns)?;
    let density = fetched.inputs.len() as f64 / first.bytes().max(1) as f64;
    for shard in &mine {
        out.pictures += match shard.pictures() {
            Some(pictures) => pictures,
            None if shard.number == first.number => fetched.inputs.len(),
            None => {
                out.estimated = true;
                (shard.bytes() as f64 * density).round() as usize
            }
        };
    }
    out.bytes_out = out.pictures as u64 * layout.row_bytes() as u64;
    let inputs = fetched.inputs.get(..MEASURED).unwrap_or(&fetched.inputs);
    let reading = Reading::new(request.batch, request.threads, looking.decode_options(&request.decode));
    let begun = Instant::now();
    read(&fetched, inputs, &reading, Position::default(), |work| {
        match work {
            Work::Bad(..) => out.failures += 1,
            Work::Batch(batch) => {
                let rows = batch.items().len();
                match looking.look(&batch, &|_| {}) {
                    Ok(_) => out.measured += rows,
                    Err(_) => out.failures += rows,
                }
            }
        }
        std::ops::ControlFlow::Continue(())
    });
    out.rate = out.measured as f64 / begun.elapsed().as_secs_f64().max(1e-9);
    Ok(out)
}
