//! The file format of a golden case.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::{Map, Value};
use zoo_core::{CallOptions, Precision, Spec};

/// `<case>.json`, with its tensors.
pub(super) struct Case {
    pub name: String,
    pub reference: String,
    pub subject: Subject,
    pub architecture: String,
    pub arch: Map<String, Value>,
    pub layout: Option<String>,
    pub weights: Vec<PathBuf>,
    /// Inputs and expected outputs by name.
    pub data: HashMap<String, Tensor>,
    /// Options of an encoder's call: numbers and words, and tensors of `data`.
    pub options: CallOptions,
}

/// What kind of object is under test, by the id used in messages, and what is expected of it.
pub(super) enum Subject {
    Encoder(String, Vec<EncoderExpectation>),
    Connector(String, Vec<ConnectorExpectation>),
    Llm(String, Vec<LlmExpectation>),
    Text(String, Vec<TextExpectation>),
}

/// What the reference itself loses in half precision, against what it gives in f32.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Losses {
    pub bf16: Loss,
    pub f16: Loss,
}

/// A distance from the expected tensor, in units of that tensor's root mean square.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Loss {
    /// The largest difference.
    pub max: f64,
    /// Root mean square of all differences.
    pub rms: f64,
}

impl Losses {
    /// Of one precision; of f32 there is none.
    pub fn of(self, precision: Precision) -> Option<Loss> {
        match precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(self.bf16),
            Precision::F16 => Some(self.f16),
        }
    }
}

/// Patch tokens `[B, N, C]` of one layer, or its prefix tokens `[B, P, C]`, or the vectors `[B, D]` of the images.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EncoderExpectation {
    pub tensor: String,
    pub loses: Option<Losses>,
    #[serde(default)]
    pub layer: i32,
    #[serde(default)]
    pub embedding: bool,
    #[serde(default)]
    pub norm: bool,
    #[serde(default)]
    pub prefix: bool,
}

/// One output of a connector.
#[derive(Deserialize)]
pub(super) struct ConnectorExpectation {
    pub tensor: String,
    pub loses: Option<Losses>,
    #[serde(flatten)]
    pub what: ConnectorOutput,
}

/// Which output.
#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ConnectorOutput {
    /// `Fused::tokens`.
    Tokens,
    /// `Fused::attention[index]`.
    Attention { index: usize },
    /// Tokens of the block of one image.
    Block { row: usize },
    /// Hidden states of one image after the `step`-th aggregation inside the language model, given the data
    /// tensor `hidden` `[h·w, H]`.
    Refine { step: usize, row: usize, hidden: String },
}

/// One output of a language model, given the data tensor `ids` i64 `[B, T]`, all rows at positions `0..T`.
#[derive(Deserialize)]
pub(super) struct LlmExpectation {
    pub tensor: String,
    pub loses: Option<Losses>,
    #[serde(flatten)]
    pub what: LlmOutput,
}

/// Which output. (With braces, as serde lets unknown keys of unit variants pass.)
#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum LlmOutput {
    /// Hidden states `[B, T, H]` after a decoder layer.
    Hidden { layer: usize },
    /// Logits `[B, T, V]`.
    Logits {},
    /// The likeliest tokens that follow, i64 `[B, n]`, each decoded with the KV cache. In f32 only: rounding may
    /// turn a close decision.
    Greedy {},
}

/// One output of a text tower, given the data tensor `ids` i64 `[B, T]`.
#[derive(Deserialize)]
pub(super) struct TextExpectation {
    pub tensor: String,
    pub loses: Option<Losses>,
    #[serde(flatten)]
    pub what: TextOutput,
}

/// Which output.
#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum TextOutput {
    /// Vectors `[B, D]`.
    Embedding {},
    /// Of the data tensor `images` `[M, D]`, vectors of images, and these texts: `[M, B]`. In f32 only: a scale is one number,
    /// which half precision rounds as a whole.
    Logits { images: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: String,
    encoder: Option<String>,
    connector: Option<String>,
    llm: Option<String>,
    text: Option<String>,
    architecture: String,
    arch: Map<String, Value>,
    layout: Option<String>,
    weights: Vec<String>,
    data: String,
    expect: Vec<Value>,
    reference: String,
    /// Options of the call by name.
    #[serde(default)]
    options: BTreeMap<String, Value>,
    /// Those that are tensors, which `data` has under these names.
    #[serde(default)]
    option_tensors: Vec<String>,
}

