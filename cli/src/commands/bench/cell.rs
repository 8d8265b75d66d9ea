//! What was measured of one configuration, and what follows from it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zoo_core::Precision;
use zoo_measure::{Machine, Peak, Speed, Summary};

/// One configuration: a line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Registry id.
    pub id: String,
    /// Element type.
    pub dtype: Precision,
    /// Threads that compute.
    pub threads: usize,
    /// Side of the image in pixels; none for an ensemble, whose members have their own.
    pub resolution: Option<usize>,
    /// Images per call.
    pub batch: usize,
    /// Whether any weights are random numbers.
    pub untrained: bool,
    /// Multiply-accumulates of one call; of an ensemble those of its encoders.
    pub macs: u64,
    /// Seconds that opening took.
    pub load_seconds: f64,
    /// Seconds of the first call, which may pack weights and allocate.
    pub first_seconds: f64,
    /// Bytes that opening and the first call added at most to what was resident, where the system tells.
    pub peak_memory: Option<u64>,
    /// One call, by round.
    pub seconds: Vec<f64>,
    /// The parts of an ensemble in their order.
    pub parts: Vec<MemberTime>,
}

/// A part of an ensemble: an encoder with the preparation of its pixels, or the connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberTime {
    /// Registry id.
    pub id: String,
    /// Multiply-accumulates of one call; zero for a connector, which does not say.
    pub macs: u64,
    /// One call, by call.
    pub seconds: Vec<f64>,
    /// One call of this part by itself, by round.
    #[serde(default)]
    pub alone: Vec<f64>,
}

impl Cell {
    /// Its speed, on this machine. None before the first round.
    pub fn speed(&self, machine: &Machine) -> Option<Speed> {
        Speed::of(&self.seconds, self.batch, self.macs, self.peak(machine))
    }

    /// The speed of one of its parts.
    pub fn part_speed(&self, part: &MemberTime, machine: &Machine) -> Option<Speed> {
        Speed::of(&part.seconds, self.batch, part.macs, self.peak(machine))
    }

    /// Seconds that its parts take by themselves, added up, by round. None for what has no parts.
    pub fn parts_alone(&self) -> Vec<f64> {
        let rounds = self.parts.iter().map(|part| part.alone.len()).min().unwrap_or(0);
        (0..rounds).map(|round| self.parts.iter().map(|part| part.alone[round]).sum()).collect()
    }

    /// What it takes more than its parts by themselves in the same round, as a share of those.
    pub fn overhead(&self) -> Option<Summary> {
        let shares = self.seconds.iter().zip(self.parts_alone()).map(|(whole, parts)| whole / parts - 1.0);
        Summary::of(&shares.collect::<Vec<_>>())
    }

    /// The document of this cell: what was measured, and what follows.
    pub fn json(&self, machine: &Machine) -> Value {
        let mut out = json!(self);
        if let Some(speed) = self.speed(machine) {
            out["images_per_second"] = json!(speed.images);
            out["milliseconds_per_image"] = speed.milliseconds.into();
            out["gmacs_per_second"] = json!(speed.gmacs);
            out["gflops_per_second"] = json!(speed.gflops);
            out["share_of_instruction_peak"] = json!(speed.of_instructions);
            out["share_of_product_peak"] = json!(speed.of_product);
        }
        if let Some(overhead) = self.overhead() {
            out["parts_alone_seconds"] = json!(self.parts_alone());
            out["overhead"] = json!(overhead);
        }
        out
    }

    /// The machine's peak for this element type and number of threads. There are no kernels for f16.
    fn peak(&self, machine: &Machine) -> Option<Peak> {
        (machine.threads == self.threads).then_some(())?;
        match self.dtype {
            Precision::F32 => Some(machine.f32),
            Precision::Bf16 => Some(machine.bf16),
            Precision::F16 => None,
        }
    }
}

#[cfg(test)]
impl Cell {
    /// One that took `seconds`, for tests.
    pub(super) fn timed(id: &str, seconds: &[f64]) -> Self {
        Self {
            id: id.into(),
            dtype: Precision::F32,
            threads: 1,
            resolution: None,
            batch: 1,
            untrained: false,
            macs: 0,
            load_seconds: 0.0,
            first_seconds: 0.0,
            peak_memory: None,
            seconds: seconds.to_vec(),
            parts: Vec::new(),
        }
    }
}
