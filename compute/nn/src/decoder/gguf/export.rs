//! Writing a decoder's checkpoint as a GGUF file that llama.cpp reads too.

use std::collections::BTreeMap;
use std::io::{self, Write};

use candle_core::DType;
use rayon::prelude::*;
use serde_json::{Map, Value as Json};
use zoo_core::weights::Checkpoint;
use zoo_core::weights::gguf::{GgufWriter, TensorKind, TensorPlan, Value};
use zoo_core::{Error, Quantisation, Result};
use zoo_kernels::Stored;

use super::{interleaved, key};
use crate::quantised::RowOrder;

/// Where a checkpoint keeps the language model.
const PREFIXES: [&str; 2] = ["", "language_model."];
const EMBEDDINGS: &str = "model.embed_tokens.weight";
/// Weights that are read, quantised and written at a time.
const CHUNK: usize = 4 << 20;

/// What a checkpoint is to become.
#[derive(Debug, Clone)]
pub struct ExportOptions<'a> {
    /// `general.architecture`, such as `llama`.
    pub architecture: &'a str,
    /// `general.name`.
    pub name: &'a str,
    /// Numbers of the decoder, with the keys of Hugging Face's `config.json`.
    pub arch: &'a Map<String, Json>,
    /// The format of the matrices.
    pub format: Quantisation,
}

/// A GGUF file to be: matrices quantised, embeddings as they are stored, norms and biases in single precision.
pub struct Export {
    files: Checkpoint,
    metadata: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

struct Tensor {
    plan: TensorPlan,
    /// Key in the checkpoint.
    key: String,
    order: RowOrder,
    /// Added to every number.
    offset: f32,
}

impl Export {
    /// Finds the tensors of the decoder among those of `files`, which are in the layout of Hugging Face.
    ///
    /// # Errors
    /// [`Error::File`] when they are not there or of a kind that the format does not know, [`Error::InvalidInput`] for
    /// numbers that are missing or have no equivalent.
    pub fn plan(files: &Checkpoint, options: &ExportOptions<'_>) -> Result<Self> {
        let prefix = PREFIXES.into_iter().find(|prefix| files.contains(&format!("{prefix}{EMBEDDINGS}")));
        let prefix = prefix.ok_or_else(|| {
            files
                .fault(format!("no language model in the layout of Hugging Face: there is no `{EMBEDDINGS}`"))
        })?;
        let numbers = Numbers(options.arch);
        let order = if interleaved(options.architecture) {
            RowOrder::Interleaved { channels: numbers.head_dim()? }
        } else {
            RowOrder::Same
        };
        let post_norms = files.keys().any(|key| key.contains(".pre_feedforward_layernorm."));
        let unit_offset = options.architecture.starts_with("gemma");
        let head = Head::of(options)?;
        let mut tensors = Vec::new();
        for stored in files.keys() {
            let Some(name) = stored.strip_prefix(prefix) else { continue };
            if head == Head::Table && name.starts_with("lm_head.") {
                continue;
            }
            let Some(to) = key(name, post_norms) else {
                if name.starts_with("model.layers.") && !name.ends_with(".rotary_emb.inv_freq") {
                    return Err(files.fault(format!("tensor `{stored}` has no place in a GGUF file")));
                }
                continue;
            };
            let shape = files.shape(stored).unwrap_or_default().to_vec();
            let rotary = name.contains(".q_proj.") || name.contains(".k_proj.");
            tensors.push(Tensor {
                plan: TensorPlan { name: to, kind: kind(files, stored, name, &shape, options.format), shape },
                key: stored.to_owned(),
                order: if rotary { order } else { RowOrder::Same },
                offset: if unit_offset && name.ends_with("norm.weight") { 1.0 } else { 0.0 },
            });
        }
        let table = format!("{prefix}{EMBEDDINGS}");
        let shape = files.shape(&table).unwrap_or_default().to_vec();
        if head == Head::Own && !tensors.iter().any(|t| t.plan.name == "output.weight") {
            // A tied head is multiplied by: a quantised copy of the table.
            let kind = kind(files, &table, "lm_head.weight", &shape, options.format);
            let plan = TensorPlan { name: "output.weight".to_owned(), shape: shape.clone(), kind };
            tensors.push(Tensor { plan, key: table, order: RowOrder::Same, offset: 0.0 });
        }
        tensors.sort_by_key(|t| place(&t.plan.name));
        let metadata = metadata(options, &numbers, shape.first().copied().unwrap_or(0))?;
        Ok(Self { files: files.clone(), metadata, tensors })
    }

    /// Weights in all.
    pub fn weights(&self) -> u64 {
        self.tensors.iter().map(|t| count(&t.plan) as u64).sum()
    }

