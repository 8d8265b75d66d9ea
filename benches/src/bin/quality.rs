//! What quantising costs a model: `quality` measures the shipped one and writes the table of `docs/quantisation.md`,
//! `quality MODEL HELD_OUT` prints that of another one.
//!
//! `HELD_OUT` is a folder of images with a `questions.jsonl` beside them, which the model was not trained on. The answers of people (`reference`) are read token by token, each given those
//! before it: the perplexity is the exponential of the mean negative log-likelihood of their tokens, end mark
//! included, and agreement the share of places where the likeliest token is that of the model in single precision.

use std::path::{Path, PathBuf};

use candle_core::{D, DType, Device, IndexOp, Tensor};
use serde::Deserialize;
use zoo_benches::Result;
use zoo_core::{LayerHook, NoHook, Quantisation};
use zoo_host::{ModelRequest, ModelSession, Options, Sight, Zoo};
use zoo_language::template::Conversation;

/// The shipped model and what it was not trained on.
const SHIPPED: [&str; 2] = ["inputs/models/trilobite", "inputs/models/trilobite/holdout"];

/// Where the table of the shipped model stands, and between what.
const DOCUMENT: &str = "docs/quantisation.md";
const MARKERS: [&str; 2] = ["<!-- quality: begin -->", "<!-- quality: end -->"];

/// One line of `questions.jsonl`.
#[derive(Deserialize)]
struct Question {
    image: PathBuf,
    question: String,
    reference: String,
}

/// What a model makes of all answers.
#[derive(Default)]
struct Reading {
    /// Negative log-likelihood of each token.
    losses: Vec<f64>,
    /// The likeliest token in each place.
    likeliest: Vec<u32>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, folder) = match arguments.as_slice() {
        [] => (SHIPPED[0], SHIPPED[1]),
        [model, folder] => (model.as_str(), folder.as_str()),
        _ => return Err("quality [MODEL HELD_OUT]".into()),
    };
    let folder = Path::new(folder);
    let lines = std::fs::read_to_string(folder.join("questions.jsonl"))?;
    let questions: Vec<Question> =
        lines.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let zoo = Zoo::open(Options { offline: true, ..Options::default() })?;

    let mut table = String::from("| | weights, MB | quantised | perplexity | same likeliest token |\n");
    table += "| --- | --: | --: | --: | --: |\n";
    let mut exact = None;
    for format in std::iter::once(None).chain(Quantisation::ALL.map(Some)) {
        let session = zoo.model(&ModelRequest { quantise: format, ..ModelRequest::new(model) }, &())?;
        let reading = read(&session, folder, &questions)?;
        let exact = exact.get_or_insert_with(|| reading.likeliest.clone());
        let same = reading.likeliest.iter().zip(&*exact).filter(|(a, b)| a == b).count();
        let said = session.llm()?.descriptor();
        let quantised: u64 = said.quantised.values().sum();
        let blocks: f64 = said.quantised.iter().map(|(format, &n)| bytes(*format, n)).sum();
        let plain = said.parameters.saturating_sub(quantised) as f64 * 4.0;
        table += &format!(
            "| {} | {:.2} | {:.0} % | {:.4} | {:.2} % of {} |\n",
            format.map_or("f32", Quantisation::name),
            (blocks + plain) / 1e6,
            100.0 * quantised as f64 / said.parameters as f64,
            (reading.losses.iter().sum::<f64>() / reading.losses.len() as f64).exp(),
            100.0 * same as f64 / exact.len() as f64,
            exact.len(),
        );
    }
    print!("{table}");
    if arguments.is_empty() {
        let text = std::fs::read_to_string(DOCUMENT)?;
        let parts = text
            .split_once(MARKERS[0])
            .and_then(|(before, rest)| Some((before, rest.split_once(MARKERS[1])?.1)));
        let (before, after) = parts.ok_or_else(|| format!("{DOCUMENT} lacks the markers of the table"))?;
        std::fs::write(DOCUMENT, format!("{before}{}\n{table}{}{after}", MARKERS[0], MARKERS[1]))?;
    }
    Ok(())
}

/// Bytes of so many weights.
fn bytes(format: Quantisation, weights: u64) -> f64 {
    let length = format.block_length();
    weights as f64 * format.format().row_bytes(length) as f64 / length as f64
}

fn read(session: &ModelSession, folder: &Path, questions: &[Question]) -> Result<Reading> {
    let mut reading = Reading::default();
    let mut seen: Option<(PathBuf, Sight)> = None;
    for question in questions {
        if seen.as_ref().is_none_or(|(image, _)| *image != question.image) {
            let image = zoo_preprocess::open(folder.join(&question.image), &Default::default())?;
            seen = Some((question.image.clone(), session.look(&[image], &())?));
        }
        let Some((_, sight)) = &seen else { continue };
        answer(session, sight, question, &mut reading)?;
    }
    Ok(reading)
}

/// Adds the tokens of one answer.
fn answer(session: &ModelSession, sight: &Sight, question: &Question, reading: &mut Reading) -> Result<()> {
    let mut conversation = Conversation::new();
    conversation.ask_about_image(&question.question)?;
    let assembled = session.assemble(&session.prompt(&conversation)?, sight)?;
    let tokenizer = session.tokenizer();
    let mut ids = tokenizer.ids(&question.reference)?;
    ids.extend(session.release().eos.first());

    let llm = session.llm()?;
    let length = assembled.embeddings.dim(1)?;
    let positions = Tensor::arange(0, length as u32, &Device::Cpu)?.unsqueeze(0)?;
    let mut cache = llm.cache(1)?;
    let mut refiner = session.hook(sight, &assembled)?;
    let hook: &mut dyn LayerHook = match &mut refiner {
        Some(refiner) => refiner,
        None => &mut NoHook,
    };
    let hidden = llm.prefill(&assembled.embeddings, &positions, &mut cache, hook)?;
    let mut logits = llm.logits(&hidden.narrow(1, length - 1, 1)?)?;
    for (position, &id) in (length as u32..).zip(&ids) {
        let row = logits.to_dtype(DType::F32)?.i((0, 0))?;
        let log_sum = row.to_dtype(DType::F64)?.log_sum_exp(0)?.to_scalar::<f64>()?;
        reading.losses.push(log_sum - f64::from(row.i(id as usize)?.to_scalar::<f32>()?));
        reading.likeliest.push(row.argmax(D::Minus1)?.to_scalar()?);
        let one = |value: u32| Tensor::new(&[[value]], &Device::Cpu);
        logits = llm.decode(&one(id)?, &one(position)?, &mut cache)?;
    }
    Ok(())
}
