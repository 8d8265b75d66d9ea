//! Batches, beams and dialogues on models whose every answer is known.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/model.rs"]
mod model;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use model::TableModel;
use zoo_core::{Grid, ImageBlock, LanguageModel, NoHook};
use zoo_language::generate::{
    Beams, Control, Dialogue, Finish, Generated, Generator, Hypothesis, Options, Prompt, Reading,
};
use zoo_language::sampling::Sampling;
use zoo_language::tokens::{IMAGE_ID, Tokenized, Tokenizer};

const VOCAB: u8 = 12;
const END: u32 = 11;

/// Logits that depend on the token before and on its position.
fn wavy(id: u32, position: u32) -> Vec<f32> {
    let one = |v: u8| 2.0 * (f32::from(v) * 1.3 + id as f32 * 0.7 + position as f32 * 0.37).sin();
    (0..VOCAB).map(one).collect()
}

fn wave(positions: usize) -> TableModel {
    TableModel::new(VOCAB.into(), positions, Box::new(wavy))
}

fn tokenizer() -> Tokenizer {
    support::tokenizer("tokenizer-bytelevel")
}

fn options(max_new_tokens: usize) -> Options {
    Options { sampling: Sampling::default(), max_new_tokens, stop_strings: Vec::new(), stop_ids: vec![END] }
}

fn embed(model: &dyn LanguageModel, ids: &[u32]) -> Tensor {
    model.embed(&Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap()).unwrap()
}

static GO: AtomicBool = AtomicBool::new(false);

fn alone(model: &TableModel, prompt: &[u32], options: &Options) -> Generated {
    let tokenizer = tokenizer();
    let control = Control { cancel: &GO, piece: &mut |_| {} };
    Generator::new(model, &tokenizer).run(&embed(model, prompt), &mut NoHook, options, control).unwrap()
}

#[test]
fn a_batch_is_a_loop_over_its_rows() {
    let prompts: [&[u32]; 5] = [&[1, 2, 5], &[3], &[0, 4, 4, 4, 9, 2, 7], &[8, 6], &[1, 2, 5]];
    let tokenizer = tokenizer();
    for (positions, max_new_tokens, temperature) in
        [(100, 20, 0.0), (100, 20, 1.3), (9, 20, 0.0), (100, 0, 0.0)]
    {
        let model = wave(positions);
        let sampling = Sampling { temperature, ..Sampling::default() };
        let options = Options { sampling, ..options(max_new_tokens) };
        let embedded = prompts.map(|p| embed(&model, p));
        let together =
            Generator::new(&model, &tokenizer).run_batch(&embedded, &mut NoHook, &options, &GO).unwrap();
        let singly: Vec<_> = prompts.iter().map(|p| alone(&model, p, &options)).collect();
        assert_eq!(together, singly);
        let reasons: std::collections::HashSet<_> =
            singly.iter().map(|g| std::mem::discriminant(&g.finish)).collect();
        assert!(max_new_tokens == 0 || reasons.len() > 1, "rows that end at different times: {singly:?}");
    }
}

#[test]
fn a_batch_is_refused_or_cancelled_as_a_whole() {
    let (tokenizer, model) = (tokenizer(), wave(3));
    let generator = Generator::new(&model, &tokenizer);
    let run = |prompts: &[Tensor], cancel| {
        generator.run_batch(prompts, &mut NoHook, &options(5), &AtomicBool::new(cancel))
    };
    assert!(run(&[], false).unwrap().is_empty());
    let error = run(&[embed(&model, &[1]), embed(&model, &[1; 4])], false).unwrap_err().to_string();
    assert!(error.contains("takes 4 positions") && error.contains("table has 3"), "{error}");
    let got = run(&[embed(&model, &[1]), embed(&model, &[2])], true).unwrap();
    assert!(got.iter().all(|g| g.finish == Finish::Cancelled && g.ids.is_empty()));
    assert!(model.seen.lock().unwrap().is_empty(), "nothing was read");
}

fn search(model: &TableModel, prompt: &[u32], options: &Options, beams: &Beams) -> Vec<Hypothesis> {
    let tokenizer = tokenizer();
    Generator::new(model, &tokenizer)
        .beam_search(&embed(model, prompt), &mut NoHook, options, beams, &GO)
        .unwrap()
}

/// Every answer of at most `most` tokens, with its log-likelihood.
fn all_answers(last: u32, position: u32, most: usize) -> Vec<(Vec<u32>, f64)> {
    let logits: Vec<f64> = wavy(last, position).into_iter().map(f64::from).collect();
    let total = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
    let mut out = Vec::new();
    for (id, logit) in (0..).zip(logits) {
        if id == END || most == 1 {
            out.push((vec![id], logit - total));
        } else {
            let longer = all_answers(id, position + 1, most - 1).into_iter();
            out.extend(longer.map(|(ids, score)| ([vec![id], ids].concat(), score + logit - total)));
        }
    }
    out
}

