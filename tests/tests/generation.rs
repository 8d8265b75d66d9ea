//! Beams, batches and dialogues on real decoders: against transformers, and against one prompt at a time.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use support::plugins;
use zoo_core::sdk::OpenOptions;
use zoo_core::{
    Connector, ConnectorInputs, Fused, Grid, ImageBlock, ImageRefiner, LanguageModel, LayerHook, NoHook,
    PlacedImage, Spec,
};
use zoo_host::plugins::PluginDoor;
use zoo_language::generate::{Beams, Control, Dialogue, Generated, Generator, Options, Prompt};
use zoo_language::sampling::Sampling;
use zoo_language::tokens::{IMAGE_ID, Tokenized, Tokenizer};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The tiny model of the plugin's own golden files.
fn llama(door: &PluginDoor) -> Box<dyn LanguageModel> {
    let golden = Path::new(ROOT).join("plugins/llama/golden");
    let case: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(golden.join("llama.json")).unwrap()).unwrap();
    let spec: Spec = serde_json::from_value(
        serde_json::json!({"id": "tiny", "architecture": "llama", "arch": case["arch"]}),
    )
    .unwrap();
    let options = OpenOptions { weights: vec![golden.join("llama.safetensors")], ..OpenOptions::default() };
    door.open_llm(&spec, &options).unwrap()
}

fn doors() -> [PluginDoor; 2] {
    [PluginDoor::Static(&zoo_llama::PLUGIN), plugins(&["plugins/llama"]).get("llama").unwrap()]
}

/// Knows every id of the tiny model.
fn tokenizer() -> Tokenizer {
    Tokenizer::from_file(Path::new(ROOT).join("inputs/language/golden/tokenizer-bytelevel.json")).unwrap()
}

fn embed(model: &dyn LanguageModel, ids: &[u32]) -> Tensor {
    model.embed(&Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap()).unwrap()
}

fn options(max_new_tokens: usize, stop_ids: Vec<u32>) -> Options {
    Options { sampling: Sampling::default(), max_new_tokens, stop_strings: Vec::new(), stop_ids }
}

static GO: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Deserialize)]
struct Case {
    prompt: Vec<u32>,
    count: usize,
    length_penalty: f64,
    early_stopping: bool,
    stop_ids: Vec<u32>,
    max_new_tokens: usize,
    repetition_penalty: f64,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    ids: Vec<u32>,
    score: f64,
}

#[test]
fn beams_equal_those_of_transformers() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("inputs/language/golden/beams.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 20);
    let tokenizer = tokenizer();
    for door in doors() {
        let model = llama(&door);
        let generator = Generator::new(model.as_ref(), &tokenizer);
        for case in &cases {
            let Case { count, length_penalty, early_stopping, .. } = *case;
            let sampling = Sampling { repetition_penalty: case.repetition_penalty, ..Sampling::default() };
            let options = Options { sampling, ..options(case.max_new_tokens, case.stop_ids.clone()) };
            let beams = Beams { count, length_penalty, early_stopping };
            let prompt = embed(model.as_ref(), &case.prompt);
            let found = generator.beam_search(&prompt, &mut NoHook, &options, &beams, &GO).unwrap();
            let ids: Vec<_> = found.iter().map(|h| &h.generated.ids).collect();
            assert_eq!(ids, case.answers.iter().map(|a| &a.ids).collect::<Vec<_>>(), "{case:?}");
            for (ours, theirs) in found.iter().zip(&case.answers) {
                let off = (ours.score - theirs.score).abs();
                assert!(off < 1e-4 * theirs.score.abs(), "{} and {}", ours.score, theirs.score);
            }
        }
    }
}

/// An aggregator that looks between the layers of the tiny model, and what it saw on images of these sizes.
fn aggregator(sizes: &[(u32, u32)]) -> (Box<dyn Connector>, Fused, Vec<ImageBlock>) {
    let spec: Spec = serde_json::from_value(serde_json::json!({
        "id": "eyes", "architecture": "sva",
        "arch": {
            "vision_hidden_size": 32, "inputs": [12, 10], "token_lens": [16, 64], "output": 36,
            "image_token_len": 16, "query_num_list": [16], "connector_depth": 2, "connector_only": false,
            "num_of_vision_sampler_layers": 2, "start_of_vision_sampler_layers": 0,
            "stride_of_vision_sampler_layers": 1
        }
    }))
    .unwrap();
    let door = PluginDoor::Static(&zoo_sva::PLUGIN);
    let connector =
        door.open_connector(&spec, &OpenOptions { random: Some(5), ..OpenOptions::default() }).unwrap();
    let noise = |shape: &[usize], seed| zoo_tests::noise::uniform(shape, seed);
    let features = vec![noise(&[sizes.len(), 16, 12], 1), noise(&[sizes.len(), 64, 10], 2)];
    let fused = connector.forward(&ConnectorInputs { features, image_sizes: sizes.to_vec() }).unwrap();
    let blocks = (0..sizes.len()).map(|row| connector.block(&fused, row).unwrap()).collect();
    (connector, fused, blocks)
}

