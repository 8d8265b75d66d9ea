//! Zoo's side of `benches/peers/training.py`: forward and backward passes of a model with random weights, in a process
//! that stays, so that it can be timed in turns with another program.
//!
//! `learner vit-s|vit-b|stage-1|stage-2 f32|bf16 kept|recomputed`. The stages are those of a small LLaVA: a ViT-B/16 that
//! looks, two maps with a GELU between them, and a Llama of 12 layers that reads 196 image tokens and a text for each of
//! two samples; the first stage trains the maps, the second these and the Llama. Requests and answers are one JSON object
//! a line:
//!
//! | request | answer |
//! | --- | --- |
//! | none, at the start | `{"ready": seconds}` that opening took |
//! | `{"run": n}` | `{"seconds": [n times], "loss": number}`; a pass forwards and backwards each |
//! | `{"memory": {}}` | `{"peak": bytes}` that were resident at most |
//!
//! What goes wrong is `{"error": text}`.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use zoo_benches::{Result, stay};
use zoo_core::weights::{Layout, TensorSource, Weights};
use zoo_core::{CallContext, FeatureRequest, LanguageModel, Precision, Spec};
use zoo_measure::memory;
use zoo_nn::activation::Activation;
use zoo_nn::autograd::backward;
use zoo_nn::encoder::Trunk;
use zoo_nn::linear::Linear;
use zoo_nn::mlp::Mlp;
use zoo_nn::vit::{ViTConfig, ViTStyle, VisionTransformer};

const LAYOUTS: [Layout; 1] =
    [Layout { name: "own", prefixes: &[""], marker: "", map: |name| TensorSource::key(name), ignored: &[] }];
/// Tokens of a text.
const TEXT: usize = 128;
const WIDTH: usize = 768;
const VOCABULARY: usize = 32_000;

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Run(usize),
    Memory {},
}

enum Model {
    /// The encoder alone, on so many images.
    Vit(Box<VisionTransformer>, Tensor),
    Llava {
        vit: Box<VisionTransformer>,
        projector: Mlp,
        llm: Box<dyn LanguageModel>,
        pixels: Tensor,
    },
}

struct Learner {
    model: Model,
    recomputes: bool,
}

fn main() {
    let opened = |arguments: &[&str]| match *arguments {
        [model, dtype, way @ ("kept" | "recomputed")] => open(model, dtype, way == "recomputed"),
        _ => Err("learner vit-s|vit-b|stage-1|stage-2 f32|bf16 kept|recomputed".into()),
    };
    stay(opened, |learner, request| serve(learner, request));
}

fn serve(learner: &Learner, request: Request) -> Result<Value> {
    match request {
        Request::Run(times) => {
            let (mut seconds, mut value) = (Vec::with_capacity(times), 0.0);
            for _ in 0..times {
                let begun = Instant::now();
                let loss =
                    CallContext::new().recomputing(learner.recomputes).scope(|| learner.model.loss())?;
                value = loss.to_dtype(DType::F32)?.to_scalar::<f32>()?;
                backward(&loss)?;
                seconds.push(begun.elapsed().as_secs_f64());
            }
            Ok(json!({ "seconds": seconds, "loss": value }))
        }
        Request::Memory {} => Ok(json!({ "peak": memory::peak() })),
    }
}

fn vit(weights: &Weights, arch: Value) -> Result<Box<VisionTransformer>> {
    let spec = Spec {
        id: "vit".to_owned(),
        architecture: "vit".to_owned(),
        arch: serde_json::from_value(arch)?,
        precision: Precision::F32,
    };
    let config = ViTConfig::from_spec(&spec, ViTStyle::PLAIN)?;
    Ok(Box::new(VisionTransformer::load(&weights.params(&LAYOUTS, &Device::Cpu)?, &config)?))
}

