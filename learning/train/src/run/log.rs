//! What is said of a run while it goes on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zoo_data::Flaw;

use crate::{Error, Result};

/// Its name in the folder of a run.
const NAME: &str = "log.jsonl";

/// One step: a line of `log.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Vec::is_empty", skip_deserializing)]
    pub skipped: Vec<Flaw>,
    /// Seconds that it took.
    pub seconds: f64,
    /// When it was done, in seconds since 1970.
    pub time: f64,
    /// Steps of the whole run.
    pub steps: usize,
}

/// The time, as [`Step::time`].
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
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
    /// What the log of the run in `out` says of steps up to `step`, line by line; nothing where there is none.
    pub fn read(out: &Path, step: usize) -> Vec<(String, Step)> {
        let Ok(file) = File::open(out.join(NAME)) else { return Vec::new() };
        let line = |line: std::io::Result<String>| {
            let line = line.ok()?;
            let found: Step = serde_json::from_str(&line).ok()?;
            (found.step <= step).then_some((line, found))
        };
        BufReader::new(file).lines().map_while(line).collect()
    }

    /// Opens the log of the run in `out`, which says `before` so far and nothing else.
    pub fn open(out: &Path, before: &[(String, Step)]) -> Result<Self> {
        let path = out.join(NAME);
        let write = || {
            let mut file = File::create(&path)?;
            for (line, _) in before {
                writeln!(file, "{line}")?;
            }
            Ok(file)
        };
        Ok(Self(write().map_err(Error::io(&path, "cannot write"))?))
    }

    pub fn line(&mut self, out: &Path, step: &Step) -> Result<()> {
        let text = serde_json::to_string(step).map_err(|e| Error::Internal(e.to_string()))?;
        writeln!(self.0, "{text}").map_err(Error::io(&out.join(NAME), "cannot write"))
    }
}
