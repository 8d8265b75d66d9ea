//! The loop on models whose every answer is known.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/model.rs"]
mod model;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use model::TableModel;
use zoo_core::{Grid, ImageBlock, LanguageModel, LayerHook, NoHook};
use zoo_language::Error;
use zoo_language::generate::{Assembled, Control, Finish, Generated, Generator, Options};
use zoo_language::sampling::Sampling;
use zoo_language::template::{Conversation, Template};
use zoo_language::tokens::{IMAGE_ID, NewlineAfterImage, Tokenized, Tokenizer};

/// Length of the prompt of scripted answers.
const PROMPT: usize = 3;

fn options() -> Options {
    Options {
        sampling: Sampling::default(),
        max_new_tokens: 100,
        stop_strings: Vec::new(),
        stop_ids: Vec::new(),
    }
}

fn prompt(model: &dyn LanguageModel, ids: &[u32]) -> Tensor {
    model.embed(&Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap()).unwrap()
}

/// A model that answers a prompt of three tokens with `answer`, and then end-of-text.
fn answering(tokenizer: &Tokenizer, answer: &[u32], max_positions: usize) -> TableModel {
    let end = tokenizer.id("<|eot_id|>").or(tokenizer.id("</s>")).unwrap();
    let script = [&[0; PROMPT], answer, &[end]].concat();
    TableModel::scripted(tokenizer.length(), max_positions, script)
}

fn run(model: &TableModel, tokenizer: &Tokenizer, options: &Options) -> (Generated, Vec<String>) {
    let mut pieces = Vec::new();
    let control =
        Control { cancel: &AtomicBool::new(false), piece: &mut |piece: &str| pieces.push(piece.to_owned()) };
    let embeddings = prompt(model, &[7; PROMPT]);
    let generated = Generator::new(model, tokenizer).run(&embeddings, &mut NoHook, options, control).unwrap();
    assert_eq!(pieces.concat(), generated.text);
    assert!(pieces.iter().all(|piece| !piece.is_empty()));
    (generated, pieces)
}

/// Runs a scripted answer until the end mark of `template`.
#[track_caller]
fn check(tokenizer: &str, answer: &str, stops: &[&str], text: &str, finish: &Finish) {
    let tokenizer = support::tokenizer(tokenizer);
    let ids = tokenizer.ids(answer).unwrap();
    let model = answering(&tokenizer, &ids, 1000);
    let end = tokenizer.id("<|eot_id|>").or(tokenizer.id("</s>")).unwrap();
    let stop_strings = stops.iter().map(|s| (*s).to_owned()).collect();
    let (got, _) = run(&model, &tokenizer, &Options { stop_strings, stop_ids: vec![end], ..options() });
    assert_eq!((got.text.as_str(), &got.finish), (text, finish));
}

#[test]
fn answers_stream_as_whole_characters() {
    for file in ["tokenizer-bytelevel", "tokenizer-sentencepiece"] {
        let tokenizer = support::tokenizer(file);
        let answer = "A  naïve 犬, and 🦕🦕\n\n done ";
        let ids = tokenizer.ids(answer).unwrap();
        let model = answering(&tokenizer, &ids, 1000);
        let stop_ids = vec![tokenizer.id("<|eot_id|>").or(tokenizer.id("</s>")).unwrap()];
        let (got, pieces) = run(&model, &tokenizer, &Options { stop_ids: stop_ids.clone(), ..options() });
        assert_eq!(got.text, answer);
        assert_eq!(got.finish, Finish::StopId(stop_ids[0]));
        assert_eq!(got.ids, [ids, stop_ids].concat());
        assert!(pieces.len() > 5 && pieces.iter().any(|p| p == "🦕"), "{pieces:?}");

        // Every token was fed once, at its own position.
        let fed = [vec![7; PROMPT], got.ids[..got.ids.len() - 1].to_vec()].concat();
        assert_eq!(*model.seen.lock().unwrap(), fed.into_iter().zip(0..).collect::<Vec<_>>());
    }
}

#[test]
fn broken_bytes_do_not_stop_the_stream() {
    let tokenizer = support::tokenizer("tokenizer-sentencepiece");
    let id = |token: &str| tokenizer.id(token).unwrap();
    let answer = [id("<0xC3>"), id("<0xA9>"), id("<0xF0>"), id("<0x9F>"), id("A"), id("B"), id("<0xF0>")];
    let model = answering(&tokenizer, &answer, 1000);
    let (got, _) = run(&model, &tokenizer, &Options { max_new_tokens: answer.len(), ..options() });
    assert_eq!(got.text, "é\u{FFFD}\u{FFFD}AB\u{FFFD}");
}