#[test]
fn a_search_that_is_wide_enough_finds_the_best_of_all() {
    for length_penalty in [0.0, 1.0, -0.5] {
        let beams = Beams { length_penalty, ..Beams::new(1728) };
        let got = search(&wave(100), &[1, 2, 5], &options(3), &beams);
        let mut expected = all_answers(5, 2, 3);
        expected.iter_mut().for_each(|(ids, score)| *score /= (ids.len() as f64).powf(length_penalty));
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(got.len(), expected.len());
        for (got, (ids, score)) in got.iter().zip(&expected) {
            assert!((got.score - score).abs() < 1e-9);
            assert_eq!(&got.generated.ids, ids);
        }
    }
}

#[test]
fn one_beam_is_greedy_search() {
    for prompt in [&[1, 2, 5][..], &[3], &[8, 6]] {
        let model = wave(12);
        let got = search(&model, prompt, &options(20), &Beams::new(1));
        assert_eq!(got[0].generated, alone(&model, prompt, &options(20)));
    }
}

#[test]
fn beams_end_at_texts_at_their_length_and_when_told() {
    let tokenizer = tokenizer();
    let (model, beams) = (wave(100), Beams::new(3));
    let text = |id: u32| tokenizer.decode(&[id]).unwrap();
    let free = search(&model, &[1, 2, 5], &Options { stop_ids: vec![], ..options(6) }, &beams);
    assert!(free.iter().all(|h| h.generated.finish == Finish::MaxTokens && h.generated.ids.len() == 6));
    let stop = text(free[0].generated.ids[2]) + &text(free[0].generated.ids[3]);
    let stopped = Options { stop_strings: vec![stop.clone()], stop_ids: vec![], ..options(6) };
    let got = search(&model, &[1, 2, 5], &stopped, &beams);
    let found = got.iter().find(|h| h.generated.ids == free[0].generated.ids[..4]).unwrap();
    assert_eq!(found.generated.finish, Finish::StopString(stop));
    assert_eq!(found.generated.text, tokenizer.decode(&found.generated.ids[..2]).unwrap());
    let short = search(&wave(5), &[1, 2, 5], &options(20), &beams);
    assert!(short.iter().all(|h| h.generated.ids.len() <= 3));
    assert!(short.iter().any(|h| h.generated.finish == Finish::ContextFull));

    let cancelled = Generator::new(&model, &tokenizer)
        .beam_search(&embed(&model, &[1]), &mut NoHook, &options(5), &beams, &AtomicBool::new(true))
        .unwrap();
    assert!(cancelled.iter().all(|h| h.generated.finish == Finish::Cancelled && h.generated.ids.len() == 1));
    for (beams, temperature) in [(Beams::new(0), 0.0), (beams, 0.7)] {
        let options = Options { sampling: Sampling { temperature, ..Sampling::default() }, ..options(5) };
        let error = Generator::new(&model, &tokenizer)
            .beam_search(&embed(&model, &[1]), &mut NoHook, &options, &beams, &GO)
            .unwrap_err();
        assert!(error.to_string().contains("one beam or more and temperature 0"), "{error}");
    }
}

fn ids(ids: &[i64]) -> Tokenized {
    Tokenized { ids: ids.to_vec(), labels: vec![] }
}

fn block(value: f64) -> ImageBlock {
    let tokens = Tensor::full(value as f32, (6, 2), &Device::Cpu).unwrap();
    ImageBlock { tokens, grid: Grid { h: 2, w: 2 }, newline: true }
}

/// Asks and returns the answer, how much was kept, and the positions that the model was fed.
fn ask(
    dialogue: &mut Dialogue<'_>,
    model: &TableModel,
    tokens: &[i64],
    blocks: &[ImageBlock],
) -> (Vec<u32>, Reading, Vec<u32>) {
    model.seen.lock().unwrap().clear();
    let tokens = ids(tokens);
    let prompt = Prompt { tokens: &tokens, blocks, refine: None };
    let control = Control { cancel: &GO, piece: &mut |_| {} };
    let (got, reading) = dialogue.answer(&prompt, &options(4), &mut |_, _| {}, control).unwrap();
    let fed = model.seen.lock().unwrap().iter().map(|(_, position)| *position).collect();
    (got.ids, reading, fed)
}

