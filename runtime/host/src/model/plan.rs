//! How much memory a model needs, before anything is loaded.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use zoo_core::weights::TensorInfo;
use zoo_core::{LlmDescriptor, Precision, Quantisation};

use super::memory;
use super::parts::ModelParts;
use super::request::{EncoderMemory, MemoryPolicy, ModelRequest};
use crate::opening::Opening;
use crate::{HostError, Zoo};

/// Positions that a plan has room for, unless the language model has fewer: an image, a question and an answer.
const POSITIONS: usize = 2048;

/// What one part needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPart {
    /// Registry id or name.
    pub id: String,
    /// Its role: encoder, connector, language model.
    pub role: &'static str,
    /// Element type, or the quantisation of its matrices.
    pub dtype: String,
    /// Parameters.
    pub parameters: u64,
    /// Bytes of weights.
    pub weights: u64,
    /// Bytes that are needed besides while it works.
    pub activations: u64,
}

/// The memory that a model needs, by part, in bytes. Figures are computed from the shapes of all tensors, as the kernels
/// hold them; what the program itself and the file cache need is not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// The model.
    pub model: String,
    /// Encoders in tower order, the connector, the language model.
    pub parts: Vec<MemoryPart>,
    /// Positions that are planned for.
    pub positions: usize,
    /// KV cache of 1000 positions.
    pub cache_per_1000: u64,
    /// KV cache of [`MemoryPlan::positions`].
    pub cache: u64,
    /// The most that is needed at once with encoders that stay.
    pub resident: u64,
    /// The most that is needed at once when each encoder is dropped after it has looked.
    pub dropped: u64,
    /// What there is, where it is known or was stated.
    pub available: Option<u64>,
    /// Whether encoders will stay.
    pub keep_encoders: bool,
}

impl MemoryPlan {
    /// What will be needed at most.
    pub fn needed(&self) -> u64 {
        if self.keep_encoders { self.resident } else { self.dropped }
    }

    /// Whether there is enough.
    ///
    /// # Errors
    /// [`HostError::Memory`] with the figures and what would help.
    pub fn check(&self) -> Result<(), HostError> {
        let (needed, Some(available)) = (self.needed(), self.available) else { return Ok(()) };
        if needed <= available {
            return Ok(());
        }
        let llm = self.parts.last().map_or("", |part| part.dtype.as_str());
        let mut advice = Vec::new();
        if ["f32", "bf16", "f16"].contains(&llm) {
            advice.push("--quantise q4_k holds the language model in 4.5 bits per weight");
        }
        if self.parts.iter().any(|part| part.dtype == "f32") {
            advice.push("--dtype bf16 halves what is not quantised");
        }
        if self.keep_encoders && self.dropped < self.resident {
            advice.push("--drop-encoders loads each encoder only while it looks");
        }
        let advice = if advice.is_empty() { "a machine with more memory".into() } else { advice.join("; ") };
        Err(HostError::Memory(format!(
            "{}: {} of memory are needed at once and {} are available. What helps: {advice}\n{self}",
            self.model,
            gigabytes(needed),
            gigabytes(available),
        )))
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            let (name, weights, working) =
                (format!("{} {}", part.role, part.id), gigabytes(part.weights), gigabytes(part.activations));
            writeln!(f, "  {name:<42} {:<5} {weights:>9}  working {working:>9}", part.dtype)?;
        }
        let cache = format!("KV cache of {} positions", self.positions);
        let (bytes, each) = (gigabytes(self.cache), gigabytes(self.cache_per_1000));
        writeln!(f, "  {cache:<48} {bytes:>9}  per 1000 {each:>8}")?;
        let how =
            if self.keep_encoders { "encoders stay loaded" } else { "encoders are dropped after looking" };
        write!(f, "  {:<48} {:>9}", format!("at most at once ({how})"), gigabytes(self.needed()))?;
        match self.available {
            Some(available) => write!(f, "  available {:>7}", gigabytes(available)),
            None => Ok(()),
        }
    }
}

impl Zoo {
    /// What `request` would need, without loading anything.
    ///
    /// # Errors
    /// As [`Zoo::model`], except for weights that do not fit; too little memory is not an error here.
    pub fn plan_model(&self, request: &ModelRequest) -> Result<MemoryPlan, HostError> {
        plan(&self.parts(request)?, &request.memory)
    }
}