fn open(model: &str, dtype: &str, recomputes: bool) -> Result<Learner> {
    let precision: Precision = serde_json::from_value(dtype.into())?;
    let dtype = precision.dtype();
    let frozen = |seed| Weights::random(seed, dtype);
    let trained = |seed| Weights::random(seed, dtype).trainable(true);
    let base = json!({"embed_dim": WIDTH, "depth": 12, "num_heads": 12, "mlp_dim": 3072, "patch_size": 16, "image_size": 224});
    let small = json!({"embed_dim": 384, "depth": 12, "num_heads": 6, "mlp_dim": 1536, "patch_size": 14, "image_size": 224,
        "layer_scale": true});
    let pixels = |images| Tensor::randn(0f32, 1.0, (images, 3, 224, 224), &Device::Cpu)?.to_dtype(dtype);
    let model = match model {
        "vit-s" => Model::Vit(vit(&trained(1), small)?, pixels(4)?),
        "vit-b" => Model::Vit(vit(&trained(1), base)?, pixels(4)?),
        "stage-1" | "stage-2" => {
            let params = trained(2).params(&LAYOUTS, &Device::Cpu)?;
            let map = |name: &str| Linear::load(&params.pp(name), WIDTH, WIDTH, true);
            let arch = json!({"hidden_size": WIDTH, "intermediate_size": 2048, "num_hidden_layers": 12,
                "num_attention_heads": 12, "num_key_value_heads": 4, "vocab_size": VOCABULARY,
                "max_position_embeddings": 2048, "rms_norm_eps": 1e-5});
            let spec = Spec {
                id: "llama".to_owned(),
                architecture: "llama".to_owned(),
                arch: serde_json::from_value(arch)?,
                precision,
            };
            let weights = if model == "stage-1" { frozen(3) } else { trained(3) };
            Model::Llava {
                vit: vit(&frozen(1), base)?,
                projector: Mlp::new(Activation::GeluErf, map("0")?, map("2")?),
                llm: zoo_llama::load(&spec, &weights, &Device::Cpu)?,
                pixels: pixels(2)?,
            }
        }
        other => return Err(format!("no model `{other}`").into()),
    };
    Ok(Learner { model, recomputes })
}

impl Model {
    fn loss(&self) -> Result<Tensor> {
        let request = FeatureRequest::layer(-1, true);
        let look = |vit: &VisionTransformer, pixels: &Tensor| {
            let map = vit.forward(pixels, &request)?.pop().ok_or("no map")?;
            Ok::<_, Box<dyn std::error::Error>>(map.tokens)
        };
        match self {
            Self::Vit(vit, pixels) => Ok(look(vit, pixels)?.to_dtype(DType::F32)?.sqr()?.mean_all()?),
            Self::Llava { vit, projector, llm, pixels } => {
                let seen = projector.forward(&look(vit, pixels)?, None)?;
                let (samples, tokens) = (seen.dim(0)?, seen.dim(1)?);
                let id = |i: usize| (i * i * 7 + i * 13 + 5) as u32 % VOCABULARY as u32;
                let ids: Vec<u32> = (0..samples * TEXT).map(id).collect();
                let texts = llm.embed(&Tensor::from_vec(ids.clone(), (samples, TEXT), &Device::Cpu)?)?;
                let length = tokens + TEXT;
                let row = Tensor::cat(&[seen, texts], 1)?.reshape((1, samples * length, WIDTH))?;
                let positions: Vec<u32> = (0..samples).flat_map(|_| 0..length as u32).collect();
                let positions = Tensor::from_vec(positions, (1, samples * length), &Device::Cpu)?;
                let hidden = llm.layers(0..12, &row, &positions, &mut llm.packed(1)?)?;
                // Each token of a text but the last is asked for the next.
                let asked = |s: usize| (0..TEXT - 1).map(move |i| (s * length + tokens + i) as u32);
                let asked: Vec<u32> = (0..samples).flat_map(asked).collect();
                let targets: Vec<u32> =
                    (0..samples).flat_map(|s| ids[s * TEXT + 1..(s + 1) * TEXT].to_vec()).collect();
                let asked = Tensor::new(asked, &Device::Cpu)?;
                let hidden = hidden.squeeze(0)?.index_select(&asked, 0)?.unsqueeze(0)?;
                Ok(llm.loss(&hidden, &Tensor::new(targets, &Device::Cpu)?)?)
            }
        }
    }
}