/// All cases of a folder, by file name.
pub(super) fn all(dir: &Path) -> Result<Vec<Case>, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path).map_err(|e| format!("{}: {e}", path.display()))).collect()
}

fn read(path: &Path) -> Result<Case, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let file: File = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if file.expect.is_empty() {
        return Err("nothing is expected: a case without `expect` checks nothing".into());
    }
    let subject = match (file.encoder, file.connector, file.llm, file.text) {
        (Some(id), None, None, None) => Subject::Encoder(id, expectations(file.expect)?),
        (None, Some(id), None, None) => Subject::Connector(id, expectations(file.expect)?),
        (None, None, Some(id), None) => Subject::Llm(id, expectations(file.expect)?),
        (None, None, None, Some(id)) => Subject::Text(id, expectations(file.expect)?),
        _ => return Err("a case has one of `encoder`, `connector`, `llm` and `text`".into()),
    };
    let dir = path.parent().unwrap_or(Path::new("."));
    let data = candle_core::safetensors::load(dir.join(&file.data), &Device::Cpu)
        .map_err(|e| format!("{}: {e}", file.data))?;
    let tensor = |name: String| {
        let tensor = data.get(&name).ok_or_else(|| format!("the data file has no tensor `{name}`"))?.clone();
        Ok::<_, String>((name, tensor))
    };
    let tensors = file.option_tensors.into_iter().map(tensor).collect::<Result<_, _>>()?;
    Ok(Case {
        options: CallOptions::new(file.options, tensors),
        name: file.case,
        reference: file.reference,
        subject,
        architecture: file.architecture,
        arch: file.arch,
        layout: file.layout,
        weights: file.weights.iter().map(|name| dir.join(name)).collect(),
        data,
    })
}

fn expectations<T: serde::de::DeserializeOwned>(values: Vec<Value>) -> Result<Vec<T>, String> {
    values.into_iter().map(|v| serde_json::from_value(v).map_err(|e| format!("`expect`: {e}"))).collect()
}

impl Case {
    /// What the plugin's loader is told.
    pub fn spec(&self, precision: Precision) -> Spec {
        let (Subject::Encoder(id, _)
        | Subject::Connector(id, _)
        | Subject::Llm(id, _)
        | Subject::Text(id, _)) = &self.subject;
        Spec { id: id.clone(), architecture: self.architecture.clone(), arch: self.arch.clone(), precision }
    }

    /// A tensor of the data file.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, String> {
        self.data.get(name).ok_or_else(|| {
            let mut names: Vec<&str> = self.data.keys().map(String::as_str).collect();
            names.sort_unstable();
            format!("the data file has no tensor `{name}`; it has {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expectations_are_strict() {
        let read =
            |value| expectations::<ConnectorExpectation>(vec![value]).map(|mut list| list.remove(0).what);
        assert!(matches!(read(json!({"tensor": "t", "what": "tokens"})), Ok(ConnectorOutput::Tokens)));
        let refine = json!({"tensor": "r", "what": "refine", "step": 1, "row": 0, "hidden": "hidden.0"});
        assert!(matches!(read(refine), Ok(ConnectorOutput::Refine { step: 1, .. })));
        assert!(read(json!({"tensor": "b", "what": "block", "rwo": 0})).is_err());
        assert!(read(json!({"tensor": "b", "what": "block", "row": 0, "step": 1})).is_err());
        let llm = |value| expectations::<LlmExpectation>(vec![value]);
        assert!(llm(json!({"tensor": "h", "what": "hidden", "layer": 1})).is_ok());
        assert!(llm(json!({"tensor": "l", "what": "logits", "layer": 1})).is_err());
        let layer = |value| expectations::<EncoderExpectation>(vec![value]);
        assert!(layer(json!({"tensor": "t", "layer": -2})).is_ok());
        assert!(layer(json!({"tensor": "t", "layer": -2, "norms": true})).is_err());
        let loses = |bf16| json!({"tensor": "t", "what": "tokens", "loses": {"bf16": bf16, "f16": {"max": 0.5, "rms": 0.25}}});
        let loss = Loss { max: 0.5, rms: 0.25 };
        let one =
            expectations::<ConnectorExpectation>(vec![loses(json!({"max": 4, "rms": 2}))]).unwrap().remove(0);
        assert_eq!(one.loses.unwrap().of(Precision::F16), Some(loss));
        assert!(expectations::<ConnectorExpectation>(vec![loses(json!({"max": 4}))]).is_err());
    }
}