    /// How many weights are stored in each format.
    pub fn formats(&self) -> BTreeMap<&'static str, u64> {
        let mut formats = BTreeMap::new();
        for Tensor { plan, .. } in &self.tensors {
            *formats.entry(plan.kind.name()).or_default() += count(plan) as u64;
        }
        formats
    }

    /// Writes the file, chunk by chunk: no tensor is held whole. `progress` is told how many weights were written and
    /// may end the writing by an error.
    ///
    /// # Errors
    /// Those of reading, of writing and of `progress`.
    pub fn write(&self, to: impl Write, mut progress: impl FnMut(u64) -> io::Result<()>) -> io::Result<()> {
        let plans: Vec<_> = self.tensors.iter().map(|t| t.plan.clone()).collect();
        let mut writer = GgufWriter::new(to, &self.metadata, &plans)?;
        for tensor in &self.tensors {
            let read = Reader::open(&self.files, tensor)?;
            let (height, width) = (read.height, read.width);
            let step = (CHUNK / width.max(1)).max(1);
            for first in (0..height).step_by(step) {
                let count = step.min(height - first);
                let mut values = vec![0f32; count * width];
                values.par_chunks_mut(width.max(1)).enumerate().for_each(|(i, row)| read.row(first + i, row));
                writer.write(&encode(tensor.plan.kind, &values, width))?;
                progress((count * width) as u64)?;
            }
        }
        writer.finish()?;
        Ok(())
    }
}

/// Where a file has the matrix of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// In a tensor of its own, whether it is tied or not.
    Own,
    /// In the embedding table: llama.cpp looks for no other in Gemma's files, and takes no file with a tensor that
    /// it did not look for.
    Table,
}

impl Head {
    fn of(options: &ExportOptions<'_>) -> Result<Self> {
        if !options.architecture.starts_with("gemma") {
            return Ok(Self::Own);
        }
        if options.arch.get("tie_word_embeddings").and_then(Json::as_bool) == Some(false) {
            return Err(Error::invalid(format!(
                "GGUF files of `{}` hold no head beside the embedding table, and this model has one \
                 (`tie_word_embeddings` is false); quantise at load instead",
                options.architecture
            )));
        }
        Ok(Self::Table)
    }
}

fn count(plan: &TensorPlan) -> usize {
    plan.shape.iter().product()
}

/// The order of tensors in a file: embeddings, layers by number, what follows them.
fn place(name: &str) -> (u8, usize, String) {
    let layer = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    match layer.and_then(|(number, part)| Some((number.parse().ok()?, part))) {
        Some((number, part)) => (1, number, part.to_owned()),
        None if name.starts_with("token_embd") => (0, 0, name.to_owned()),
        None => (2, 0, name.to_owned()),
    }
}

/// How a tensor is to be stored.
fn kind(files: &Checkpoint, key: &str, name: &str, shape: &[usize], format: Quantisation) -> TensorKind {
    let [_, inputs] = *shape else { return TensorKind::F32 };
    let fitting = if name == EMBEDDINGS { None } else { format.fitting(inputs) };
    fitting.map_or_else(
        || match files.rows(key).and_then(|rows| rows.stored()) {
            Some(Stored::Bf16) => TensorKind::BF16,
            Some(Stored::F16) => TensorKind::F16,
            Some(Stored::F32) | None => TensorKind::F32,
        },
        TensorKind::from,
    )
}

/// The rows of a tensor, in the order of the file.
struct Reader<'a> {
    source: Contents,
    tensor: &'a Tensor,
    height: usize,
    width: usize,
}

enum Contents {
    Rows(zoo_core::weights::Rows),
    Values(Vec<f32>),
}

