//! Writes a model folder of full size with random weights, so that loading, memory and speed can be tried by hand
//! where nobody has the released files:
//!
//! ```sh
//! cargo run --release -p zoo-tests --example write_model -- out/random-8b cambrian-8b
//! zoo ask examples/images/trilobite.png "What is this?" --model out/random-8b --quantise q4_k
//! ```
//!
//! Language model and connector have the numbers, keys and shapes of the registry's rows, in bf16 and in shards.
//! Encoders keep their widths and grids, so that the connector is the full one, but have very few layers. The
//! tokenizer is the small one of the test checkpoint of the same template; ids beyond it are never written.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::bf16;
use serde_json::{Map, Value, json};
use zoo_core::sdk::{InspectRequest, Plugin};
use zoo_core::weights::{Init, TensorInfo};
use zoo_core::{Precision, Spec};
use zoo_host::plugins::ObjectKind;
use zoo_registry::{Registry, Row};

/// Bytes of a shard, as transformers cuts them.
const SHARD: u64 = 5_000_000_000;

static PLUGINS: [&Plugin; 7] = [
    &zoo_clip::PLUGIN,
    &zoo_convnext::PLUGIN,
    &zoo_dinov2::PLUGIN,
    &zoo_llama::PLUGIN,
    &zoo_phi3::PLUGIN,
    &zoo_sva::PLUGIN,
    &zoo_timm_vit::PLUGIN,
];

/// By template: the test checkpoint with its tokenizer.
const TOKENIZERS: [(&str, &str); 4] = [
    ("llama_3", "cambrian-llama3"),
    ("vicuna_v1", "cambrian-vicuna"),
    ("chatml_direct", "cambrian-chatml"),
    ("phi3", "cambrian-phi3"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("write_model FOLDER [MODEL]")?);
    let model = arguments.next().unwrap_or_else(|| "cambrian-8b".into());
    let registry = Registry::shipped()?;
    let row = registry.model(&model)?;
    let (connector, llm) = (registry.connector(&row.connector)?, registry.llm(&row.llm)?);
    fs::create_dir_all(&folder)?;

    let mut tensors = inspect(connector, ObjectKind::Connector, &connector.arch)?;
    tensors.extend(inspect(llm, ObjectKind::Llm, &llm.arch)?);
    let towers = towers(&registry, &row.ensemble, &folder)?;
    let config = config(&llm.plugin, &connector.arch, &llm.arch, &towers);
    fs::write(folder.join("config.json"), format!("{config:#}"))?;
    let (_, tiny) =
        TOKENIZERS.iter().find(|(t, _)| *t == row.template).ok_or("no tokenizer for this template")?;
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("checkpoints").join(tiny);
    for file in ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "generation_config.json"] {
        if tiny.join(file).is_file() {
            fs::copy(tiny.join(file), folder.join(file))?;
        }
    }
    append(&folder.join("zoo.toml"), &format!("template = \"{}\"\n", row.template))?;
    shards(&folder, &tensors)?;
    println!("{}: {} tensors", folder.display(), tensors.len());
    Ok(())
}

/// The tensors of an object.
fn inspect<R: Row>(
    row: &R,
    kind: ObjectKind,
    arch: &Map<String, Value>,
) -> Result<Vec<TensorInfo>, Box<dyn Error>> {
    let (name, architecture) = row.plugin().ok_or("a row without a plugin")?;
    let plugin = PLUGINS.iter().find(|p| p.name == name).ok_or("a plugin that is not linked in")?;
    let spec = Spec {
        id: row.id().to_owned(),
        architecture: architecture.to_owned(),
        arch: arch.clone(),
        precision: Precision::Bf16,
    };
    Ok(plugin.inspect(kind, &InspectRequest { spec, layout: None, dims: None, vectors: false })?.tensors)
}

