//! Records of conversations, as LLaVA writes them.

use serde_json::{Value, json};

use crate::ask::{Length, Question, caption};
use crate::rng::Rng;
use crate::scene::{Kind, Scene};
use crate::truth::Truth;

/// Suffixes that make short answers conditional on being asked for.
pub(super) const SHORT: &str = "Answer the question using a single word or phrase.";
pub(super) const LETTER: &str = "Answer with the option's letter from the given choices directly.";

fn record(truth: &Truth, image: &str, id: &str, turns: &[(String, String)]) -> Value {
    let mut conversations = Vec::new();
    for (i, (ask, say)) in turns.iter().enumerate() {
        let ask = if i == 0 { format!("<image>\n{ask}") } else { ask.clone() };
        conversations.push(json!({"from": "human", "value": ask}));
        conversations.push(json!({"from": "gpt", "value": say}));
    }
    json!({"id": id, "image": image, "conversations": conversations, "source": format!("world/{}", truth.kind.word())})
}

/// What asks for a description of that length.
fn request(rng: &mut Rng, length: Length) -> &'static str {
    match length {
        Length::Short => rng.pick(&[
            "Describe the image concisely.",
            "What is in the image?",
            "Give a short caption.",
            "Write a brief caption.",
        ]),
        Length::Medium => {
            rng.pick(&["Describe the image.", "What does the image show?", "What can you see?"])
        }
        Length::Long => rng.pick(&[
            "Describe the image in detail.",
            "What is in the image, and where?",
            "Write a detailed description.",
        ]),
    }
}

/// Alignment: one record with a caption of one length; which one is chance.
pub(super) fn captions(scene: &Scene, truth: &Truth, image: &str, seed: u64) -> Value {
    let mut rng = Rng::of(seed, &["alignment", &truth.name], 0);
    let length = rng.pick(&[Length::Short, Length::Short, Length::Medium, Length::Medium, Length::Long]);
    let turns = [(request(&mut rng, length).to_owned(), caption(scene, truth, length, seed))];
    record(truth, image, &format!("{}-caption", truth.name), &turns)
}

/// Letters of options.
pub(super) fn letter(at: usize) -> char {
    char::from(b'A' + u8::try_from(at.min(25)).unwrap_or(25))
}

/// The options of a question, each on a line: `A. red` or, as CV-Bench writes them, `(A) red`.
pub(super) fn options(question: &Question, bracket: bool) -> String {
    let line = |(i, choice): (usize, &String)| match bracket {
        true => format!("({}) {choice}", letter(i)),
        false => format!("{}. {choice}", letter(i)),
    };
    question.choices.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Instruction: a conversation with all questions about a picture, in several forms. `None` where there is nothing to ask.
pub(super) fn conversation(
    scene: &Scene,
    truth: &Truth,
    questions: &[Question],
    image: &str,
    seed: u64,
) -> Option<Value> {
    let mut rng = Rng::of(seed, &["instruct", &truth.name], 0);
    let mut turns = Vec::new();
    for question in questions {
        let answer = question.answer().to_owned();
        let right = letter(question.correct).to_string();
        turns.push(match rng.below(10) {
            0..=4 => (format!("{}\n{SHORT}", question.text), answer),
            5..=7 => (format!("{}\n{}\n{LETTER}", question.text, options(question, false)), right),
            _ => {
                let list = options(question, true);
                (format!("{} Select from the following choices.\n{list}\n{LETTER}", question.text), right)
            }
        });
    }
    if rng.chance(0.3) {
        let length = rng.pick(Length::ALL);
        let at = rng.below(turns.len() + 1);
        turns.insert(at, (request(&mut rng, length).to_owned(), caption(scene, truth, length, seed)));
    }
    if truth.kind == Kind::Page && rng.chance(0.4) {
        let lines: Vec<&str> = truth.things.iter().filter_map(|thing| thing.text.as_deref()).collect();
        turns.push(("Read all text in the image, from top to bottom.".to_owned(), lines.join("\n")));
    }
    (!turns.is_empty()).then(|| record(truth, image, &truth.name, &turns))
}