/// Token embeddings and image blocks one after the other, and where the blocks stand.
fn assemble(
    model: &dyn LanguageModel,
    tokens: &Tokenized,
    blocks: &[ImageBlock],
    sequence: usize,
    first: usize,
) -> (Tensor, Vec<PlacedImage>) {
    let assembled = zoo_language::generate::Assembled::new(model, &Device::Cpu, tokens, blocks).unwrap();
    let placed = assembled.images.into_iter();
    let placed = placed.map(|image| PlacedImage { sequence, image: image.image + first, ..image });
    (assembled.embeddings, placed.collect())
}

fn tokens(ids: &[i64]) -> Tokenized {
    Tokenized { ids: ids.to_vec(), labels: vec![] }
}

fn alone(
    model: &dyn LanguageModel,
    embeddings: &Tensor,
    hook: &mut dyn LayerHook,
    options: &Options,
) -> Generated {
    let control = Control { cancel: &GO, piece: &mut |_| {} };
    Generator::new(model, &tokenizer()).run(embeddings, hook, options, control).unwrap()
}

#[test]
fn a_batch_with_images_is_a_loop_over_its_rows() {
    let (connector, fused, blocks) = aggregator(&[(60, 60), (80, 40)]);
    let prompts = [tokens(&[5, 17, IMAGE_ID, 80, 3]), tokens(&[9; 20]), tokens(&[IMAGE_ID, 4])];
    let tokenizer = tokenizer();
    for door in doors() {
        let model = llama(&door);
        let model = model.as_ref();
        let options = options(16, (0..97).step_by(11).collect());
        let rows = [
            assemble(model, &prompts[0], &blocks[..1], 0, 0),
            assemble(model, &prompts[1], &[], 1, 0),
            assemble(model, &prompts[2], &blocks[1..], 2, 1),
        ];
        let singly = rows.each_ref().map(|(embeddings, placed)| {
            let placed = placed.iter().map(|image| PlacedImage { sequence: 0, ..image.clone() });
            let mut hook = ImageRefiner::new(connector.as_ref(), &fused, placed.collect()).unwrap();
            alone(model, embeddings, &mut hook, &options)
        });
        let placed = rows.iter().flat_map(|(_, placed)| placed.clone()).collect();
        let mut hook = ImageRefiner::new(connector.as_ref(), &fused, placed).unwrap();
        let prompts = rows.map(|(embeddings, _)| embeddings);
        let generator = Generator::new(model, &tokenizer);
        let together = generator.run_batch(&prompts, &mut hook, &options, &GO).unwrap();
        assert_eq!(together, singly);
        assert!(singly.iter().any(|g| g.ids.len() > 3), "{singly:?}");
    }
}

#[test]
fn a_dialogue_answers_as_if_it_read_everything() {
    let (connector, fused, blocks) = aggregator(&[(60, 60), (40, 80)]);
    assert_eq!(blocks[1].grid, Grid { h: 4, w: 2 });
    let tokenizer = tokenizer();
    for door in doors() {
        let model = llama(&door);
        let model = model.as_ref();
        let generator = Generator::new(model, &tokenizer);
        let mut dialogue = Dialogue::new(&generator, &Device::Cpu).unwrap().with_chunk(7);
        let options = options(6, vec![]);
        let mut history = vec![5, 17, IMAGE_ID, 80, 3, 8, 8, 1];
        let mut kept = Vec::new();
        for turn in 0..4_i64 {
            // A second image, then an edited beginning.
            match turn {
                2 => history.extend([IMAGE_ID, 6]),
                3 => history[4] = 44,
                _ => {}
            }
            let tokens = tokens(&history);
            let blocks = &blocks[..tokens.images().len()];
            let (embeddings, placed) = assemble(model, &tokens, blocks, 0, 0);
            let mut hook = ImageRefiner::new(connector.as_ref(), &fused, placed).unwrap();
            let whole = alone(model, &embeddings, &mut hook, &options);
            let prompt = Prompt { tokens: &tokens, blocks, refine: Some((connector.as_ref(), &fused)) };
            let control = Control { cancel: &GO, piece: &mut |_| {} };
            let (got, reading) = dialogue.answer(&prompt, &options, &mut |_, _| {}, control).unwrap();
            assert_eq!(got, whole, "turn {turn}");
            assert_eq!(reading.length, embeddings.dim(1).unwrap());
            kept.push(reading.kept);
            history.extend(got.ids.iter().map(|&id| i64::from(id)));
            history.push(60 + turn);
        }
        // 8 entries with an image of 20; 5 of 6 tokens of each answer were read; the edit is behind the image.
        assert_eq!(kept, [0, 27 + 5, 34 + 5, 23]);
    }
}
