//! The model that the program carries with it: the same answers as in torch, and how many of them are right.
//!
//! `inputs/models/trilobite/holdout/` holds pictures that the model was not trained on, questions, the right answers and
//! those of `tests/reference/cambrian.py` with the same weights. `inputs/models/trilobite/export.py` makes them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use zoo_core::Precision;
use zoo_host::{ModelRequest, ModelSession, Sight};
use zoo_language::generate::Control;
use zoo_language::template::Conversation;
use zoo_models::TRILOBITE;
use zoo_tests::golden::{BOUND, compare};

const PLUGINS: [&str; 4] = ["plugins/clip", "plugins/convnext", "plugins/llama", "plugins/sva"];
/// Share of the questions in `holdout/` that must be answered right; a little below what was measured.
const RIGHT: f64 = 0.68;

/// A line of `holdout/questions.jsonl`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    image: String,
    #[serde(rename = "type")]
    kind: String,
    question: String,
    answer: String,
    /// The answer of the model in torch.
    reference: String,
}

/// `traces/<case>.json`.
#[derive(Deserialize)]
struct Case {
    image: Option<PathBuf>,
    question: String,
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../inputs/models/trilobite")
}

/// The model as the program opens it: unpacked from what is embedded.
fn session() -> ModelSession {
    let zoo = support::zoo(&PLUGINS, Precision::F32);
    let folder = TRILOBITE.unpack(&support::folder().join("models")).unwrap();
    zoo.model(&ModelRequest::new(folder.display().to_string()), &()).unwrap()
}

fn look(session: &ModelSession, image: &Path) -> Sight {
    session.look(&[zoo_preprocess::open(image, &Default::default()).unwrap()], &()).unwrap()
}

fn about(question: &str, image: bool) -> Conversation {
    let mut conversation = Conversation::new();
    match image {
        true => conversation.ask_about_image(question).unwrap(),
        false => conversation.ask(question).unwrap(),
    }
    conversation
}

#[test]
fn it_answers_as_in_torch_and_mostly_right() {
    let (session, holdout) = (session(), sources().join("holdout"));
    let lines = fs::read_to_string(holdout.join("questions.jsonl")).unwrap();
    let questions: Vec<Question> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(questions.len() >= 100);
    let mut sights: BTreeMap<&str, Sight> = BTreeMap::new();
    let (mut right, mut by_kind) = (0, BTreeMap::<&str, (usize, usize)>::new());
    for row in &questions {
        let sight = sights.entry(&row.image).or_insert_with(|| look(&session, &holdout.join(&row.image)));
        let conversation = about(&row.question, true);
        let control = Control { cancel: &AtomicBool::new(false), piece: &mut |_| {} };
        let said = session.answer(&conversation, sight, &session.defaults(), control).unwrap();
        assert_eq!(said.text, row.reference, "{}: {}", row.image, row.question);
        let count = by_kind.entry(&row.kind).or_default();
        count.1 += 1;
        if said.text == row.answer {
            count.0 += 1;
            right += 1;
        }
    }
    println!("{right} of {}: {by_kind:?}", questions.len());
    assert!(
        f64::from(right) >= RIGHT * questions.len() as f64,
        "{right} of {}: {by_kind:?}",
        questions.len()
    );
}

#[test]
fn its_numbers_are_those_of_torch() {
    let (session, traces) = (session(), sources().join("traces"));
    let mut seen = 0;
    for entry in fs::read_dir(&traces).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let case: Case = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let sight = case.image.as_ref().map_or_else(Sight::none, |image| look(&session, &traces.join(image)));
        let trace = session.trace(&about(&case.question, case.image.is_some()), &sight).unwrap();
        let golden =
            candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu).unwrap();
        let ids = |tensor: &Tensor| tensor.to_vec1::<i64>().unwrap();
        assert_eq!(ids(&trace.input_ids), ids(&golden["input_ids"]), "{}", path.display());
        assert_eq!(ids(&trace.generated), ids(&golden["generated"]), "{}", path.display());
        for (what, got) in [("image_tokens", &trace.image_tokens), ("logits", &trace.logits)] {
            assert_eq!(got.dims(), golden[what].dims(), "{}: {what}", path.display());
            if got.elem_count() > 0 {
                let difference = compare(got, &golden[what]).unwrap();
                assert!(difference.within(BOUND), "{}: {what}: {difference}", path.display());
            }
        }
        seen += 1;
    }
    assert!(seen >= 3, "{seen} traces");
}
