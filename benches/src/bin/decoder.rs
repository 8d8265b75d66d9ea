//! Zoo's side of `benches/peers/decode.py`: a language model in a GGUF file, in a process that stays, so that it can be
//! timed in turns with another program.
//!
//! `decoder FILE.gguf f32|bf16`. Requests and answers are one JSON object a line:
//!
//! | request | answer |
//! | --- | --- |
//! | none, at the start | `{"ready": seconds}` that opening took |
//! | `{"read": [ids]}`: a prompt, into an empty cache | `{"seconds": time}` |
//! | `{"write": n}`: the likeliest token, n times | `{"seconds": time, "ids": [n ids]}` |
//! | `{"memory": {}}` | `{"peak": bytes}` that were resident at most |
//!
//! What goes wrong is `{"error": text}`.

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use zoo_benches::{Result, stay};
use zoo_core::weights::{Checkpoint, Weights};
use zoo_core::{Cache, LanguageModel, NoHook, Precision, Spec};
use zoo_measure::memory;
use zoo_nn::decoder::gguf;

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Read(Vec<u32>),
    Write(usize),
    Memory {},
}

/// A model in the middle of a text.
struct Reader {
    model: Box<dyn LanguageModel>,
    cache: Cache,
    position: u32,
    next: u32,
}

fn main() {
    let open = |arguments: &[&str]| match *arguments {
        [file, dtype] => open(file, dtype),
        _ => Err("decoder FILE.gguf f32|bf16".into()),
    };
    stay(open, serve);
}

fn open(file: &str, dtype: &str) -> Result<Reader> {
    let precision: Precision = serde_json::from_value(dtype.into())?;
    let arch = gguf::arch(&Checkpoint::open(&[file.into()])?)?;
    let spec = Spec { id: file.to_owned(), architecture: "llama".to_owned(), arch, precision };
    let weights = Weights::open(&[file.into()], precision.dtype())?;
    let model = zoo_llama::load(&spec, &weights, &Device::Cpu)?;
    let cache = model.cache(1)?;
    Ok(Reader { model, cache, position: 0, next: 0 })
}

fn serve(reader: &mut Reader, request: Request) -> Result<Value> {
    match request {
        Request::Read(ids) => {
            reader.cache = reader.model.cache(1)?;
            let begun = Instant::now();
            reader.read(&ids)?;
            Ok(json!({ "seconds": begun.elapsed().as_secs_f64() }))
        }
        Request::Write(count) => {
            let begun = Instant::now();
            let ids = (0..count).map(|_| reader.write()).collect::<Result<Vec<_>>>()?;
            Ok(json!({ "seconds": begun.elapsed().as_secs_f64(), "ids": ids }))
        }
        Request::Memory {} => Ok(json!({ "peak": memory::peak() })),
    }
}

impl Reader {
    fn read(&mut self, ids: &[u32]) -> Result<()> {
        let length = ids.len();
        let embedded = self.model.embed(&Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?)?;
        let positions = Tensor::arange(0, length as u32, &Device::Cpu)?.unsqueeze(0)?;
        let hidden = self.model.prefill(&embedded, &positions, &mut self.cache, &mut NoHook)?;
        self.position = length as u32;
        let logits = self.model.logits(&hidden.narrow(1, length - 1, 1)?)?;
        self.next = likeliest(&logits)?;
        Ok(())
    }

    fn write(&mut self) -> Result<u32> {
        let written = self.next;
        let one = |value: u32| Tensor::new(&[[value]], &Device::Cpu);
        let logits = self.model.decode(&one(written)?, &one(self.position)?, &mut self.cache)?;
        self.position += 1;
        self.next = likeliest(&logits)?;
        Ok(written)
    }
}

fn likeliest(logits: &Tensor) -> Result<u32> {
    Ok(logits.to_dtype(DType::F32)?.flatten_all()?.argmax(D::Minus1)?.to_scalar()?)
}
