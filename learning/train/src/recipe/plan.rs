//! What a recipe says, as it is written, with the defaults of what it leaves out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;
use zoo_core::Precision;

/// What stands in a recipe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingPlan {
    /// Registry id or model folder from which the run starts.
    pub model: Spanned<String>,
    /// The folder that the run makes; a model folder itself once something was saved.
    pub out: PathBuf,
    /// Conversation template in place of the model's.
    pub template: Option<String>,
    /// `new` for a connector from nothing, or a file of a connector that was trained before.
    pub connector: Option<String>,
    /// `new` for a language model from nothing, of the numbers and with the tokenizer of `model`.
    pub llm: Option<New>,
    /// Patterns of the published keys that are trained; `*` stands for any text.
    pub train: Spanned<Vec<Spanned<String>>>,
    /// Patterns of those that are not trained nevertheless.
    #[serde(default)]
    pub freeze: Vec<Spanned<String>>,
    /// Patterns of the keys of encoders that are trained, `model.vision_tower_aux_list.K.vision_tower.` and the published
    /// key, `K` counting encoders from 0. Without any, encoders look and do not learn.
    #[serde(default)]
    pub unfreeze: Vec<Spanned<String>>,
    /// Low-rank differences to the language model.
    pub lora: Option<Lora>,
    /// Element type of weights and activations. Whatever is trained also has an f32 copy.
    #[serde(default)]
    pub precision: Precision,
    /// Whether the inside of each block of encoders and language model is computed a second time for its gradient, and not
    /// kept: less memory for more time.
    #[serde(default)]
    pub recompute: bool,
    /// Decides the order of the data and how new parts begin.
    #[serde(default)]
    pub seed: u64,
    /// Steps of the optimiser; or `epochs`.
    pub steps: Option<Spanned<usize>>,
    /// Times that all data are seen; or `steps`.
    pub epochs: Option<Spanned<usize>>,
    /// Longest sequence with its image; `batch.long` says what becomes of longer ones.
    #[serde(default = "length")]
    pub max_length: usize,
    /// The data.
    pub data: Vec<DataRow>,
    /// A folder in which to keep what the encoders saw, so that each image is looked at once.
    pub features: Option<PathBuf>,
    /// How samples become batches.
    #[serde(default)]
    pub batch: Batch,
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// Parts with a rate of their own.
    #[serde(default)]
    pub group: Vec<GroupRow>,
    /// How rates change.
    #[serde(default)]
    pub schedule: Schedule,
    /// What is kept.
    #[serde(default)]
    pub checkpoints: Checkpoints,
    /// When a run is given up.
    #[serde(default)]
    pub stop: Stop,
}

/// A source of samples.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRow {
    /// Conversations, as [`zoo_data::DataSource::records`].
    pub records: Spanned<PathBuf>,
    /// As [`zoo_data::DataSource::images`]; the recipe's own folder where it is absent.
    pub images: Option<Spanned<PathBuf>>,
    /// How often each of its samples comes in an epoch, on average.
    #[serde(default = "once")]
    pub weight: Spanned<f64>,
}

/// When a run is given up, besides where a loss or a gradient is no number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// Where a loss is worse than guessing, and this many times the mean of the steps before; 0 for never.
    pub times: Spanned<f64>,
}

/// From nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum New {
    /// Random numbers, as the reference begins with.
    New,
}

/// How samples become batches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Samples whose gradient is taken at once.
    pub size: Spanned<usize>,
    /// Such batches in a step; the gradient of a step is the mean of theirs.
    pub accumulate: Spanned<usize>,
    /// In which order samples come.
    pub order: Order,
    /// What becomes of a sample that is longer than `max_length`.
    pub long: Long,
}

/// What becomes of a sample that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Long {
    /// It loses its end, as in the reference.
    #[default]
    Cut,
    /// It is left out, and told.
    LeaveOut,
}

/// In which order samples come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Another one in each epoch.
    #[default]
    Random,
    /// As in the files.
    File,
    /// Of one kind (with or without images) and of like length in each batch; `group_by_modality_length` of the
    /// reference.
    GroupByModalityLength,
}

/// AdamW (arXiv 1711.05101).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// Rate of everything without a group.
    pub rate: Spanned<f64>,
    /// Decay of the two moments.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Decay of weights; never of biases and norms.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest norm of the gradient of everything that is trained, taken together; 0 for none.
    #[serde(default = "clip")]
    pub clip: f64,
}

/// LoRA (arXiv 2106.09685): matrices of the language model stay as they are, and learn a difference of low rank beside
/// them. The defaults are those of the reference's switch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Rank of the differences.
    pub rank: Spanned<usize>,
    /// What they are multiplied by, times the rank.
    pub alpha: Spanned<f64>,
    /// Share of their inputs that is left out at random in each step.
    pub dropout: Spanned<f64>,
    /// Patterns of the matrices that get one.
    pub targets: Vec<Spanned<String>>,
    /// A folder with differences to begin from, as the Python package peft writes it.
    pub adapter: Option<PathBuf>,
}

/// A part with a rate of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRow {
    /// Its name in logs.
    pub name: String,
    /// Patterns of published keys.
    #[serde(rename = "match")]
    pub patterns: Vec<Spanned<String>>,
    /// Its rate.
    pub rate: Spanned<f64>,
    /// Its decay of weights; that of the optimiser where it is absent.
    pub weight_decay: Option<f64>,
}

/// How rates change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// After warming up.
    pub shape: Shape,
    /// Share of the steps in which rates rise from 0.
    pub warmup: Spanned<f64>,
}

/// How rates change after warming up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Half a cosine, to 0.
    #[default]
    Cosine,
    /// A line, to 0.
    Linear,
    /// Not at all.
    Constant,
}

/// What is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoints {
    /// Steps from one to the next; there is always one after the last step.
    pub every: Spanned<usize>,
    /// How many stay.
    pub keep: Spanned<usize>,
    /// How the connector is written where it is all that was trained.
    pub connector: ConnectorFile,
}

/// The file of a connector alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorFile {
    /// `mm_projector.safetensors`.
    #[default]
    Safetensors,
    /// `mm_projector.bin`, a pickle, as the reference writes and reads it.
    Bin,
}

fn once() -> Spanned<f64> {
    nowhere(1.0)
}

fn length() -> usize {
    2048
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn epsilon() -> f64 {
    1e-8
}

fn clip() -> f64 {
    1.0
}

fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl Default for Lora {
    fn default() -> Self {
        Self {
            rank: nowhere(64),
            alpha: nowhere(16.0),
            dropout: nowhere(0.05),
            targets: vec![nowhere("model.layers.*proj.weight".to_owned())],
            adapter: None,
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { times: nowhere(5.0) }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { size: nowhere(8), accumulate: nowhere(1), order: Order::Random, long: Long::Cut }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { shape: Shape::Cosine, warmup: nowhere(0.03) }
    }
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { every: nowhere(1000), keep: nowhere(1), connector: ConnectorFile::Safetensors }
    }
}