#[test]
fn a_dialogue_reads_only_what_is_new() {
    // Says 1, 2, 3, 4 and so on after whatever comes last.
    let counting =
        |id: u32, _| (0..u32::from(VOCAB)).map(|v| f32::from(u8::from(v == (id + 1) % 10))).collect();
    let (tokenizer, model) = (tokenizer(), TableModel::new(VOCAB.into(), 64, Box::new(counting)));
    let generator = Generator::new(&model, &tokenizer);
    let mut dialogue = Dialogue::new(&generator, &Device::Cpu).unwrap().with_chunk(4);
    let read = |kept, length| Reading { kept, length };
    let image = [block(-1.0)];

    let (answer, reading, fed) = ask(&mut dialogue, &model, &[5, IMAGE_ID, 7, 0], &image);
    assert_eq!((answer, reading), (vec![1, 2, 3, 4], read(0, 9)));
    assert_eq!(fed, (0..12).collect::<Vec<_>>());
    assert_eq!(dialogue.length(), 12);

    // The next turn: the last token of the answer was never read.
    let turn = [5, IMAGE_ID, 7, 0, 1, 2, 3, 4, 0];
    let (answer, reading, fed) = ask(&mut dialogue, &model, &turn, &[block(-1.0)]);
    assert_eq!((answer, reading), (vec![1, 2, 3, 4], read(12, 14)));
    assert_eq!(fed, (12..17).collect::<Vec<_>>());

    // The same once more: only the last token has to be read again.
    assert_eq!(ask(&mut dialogue, &model, &turn, &image).1, read(13, 14));
    // An edited answer, and then another image: read from there on.
    assert_eq!(ask(&mut dialogue, &model, &[5, IMAGE_ID, 7, 0, 1, 9, 3, 4, 0], &image).1, read(10, 14));
    let (_, reading, fed) = ask(&mut dialogue, &model, &turn, &[block(-2.0)]);
    assert_eq!((reading, fed[0]), (read(1, 14), 1));
    // A prompt that ends in the middle of what is known, and in an image.
    assert_eq!(ask(&mut dialogue, &model, &[5, IMAGE_ID, 7], &[block(-2.0)]).1, read(7, 8));
    assert_eq!(ask(&mut dialogue, &model, &[5, IMAGE_ID], &[block(-2.0)]).1, read(1, 7));
    dialogue.reset().unwrap();
    assert_eq!((dialogue.length(), ask(&mut dialogue, &model, &[5], &[]).1), (0, read(0, 1)));
}

#[test]
fn reading_is_followed_in_chunks_and_can_be_cancelled() {
    let (tokenizer, model) = (tokenizer(), wave(64));
    let generator = Generator::new(&model, &tokenizer);
    let mut dialogue = Dialogue::new(&generator, &Device::Cpu).unwrap().with_chunk(3);
    let tokens = ids(&[1, 2, IMAGE_ID, 3, 4, 5, 6, 7]);
    let image = [block(-1.0)];
    let prompt = Prompt { tokens: &tokens, blocks: &image, refine: None };
    let cancel = AtomicBool::new(false);
    let mut steps = Vec::new();
    let mut progress = |read, of| {
        steps.push((read, of));
        cancel.store(read >= 8, Ordering::Relaxed);
    };
    let control = Control { cancel: &cancel, piece: &mut |_| {} };
    let (got, _) = dialogue.answer(&prompt, &options(4), &mut progress, control).unwrap();
    assert_eq!((got.ids.len(), got.finish), (0, Finish::Cancelled));
    assert_eq!(steps, [(0, 13), (2, 13), (8, 13)], "an image is one chunk, however long");

    steps.clear();
    let control = Control { cancel: &GO, piece: &mut |_| {} };
    let mut progress = |read, of| steps.push((read, of));
    let (got, reading) = dialogue.answer(&prompt, &options(4), &mut progress, control).unwrap();
    assert_eq!(steps, [(8, 13), (11, 13), (13, 13)]);
    assert_eq!(reading, Reading { kept: 8, length: 13 });
    assert_eq!(got.ids.len(), 4);
}

#[test]
fn a_dialogue_that_is_too_long_says_so_and_can_go_on() {
    let (tokenizer, model) = (tokenizer(), wave(6));
    let generator = Generator::new(&model, &tokenizer);
    let mut dialogue = Dialogue::new(&generator, &Device::Cpu).unwrap();
    let mut ask = |tokens: &[i64], blocks: &[ImageBlock]| {
        let tokens = ids(tokens);
        let prompt = Prompt { tokens: &tokens, blocks, refine: None };
        let control = Control { cancel: &GO, piece: &mut |_| {} };
        dialogue.answer(&prompt, &options(9), &mut |_, _| {}, control).map_err(|error| error.to_string())
    };
    assert_eq!(ask(&[1, 2], &[]).unwrap().1.kept, 0);
    let error = ask(&[1; 7], &[]).unwrap_err();
    assert!(
        error.contains("takes 7 positions") && error.contains("shorten the prompt or the history"),
        "{error}"
    );
    assert!(ask(&[1, IMAGE_ID], &[block(-1.0)]).unwrap_err().contains("takes 7 positions"));
    assert!(ask(&[1, IMAGE_ID], &[]).unwrap_err().contains("1 places for images and 0 images"));
    assert!(ask(&[], &[]).unwrap_err().contains("no text"));
    assert_eq!(ask(&[1, 2, 3], &[]).unwrap().1.kept, 2);
}