/// Writes shallow encoders and `zoo.toml`; the names of the towers.
fn towers(registry: &Registry, ensemble: &str, folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    let mut toml = String::new();
    for member in &registry.ensemble(ensemble)?.members {
        let selection = registry.member(member)?;
        let row = selection.row;
        let mut shallow = Map::new();
        if row.arch.contains_key("depths") {
            shallow.insert("depths".into(), json!([1, 1, 1, 1]));
        } else {
            shallow.insert("depth".into(), json!(2));
        }
        let mut arch = row.arch.clone();
        arch.extend(shallow.clone());
        let tensors = inspect(row, ObjectKind::Encoder, &arch)?;
        let all: Vec<&TensorInfo> = tensors.iter().collect();
        write(&folder.join(format!("{}.safetensors", row.id)), &all)?;
        fs::write(folder.join(format!("{}.json", row.id)), Value::Object(shallow).to_string())?;
        toml.push_str(&format!(
            "[[encoder]]\nid = \"{0}\"\nweights = \"{0}.safetensors\"\narch_override = \"{0}.json\"\n",
            row.id
        ));
        let mut name = row.towers.first().cloned().unwrap_or_else(|| row.id.clone());
        if selection.resolution != row.resolution {
            name.push_str(&format!("-res{}", selection.resolution));
        }
        if selection.layers.len() > 1 {
            name.push_str("-multi-stage");
        }
        names.push(name);
    }
    fs::write(folder.join("zoo.toml"), toml)?;
    Ok(names)
}

/// Top-level keys stand before tables.
fn append(path: &Path, head: &str) -> std::io::Result<()> {
    let rest = fs::read_to_string(path)?;
    fs::write(path, format!("{head}\n{rest}"))
}

fn config(
    plugin: &str,
    connector: &Map<String, Value>,
    llm: &Map<String, Value>,
    towers: &[String],
) -> Value {
    let mut config = llm.clone();
    let kept = [
        "vision_hidden_size",
        "image_token_len",
        "query_num_list",
        "connector_depth",
        "connector_only",
        "num_of_vision_sampler_layers",
        "start_of_vision_sampler_layers",
        "stride_of_vision_sampler_layers",
    ];
    config.extend(kept.iter().filter_map(|key| Some(((*key).to_owned(), connector.get(*key)?.clone()))));
    for (key, value) in [
        ("model_type", json!(format!("cambrian_{plugin}"))),
        ("mm_projector_type", json!("sva")),
        ("mm_vision_tower_aux_list", json!(towers)),
        ("mm_vision_tower_aux_token_len_list", connector["token_lens"].clone()),
        ("mm_vision_select_layer", json!(-2)),
        ("image_aspect_ratio", json!("pad")),
        ("torch_dtype", json!("bfloat16")),
    ] {
        config.insert(key.into(), value);
    }
    config.into()
}

/// The checkpoint in shards, with its index.
fn shards(folder: &Path, tensors: &[TensorInfo]) -> Result<(), Box<dyn Error>> {
    let mut parts: Vec<Vec<&TensorInfo>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in tensors {
        let bytes = elements(tensor) * 2;
        if filled + bytes > SHARD && filled > 0 {
            parts.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        if let Some(part) = parts.last_mut() {
            part.push(tensor);
        }
    }
    let mut weight_map = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", index + 1, parts.len());
        write(&folder.join(&name), part)?;
        weight_map.extend(part.iter().map(|tensor| (tensor.key.clone(), name.clone())));
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string())?;
    Ok(())
}

fn elements(tensor: &TensorInfo) -> u64 {
    tensor.shape.iter().product::<usize>() as u64
}

/// A safetensors file, streamed: the largest model does not fit into memory.
fn write(path: &Path, tensors: &[&TensorInfo]) -> Result<(), Box<dyn Error>> {
    let mut header = Map::new();
    let mut start = 0;
    for tensor in tensors {
        let end = start + elements(tensor) * 2;
        let entry = json!({ "dtype": "BF16", "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.key.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (tensor, seed) in tensors.iter().zip(1..) {
        values(tensor, seed, &mut out)?;
    }
    out.flush()?;
    println!("{}: {:.1} GB", path.display(), start as f64 / 1e9);
    Ok(())
}

/// Random values of the size with which training begins, around one where that is where it begins: noise with the
/// right mean and spread, which is all that a trial of memory and speed needs.
fn values(tensor: &TensorInfo, seed: u64, out: &mut impl Write) -> std::io::Result<()> {
    let (mean, bound) = match tensor.init {
        Init::Const(value) => (value, 0.05),
        // A uniform distribution of the same variance.
        Init::Normal { mean, std } => (mean, std * 3.0f64.sqrt()),
        Init::Uniform { bound } => (0.0, bound),
    };
    let table: Vec<[u8; 2]> = (0..1 << 12)
        .map(|i| bf16::from_f64(mean + bound * (f64::from(i) / 2048.0 - 1.0)).to_le_bytes())
        .collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut left = elements(tensor);
    while left > 0 {
        // xorshift64; twelve bits choose a value.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for part in 0..left.min(5) {
            out.write_all(&table[(state >> (12 * part)) as usize & 0xfff])?;
        }
        left -= left.min(5);
    }
    Ok(())
}
