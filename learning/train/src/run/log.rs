//! What is said of a run while it goes on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use zoo_data::Flaw;

use crate::{Error, Result};

/// Its name in the folder of a run.
const NAME: &str = "log.jsonl";

/// One step: a line of `log.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its number, from 1.
    pub step: usize,
    /// Mean loss of the batches of this step, in nats per trained token; absent where nothing was trained.
    pub loss: Option<f64>,
    /// Norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// The rate of each group.
    pub rates: BTreeMap<String, f64>,
    /// Samples of this step.
    pub samples: usize,
    /// Positions of the language model, images included.
    pub tokens: usize,
    /// Positions whose token was trained.
    pub trained_tokens: usize,
    /// Samples that lost their end.
    pub cut: usize,
    /// Samples that were left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Flaw>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Steps of the whole run.
    pub steps: usize,
}

/// Follows a run. All methods have defaults.
pub trait Watch {
    /// A step is done.
    fn step(&mut self, step: &Step) {
        let _ = step;
    }
    /// A checkpoint was written, and the model folder with it.
    fn saved(&mut self, step: usize, out: &Path) {
        let _ = (step, out);
    }
}

/// Nobody follows.
impl Watch for () {}

/// The file.
pub(super) struct Log(File);

impl Log {
    /// Opens the log of the run in `out`, without what it says of steps after `step`.
    pub fn open(out: &Path, step: usize) -> Result<Self> {
        let path = out.join(NAME);
        let kept = match File::open(&path) {
            Ok(file) => BufReader::new(file)
                .lines()
                .map_while(|line| line.ok().filter(|line| before(line, step)))
                .collect(),
            Err(_) => Vec::new(),
        };
        let write = || {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
            for line in kept {
                writeln!(file, "{line}")?;
            }
            Ok(file)
        };
        write().map(Self).map_err(Error::io(&path, "cannot write"))
    }

    pub fn line(&mut self, out: &Path, step: &Step) -> Result<()> {
        let text = serde_json::to_string(step).map_err(|e| Error::Internal(e.to_string()))?;
        writeln!(self.0, "{text}").map_err(Error::io(&out.join(NAME), "cannot write"))
    }
}

fn before(line: &str, step: usize) -> bool {
    let value: Option<Value> = serde_json::from_str(line).ok();
    value.and_then(|value| value.get("step")?.as_u64()).is_some_and(|at| at <= step as u64)
}
