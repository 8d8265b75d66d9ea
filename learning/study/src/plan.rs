//! What a study says, as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_spanned::Spanned;

/// One thing or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "one value or a list of them")]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn all(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What stands in a study.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyPlan {
    /// What people call it.
    pub title: String,
    /// What it is about, for the report.
    #[serde(default)]
    pub about: String,
    /// The folder of everything that it makes.
    pub out: PathBuf,
    /// Registry files with encoders that are not shipped, later over earlier.
    #[serde(default)]
    pub registries: Vec<PathBuf>,
    /// Pictures that are drawn first. Paths that begin with `world:` count from their folder.
    pub world: Option<WorldPlan>,
    /// The language model.
    pub base: BasePlan,
    /// The encoders.
    #[serde(default)]
    pub encoder: Vec<EncoderPlan>,
    /// Several of them together.
    #[serde(default)]
    pub ensemble: Vec<EnsemblePlan>,
    /// The connectors.
    pub connector: Vec<ConnectorPlan>,
    /// The stage in which the connector learns by itself.
    pub adapter: StagePlan,
    /// The stage in which everything learns.
    pub tune: StagePlan,
    /// Which runs there are.
    pub grid: Vec<GridPlan>,
    /// What they are judged by.
    pub task: Vec<TaskPlan>,
    /// What is held against the paper.
    #[serde(default)]
    pub finding: Vec<FindingPlan>,
}

/// Pictures of the synthetic world, as `zoo data synth` draws them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldPlan {
    /// Where chance begins.
    pub seed: u64,
    /// Pixels of the longer side.
    pub size: u32,
    /// Scenes to learn from.
    pub train: u64,
    /// Scenes to be judged on.
    pub test: u64,
    /// Kinds of pictures, equally often; all in the world's own mix if there are none.
    #[serde(default)]
    pub kinds: Vec<zoo_world::scene::Kind>,
}

/// The language model of all runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePlan {
    /// A model folder: numbers, tokenizer, weights.
    pub model: PathBuf,
    /// Conversation template in place of the model's.
    pub template: Option<String>,
    /// Whether it begins from nothing: the folder has numbers and tokenizer only.
    #[serde(default)]
    pub new: bool,
    /// The stage in which it learns to read and write, before it sees anything: keys of a recipe of `zoo train`.
    pub stage: Option<LanguagePlan>,
}

/// A stage of text alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagePlan {
    /// Keys of a recipe.
    pub recipe: Map<String, Value>,
    /// What it learns from: pictures are left out of the records.
    pub data: DataPlan,
    /// Seconds of a step, for the bill, until one was measured.
    pub seconds_per_step: Option<f64>,
}

/// An encoder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderPlan {
    /// Its id in the registry, or what its recipe calls it.
    pub id: Spanned<String>,
    /// What it learnt from, in the words of the report.
    pub group: String,
    /// Tokens that it gives to a connector.
    pub tokens: usize,
    /// A recipe of `zoo pretrain`, by which it is brought up first.
    pub recipe: Option<Spanned<PathBuf>>,
    /// Seconds of a step of its upbringing, for the bill, until one was measured.
    pub seconds_per_step: Option<f64>,
}

/// Several encoders together.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsemblePlan {
    /// What it is called.
    pub id: Spanned<String>,
    /// Its encoders, in order.
    pub members: Vec<Spanned<String>>,
}

/// A connector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorPlan {
    /// What it is called.
    pub id: Spanned<String>,
    /// Tokens that every encoder gives to it, in place of the encoders' own.
    pub tokens: Option<usize>,
    /// Patterns of its keys, which learn in the adapter stage.
    pub train: Vec<String>,
    /// Keys of `config.json`: `mm_projector_type` and the numbers that go with it.
    pub config: Map<String, Value>,
}

/// A stage of training that runs have in common but for its data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePlan {
    /// Keys of a recipe of `zoo train`: batch, optimizer, schedule and the like.
    pub recipe: Map<String, Value>,
    /// What is added where encoders learn along.
    #[serde(default)]
    pub unfrozen: Map<String, Value>,
    /// Seconds of a step, for the bill, until one was measured.
    pub seconds_per_step: Option<f64>,
    /// Amounts of data.
    pub data: Vec<DataPlan>,
}

/// An amount of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPlan {
    /// What it is called.
    pub name: String,
    /// Conversations; none where the stage is left out.
    #[serde(default)]
    pub records: Option<String>,
    /// Where their pictures are.
    #[serde(default)]
    pub images: String,
    /// How many samples are seen.
    #[serde(default)]
    pub samples: usize,
}

/// Runs: every combination of what is listed. What is left out is everything that the study has; of seeds, 1.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridPlan {
    /// Encoders and ensembles.
    #[serde(default)]
    pub eyes: Vec<Spanned<String>>,
    /// Connectors.
    #[serde(default)]
    pub connector: Vec<Spanned<String>>,
    /// Amounts of adapter data.
    #[serde(default)]
    pub adapter: Vec<Spanned<String>>,
    /// Whether encoders only look; `true` if absent.
    #[serde(default)]
    pub frozen: Vec<bool>,
    /// Amounts of tuning data.
    #[serde(default)]
    pub tune: Vec<Spanned<String>>,
    /// Seeds.
    #[serde(default)]
    pub seeds: Vec<u64>,
}

/// A task.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskPlan {
    /// A shipped task's name or a file.
    pub task: Spanned<String>,
    /// The folder of its data.
    pub data: String,
    /// Its group, where it is one figure.
    pub group: Option<String>,
    /// A column by whose values it is several figures.
    pub by: Option<String>,
    /// Of which group each of these is; others are left out.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Questions at most.
    pub limit: Option<usize>,
}

/// Something that the paper found, and how it shows in this study.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingPlan {
    /// What was found.
    pub says: String,
    /// Where in the paper.
    #[serde(default, rename = "where")]
    pub place: String,
    /// Runs that should be better …
    pub better: BTreeMap<String, OneOrMany<Scalar>>,
    /// … than these.
    pub than: BTreeMap<String, OneOrMany<Scalar>>,
    /// Groups of tasks on which; all if there are none.
    #[serde(default)]
    pub on: Vec<String>,
}

/// A value of a selector: `true`, a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Flag(bool),
    /// A name.
    Text(String),
}

impl Scalar {
    /// As it is written.
    pub fn word(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}