pub(super) fn plan(parts: &ModelParts, policy: &MemoryPolicy) -> Result<MemoryPlan, HostError> {
    let mut all = Vec::new();
    let (mut encoders, mut largest, mut working, mut features) = (0, 0, 0, 0);
    let (llm, inspection) = &parts.llm;
    let precision = llm.spec.precision;
    for (request, inspection) in &parts.encoders {
        let (count, weights) = plain(&inspection.tensors, precision);
        let activations = inspection.cost.activation_bytes;
        encoders += weights;
        largest = largest.max(weights + activations);
        working = working.max(activations);
        // Once as they were given, once as the connector projects them.
        features += 2 * (inspection.grid.cells() * inspection.channels) as u64 * 4;
        all.push(part(&request.id, "encoder", name(precision), count, weights, activations));
    }
    let mut connector = 0;
    if let Some((opening, inspection)) = &parts.connector {
        let (count, weights) = plain(&inspection.tensors, precision);
        connector = weights + features;
        all.push(part(&opening.spec.id, "connector", name(precision), count, weights, features));
    }
    let said: LlmDescriptor = inspection.descriptor()?;
    let positions = POSITIONS.min(said.max_positions);
    let llm = language_model(llm, &inspection.tensors, &said, positions)?;
    let cache = said.cache_bytes_per_position * positions as u64;
    let answering = connector + llm.weights + llm.activations + cache;
    let resident = encoders + answering.max(connector + llm.weights + working);
    let dropped = answering.max(connector + largest);
    all.push(llm);
    let available = policy.limit.or_else(memory::available);
    let keep_encoders = match policy.encoders {
        EncoderMemory::Resident => true,
        EncoderMemory::Dropped => false,
        EncoderMemory::Auto => available.is_none_or(|available| resident <= available),
    };
    Ok(MemoryPlan {
        model: parts.release.name.clone(),
        parts: all,
        positions,
        cache_per_1000: said.cache_bytes_per_position * 1000,
        cache,
        resident,
        dropped,
        available,
        keep_encoders,
    })
}

fn name(precision: Precision) -> String {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::F16 => "f16",
    }
    .to_owned()
}

fn part(
    id: &str,
    role: &'static str,
    dtype: String,
    parameters: u64,
    weights: u64,
    activations: u64,
) -> MemoryPart {
    MemoryPart { id: id.to_owned(), role, dtype, parameters, weights, activations }
}

/// Parameters, and the bytes that they take.
fn plain(tensors: &[TensorInfo], precision: Precision) -> (u64, u64) {
    let count = tensors.iter().map(|t| t.shape.iter().product::<usize>() as u64).sum();
    (count, tensors.iter().map(|t| precision.held(&t.shape)).sum())
}

fn language_model(
    opening: &Opening,
    tensors: &[TensorInfo],
    said: &LlmDescriptor,
    positions: usize,
) -> Result<MemoryPart, HostError> {
    let spec = &opening.spec;
    let (count, mut weights) = plain(tensors, spec.precision);
    let mut dtype = name(spec.precision);
    if let Some(file) = opening.options.weights.iter().find(|p| is_gguf(p)) {
        weights = std::fs::metadata(file).map_err(|e| HostError::io(file, "cannot be read", e))?.len();
        dtype = "gguf".into();
    } else if let Some(quantisation) = opening.options.quantise {
        weights = tensors.iter().map(|t| quantised(t, quantisation, spec.precision)).sum();
        // A head that is the embedding table is quantised beside it.
        let tied = !tensors.iter().any(|t| t.key.ends_with("lm_head.weight"));
        if tied && quantisation.fitting(said.hidden).is_some() {
            weights += quantisation.held(said.vocab, said.hidden, spec.precision);
        }
        dtype = quantisation.name().into();
    }
    // The states of one layer while a prompt is read: residual, norm, q, k, v, attention, gate and input.
    let inner = tensors.iter().flat_map(|t| t.shape.first()).filter(|n| **n != said.vocab).max();
    let activations = (positions * (6 * said.hidden + 2 * inner.copied().unwrap_or(0)) * 4) as u64;
    Ok(part(&spec.id, "language model", dtype, count, weights, activations))
}

/// Bytes of one tensor when matrices are quantised: those of the layers and of the head, not the embedding table.
fn quantised(tensor: &TensorInfo, quantisation: Quantisation, precision: Precision) -> u64 {
    match tensor.shape.as_slice() {
        [rows, inputs] if !tensor.key.ends_with("embed_tokens.weight") => {
            quantisation.held(*rows, *inputs, precision)
        }
        shape => precision.held(shape),
    }
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
}

fn gigabytes(bytes: u64) -> String {
    let gib = bytes as f64 / f64::from(1 << 30);
    if gib >= 0.095 { format!("{gib:.1} GiB") } else { format!("{:.1} MiB", gib * 1024.0) }
}