#[test]
fn stop_strings_cut_and_special_tokens_stop() {
    let ends = |stop: &str| Finish::StopString(stop.into());
    check("tokenizer-bytelevel", "Yes.###Human: more", &["###"], "Yes.", &ends("###"));
    check("tokenizer-sentencepiece", "Yes.\n\nHuman: more", &["\n\n"], "Yes.", &ends("\n\n"));
    let tokenizer = support::tokenizer("tokenizer-sentencepiece");
    let end = Finish::StopId(tokenizer.id("<|end|>").unwrap());
    check("tokenizer-sentencepiece", "Yes. #<|end|>\nmore", &["##", "<|end|>"], "Yes. #", &end);
    let end = Finish::StopId(tokenizer.id("</s>").unwrap());
    check("tokenizer-sentencepiece", "Yes.", &[], "Yes.", &end);
}

#[test]
fn a_template_brings_its_end_marks() {
    let options = Options::of(Template::named("llama_3").unwrap());
    assert_eq!(options.stop_strings, ["<|eot_id|>", "<|end_of_text|>"]);
    assert_eq!((options.max_new_tokens, options.sampling.temperature), (512, 0.0));
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let model = answering(&tokenizer, &tokenizer.ids("Hi").unwrap(), 1000);
    assert_eq!(
        run(&model, &tokenizer, &options).0.finish,
        Finish::StopId(tokenizer.id("<|eot_id|>").unwrap())
    );
}

#[test]
fn answers_end_at_their_length_and_at_the_context() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let answer = tokenizer.ids("What is unusual here?").unwrap();
    let run = |positions, max_new_tokens| {
        run(&answering(&tokenizer, &answer, positions), &tokenizer, &Options { max_new_tokens, ..options() })
            .0
    };
    for count in 0..4 {
        let got = run(1000, count);
        assert_eq!((got.ids.as_slice(), got.finish), (&answer[..count], Finish::MaxTokens));
    }
    // Three positions for the prompt; the last token that is written takes none.
    let got = run(PROMPT + 2, 100);
    assert_eq!((got.ids.as_slice(), got.finish), (&answer[..3], Finish::ContextFull));
    assert_eq!(run(PROMPT, 100).ids, answer[..1]);
}

fn failure(model: &TableModel, embeddings: &Tensor) -> Error {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let control = Control { cancel: &AtomicBool::new(false), piece: &mut |_| {} };
    Generator::new(model, &tokenizer).run(embeddings, &mut NoHook, &options(), control).unwrap_err()
}

#[test]
fn a_prompt_that_is_too_long_or_a_batch_is_refused() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let model = answering(&tokenizer, &[], PROMPT - 1);
    let error = failure(&model, &prompt(&model, &[7; PROMPT])).to_string();
    assert!(error.contains("the prompt takes 3 positions") && error.contains("table has 2"), "{error}");
    assert!(model.seen.lock().unwrap().is_empty(), "refused before any work");
    let error = failure(&model, &Tensor::zeros((2, 1, 2), candle_core::DType::F32, &Device::Cpu).unwrap());
    assert!(error.to_string().contains("a batch of 2"), "{error}");
}

#[test]
fn an_answer_can_be_cancelled() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let model = answering(&tokenizer, &tokenizer.ids("ABCDEF").unwrap(), 1000);
    let (cancel, mut text) = (AtomicBool::new(false), String::new());
    let generator = Generator::new(&model, &tokenizer);
    let mut piece = |piece: &str| {
        text.push_str(piece);
        cancel.store(text.len() >= 3, Ordering::Relaxed);
    };
    let control = Control { cancel: &cancel, piece: &mut piece };
    let got = generator.run(&prompt(&model, &[7; PROMPT]), &mut NoHook, &options(), control).unwrap();
    assert_eq!((got.text.as_str(), got.finish), ("ABC", Finish::Cancelled));

    model.seen.lock().unwrap().clear();
    let control = Control { cancel: &AtomicBool::new(true), piece: &mut |_| {} };
    let got = generator.run(&prompt(&model, &[7; PROMPT]), &mut NoHook, &options(), control).unwrap();
    assert_eq!((got.ids.len(), got.finish), (0, Finish::Cancelled));
    assert!(model.seen.lock().unwrap().is_empty(), "not even the prompt was read");
}

/// Moves the last position of the prompt forward, so that a scripted model skips tokens.
struct Skip(usize);