impl<'a> Reader<'a> {
    fn open(files: &Checkpoint, tensor: &'a Tensor) -> io::Result<Self> {
        // A vector has rows of one number, so that its order can be changed as that of a matrix.
        let (height, width) = match tensor.plan.shape.as_slice() {
            [height, rest @ ..] => (*height, rest.iter().product()),
            [] => (1, 1),
        };
        let source = match files.rows(&tensor.key) {
            Some(rows) => Contents::Rows(rows),
            None => {
                let load = || -> Result<Vec<f32>> {
                    Ok(files.load(&tensor.key)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
                };
                Contents::Values(load().map_err(io::Error::other)?)
            }
        };
        Ok(Self { source, tensor, height, width })
    }

    fn row(&self, stored: usize, out: &mut [f32]) {
        let row = self.tensor.order.computed(stored);
        match &self.source {
            Contents::Rows(rows) => rows.read(row, out),
            Contents::Values(values) => out.copy_from_slice(&values[row * self.width..][..self.width]),
        }
        if self.tensor.offset != 0.0 {
            out.iter_mut().for_each(|x| *x += self.tensor.offset);
        }
    }
}

/// The bytes of rows.
fn encode(kind: TensorKind, values: &[f32], width: usize) -> Vec<u8> {
    if let Some(format) = Quantisation::ALL.into_iter().find(|&q| TensorKind::from(q) == kind) {
        let bytes = format.format().row_bytes(width).max(1);
        let mut blocks = vec![0; values.len() / width.max(1) * bytes];
        let rows = blocks.par_chunks_mut(bytes).zip(values.par_chunks(width.max(1)));
        rows.for_each(|(blocks, row)| format.format().encode(row, blocks));
        return blocks;
    }
    match kind {
        TensorKind::BF16 => values.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect(),
        TensorKind::F16 => values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// Numbers of a `config.json`.
struct Numbers<'a>(&'a Map<String, Json>);

impl Numbers<'_> {
    fn count(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    fn needed(&self, key: &str) -> Result<u64> {
        self.count(key).ok_or_else(|| Error::invalid(format!("the configuration lacks `{key}`")))
    }

    fn head_dim(&self) -> Result<usize> {
        let whole = self.needed("hidden_size")? / self.needed("num_attention_heads")?.max(1);
        Ok(self.count("head_dim").unwrap_or(whole) as usize)
    }
}

fn metadata(
    options: &ExportOptions<'_>,
    numbers: &Numbers<'_>,
    vocabulary: usize,
) -> Result<Vec<(String, Value)>> {
    let family = options.architecture;
    let heads = numbers.needed("num_attention_heads")?;
    let head_dim = numbers.head_dim()? as u64;
    let number = |key: &str| numbers.0.get(key).and_then(Json::as_f64);
    let epsilon = number("rms_norm_eps")
        .ok_or_else(|| Error::invalid("the configuration lacks `rms_norm_eps`".to_owned()))?;
    let text = |text: &str| Value::String(text.to_owned());
    // llama.cpp's numbers of mixtures that are mostly of one format.
    let file_type = match options.format {
        Quantisation::Q8_0 => 7,
        Quantisation::Q4K => 14,
        Quantisation::Q6K => 18,
    };
    let mut all = vec![
        ("general.architecture".to_owned(), text(family)),
        ("general.name".to_owned(), text(options.name)),
        ("general.file_type".to_owned(), Value::Unsigned(file_type)),
        ("general.quantization_version".to_owned(), Value::Unsigned(2)),
        // The tokenizer stays in its own file.
        ("tokenizer.ggml.model".to_owned(), text("no_vocab")),
    ];
    let mut put = |key: &str, value: Value| all.push((format!("{family}.{key}"), value));
    put("vocab_size", Value::Unsigned(vocabulary as u64));
    put("context_length", Value::Unsigned(numbers.needed("max_position_embeddings")?));
    put("embedding_length", Value::Unsigned(numbers.needed("hidden_size")?));
    put("block_count", Value::Unsigned(numbers.needed("num_hidden_layers")?));
    put("feed_forward_length", Value::Unsigned(numbers.needed("intermediate_size")?));
    put("attention.head_count", Value::Unsigned(heads));
    put("attention.head_count_kv", Value::Unsigned(numbers.count("num_key_value_heads").unwrap_or(heads)));
    put("attention.key_length", Value::Unsigned(head_dim));
    put("attention.value_length", Value::Unsigned(head_dim));
    put("attention.layer_norm_rms_epsilon", Value::Float(epsilon));
    let rotary = head_dim as f64 * number("partial_rotary_factor").unwrap_or(1.0);
    put("rope.dimension_count", Value::Unsigned(rotary as u64));
    put("rope.freq_base", Value::Float(number("rope_theta").unwrap_or(10_000.0)));
    if let Some(window) = numbers.count("sliding_window") {
        put("attention.sliding_window", Value::Unsigned(window));
    }
    for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if let Some(cap_at) = number(cap) {
            put(cap, Value::Float(cap_at));
        }
    }
    match numbers.0.get("rope_scaling").and_then(Json::as_object) {
        None => {}
        Some(scaling) => {
            let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Json::as_str);
            match (kind, scaling.get("factor").and_then(Json::as_f64)) {
                (Some("default"), _) => {}
                (Some("linear"), Some(factor)) => {
                    put("rope.scaling.type", text("linear"));
                    put("rope.scaling.factor", Value::Float(factor));
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "rotary positions stretched by `{}` are not written to GGUF files; quantise at load instead",
                        kind.unwrap_or("an unknown rule")
                    )));
                }
            }
        }
    }
    Ok(all)
}
