//! Zoo's side of `benches/peers`: a process that stays, so that it can be timed in turns with other runtimes.
//!
//! `peer encode REGISTRY ENCODER WEIGHTS f32|bf16 norm|raw` opens an encoder of the shipped registry or of the one
//! in the file REGISTRY and gives its last layer, `peer prepare ENCODER SIDE exact|fast` prepares photos. Requests
//! and answers are one JSON object a line:
//!
//! | request | answer |
//! | --- | --- |
//! | none, at the start | `{"ready": seconds}` that opening took |
//! | `{"input": file}`: `pixels` f32 `[B,3,H,W]`, or a photo | `{}` |
//! | `{"run": n}` | `{"seconds": [n times]}` |
//! | `{"output": file}` | `{}`; writes `tokens` f32 `[B,N,C]`, or `pixels`, of the last run |
//! | `{"peak": {}}` | [`Machine`]: the processor and its peaks, the best that were seen until now |
//! | `{"memory": {}}` | `{"peak": bytes}` that were resident at most |
//!
//! What goes wrong is `{"error": text}`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use zoo_benches::{Result, linked, stay};
use zoo_core::sdk::OpenOptions;
use zoo_core::{Encoder, FeatureRequest, Precision, Preprocess, Spec};
use zoo_measure::{Machine, memory};
use zoo_preprocess::{DecodeOptions, prepare};
use zoo_registry::{Layer, Registry};

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Input(PathBuf),
    Run(usize),
    Output(PathBuf),
    Peak {},
    Memory {},
}

/// What is timed.
trait Work {
    /// Takes an input.
    fn input(&mut self, file: &Path) -> Result<()>;
    /// The timed part.
    fn run(&mut self) -> Result<()>;
    /// The name and the result of the last run.
    fn output(&self) -> Result<(&'static str, Tensor)>;
}

fn main() {
    let mut machine = None;
    stay(work, |work, request| serve(work.as_mut(), &mut machine, request));
}

fn work(arguments: &[&str]) -> Result<Box<dyn Work>> {
    match *arguments {
        ["encode", registry, encoder, weights, dtype, norm] => {
            Ok(Box::new(Encode::new(registry, encoder, weights, dtype, norm)?))
        }
        ["prepare", encoder, side, mode] => Ok(Box::new(Prepare::new(encoder, side, mode)?)),
        _ => Err(
            "peer encode REGISTRY ENCODER WEIGHTS f32|bf16 norm|raw, or peer prepare ENCODER SIDE exact|fast"
                .into(),
        ),
    }
}

fn serve(work: &mut dyn Work, machine: &mut Option<Machine>, request: Request) -> Result<Value> {
    match request {
        Request::Input(file) => work.input(&file)?,
        Request::Output(file) => {
            let (name, tensor) = work.output()?;
            candle_core::safetensors::save(&HashMap::from([(name, tensor)]), file)?;
        }
        Request::Run(times) => {
            let mut timed = || -> Result<f64> {
                let begun = Instant::now();
                work.run()?;
                Ok(begun.elapsed().as_secs_f64())
            };
            let seconds = (0..times).map(|_| timed()).collect::<Result<Vec<_>>>()?;
            return Ok(json!({ "seconds": seconds }));
        }
        Request::Peak {} => {
            let machine = machine.get_or_insert_with(Machine::new);
            machine.measure();
            return Ok(json!(machine));
        }
        Request::Memory {} => return Ok(json!({ "peak": memory::peak() })),
    }
    Ok(json!({}))
}

struct Encode {
    encoder: Box<dyn Encoder>,
    request: FeatureRequest,
    pixels: Option<Tensor>,
    tokens: Option<Tensor>,
}

impl Encode {
    fn new(registry: &str, encoder: &str, weights: &str, dtype: &str, norm: &str) -> Result<Self> {
        let own = Layer::new(registry, std::fs::read_to_string(registry)?);
        let registry = Registry::load(&[Layer::shipped(), own])?;
        let row = registry.encoder(encoder)?;
        let precision: Precision = serde_json::from_value(dtype.into())?;
        let spec = Spec {
            id: row.id.clone(),
            architecture: row.architecture.clone(),
            arch: row.arch.clone(),
            precision,
        };
        let options = OpenOptions { weights: vec![weights.into()], ..OpenOptions::default() };
        let encoder = linked(&row.plugin)?.open_encoder(&spec, &options)?;
        let request = FeatureRequest::layer(-1, norm == "norm");
        Ok(Self { encoder, request, pixels: None, tokens: None })
    }
}

impl Work for Encode {
    fn input(&mut self, file: &Path) -> Result<()> {
        let mut tensors = candle_core::safetensors::load(file, &Device::Cpu)?;
        let pixels = tensors.remove("pixels").ok_or("the input holds no `pixels`")?;
        self.pixels = Some(pixels);
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let pixels = self.pixels.as_ref().ok_or("no input yet")?;
        self.tokens = self.encoder.forward(pixels, &self.request)?.pop().map(|map| map.tokens);
        Ok(())
    }

    fn output(&self) -> Result<(&'static str, Tensor)> {
        let tokens = self.tokens.as_ref().ok_or("nothing has run yet")?;
        Ok(("tokens", tokens.to_dtype(DType::F32)?.contiguous()?))
    }
}

struct Prepare {
    pipeline: Preprocess,
    options: DecodeOptions,
    photo: PathBuf,
    pixels: Option<Tensor>,
}

impl Prepare {
    fn new(encoder: &str, side: &str, mode: &str) -> Result<Self> {
        let registry = Registry::shipped()?;
        let pipeline = registry.encoder(encoder)?.preprocess_at(side.parse()?);
        let reduce_for = (mode == "fast").then_some(pipeline.size);
        let options = DecodeOptions { reduce_for, ..DecodeOptions::default() };
        Ok(Self { pipeline, options, photo: PathBuf::new(), pixels: None })
    }
}

impl Work for Prepare {
    fn input(&mut self, file: &Path) -> Result<()> {
        self.photo = file.to_path_buf();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let photo = zoo_preprocess::open(&self.photo, &self.options)?;
        self.pixels = Some(prepare(&photo, &self.pipeline)?.to_tensor(&Device::Cpu)?);
        Ok(())
    }

    fn output(&self) -> Result<(&'static str, Tensor)> {
        Ok(("pixels", self.pixels.clone().ok_or("nothing has run yet")?))
    }
}