impl LayerHook for Skip {
    fn after(&self) -> Vec<usize> {
        vec![0]
    }
    fn call(&mut self, _: usize, _: usize, hidden: Tensor) -> zoo_core::Result<Tensor> {
        self.0 += 1;
        Ok((hidden + 1.0)?)
    }
}

#[test]
fn hooks_see_the_prompt_and_nothing_else() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let answer = tokenizer.ids("ABCD").unwrap();
    let model = answering(&tokenizer, &answer, 1000);
    let mut hook = Skip(0);
    let control = Control { cancel: &AtomicBool::new(false), piece: &mut |_| {} };
    let options = Options { max_new_tokens: 3, ..options() };
    let generator = Generator::new(&model, &tokenizer);
    let got = generator.run(&prompt(&model, &[7; PROMPT]), &mut hook, &options, control).unwrap();
    assert_eq!(got.ids, [answer[1], answer[1], answer[2]]);
    assert_eq!(hook.0, 1);
}

/// Logits that depend on the token before and on its position.
fn wavy(id: u32, position: u32) -> Vec<f32> {
    (0..12_u8).map(|v| 3.0 * (f32::from(v) * 1.3 + id as f32 * 0.7 + position as f32 * 0.37).sin()).collect()
}

#[test]
fn options_are_weighed_by_likelihood() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let model = TableModel::new(12, 6, Box::new(wavy));
    let generator = Generator::new(&model, &tokenizer);
    let embeddings = prompt(&model, &[1, 2, 5]);
    let choices = vec![vec![4], vec![7, 3], vec![9], vec![2, 2, 11, 0]];
    let got = generator.log_likelihoods(&embeddings, &mut NoHook, &choices).unwrap();
    for (choice, got) in choices.iter().zip(got) {
        let (mut last, mut expected) = (5, 0.0);
        for (position, &id) in (2..).zip(choice) {
            let logits: Vec<f64> = wavy(last, position).into_iter().map(f64::from).collect();
            expected += logits[id as usize] - logits.iter().map(|x| x.exp()).sum::<f64>().ln();
            last = id;
        }
        assert!((got - expected).abs() < 1e-9, "{choice:?}: {got}, expected {expected}");
    }
    for (choice, message) in [
        (vec![], "option 0 has no tokens"),
        (vec![99], "token 99 cannot be generated"),
        (vec![1; 5], "takes 7 positions"),
    ] {
        let error = generator.log_likelihoods(&embeddings, &mut NoHook, &[choice]).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn images_stand_where_their_placeholders_were() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let model = answering(&tokenizer, &[], 1000);
    let mut conversation = Conversation::new();
    conversation.ask("<image>\nand <image>?").unwrap();
    let rendered = Template::named("llama_3").unwrap().render(&conversation).unwrap();
    let tokenized = tokenizer.encode(&rendered, NewlineAfterImage::Keep).unwrap();
    let block = |h, w, value| ImageBlock {
        tokens: Tensor::full(value, (h * (w + 1), 2), &Device::Cpu).unwrap(),
        grid: Grid { h, w },
        newline: true,
    };
    let blocks = [block(2, 3, -1_f64), block(1, 2, -2_f64)];
    let assembled = Assembled::new(&model, &Device::Cpu, &tokenized, &blocks).unwrap();
    let ids: Vec<f32> =
        assembled.embeddings.squeeze(0).unwrap().to_vec2::<f32>().unwrap().iter().map(|row| row[0]).collect();
    let mut expected = Vec::new();
    let mut images = [(8, -1.0), (3, -2.0)].into_iter();
    for id in &tokenized.ids {
        if *id == IMAGE_ID {
            let (length, value) = images.next().unwrap();
            expected.extend(vec![value; length]);
        } else {
            expected.push(*id as f32);
        }
    }
    assert_eq!(ids, expected);
    for (image, value) in assembled.images.iter().zip([-1.0, -2.0]) {
        assert!(ids[image.start..image.end()].iter().all(|id| *id == value));
        assert!(ids[image.start - 1] >= 0.0 && ids[image.end()] >= 0.0);
    }

    let error = Assembled::new(&model, &Device::Cpu, &tokenized, &blocks[..1]).unwrap_err().to_string();
    assert!(error.contains("2 places for images and 1 images are given"), "{error}");
    let error = Assembled::new(&model, &Device::Cpu, &Tokenized::default(), &[]).unwrap_err().to_string();
    assert!(error.contains("has no text"), "{error}");
}
