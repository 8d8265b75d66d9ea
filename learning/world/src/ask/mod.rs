//! Questions that a picture answers, each with what it is about, so that every answer can be looked up again.

mod caption;
mod chart;
mod count;
mod name;
mod place;
mod read;
mod what;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;
use crate::scene::words::{Class, Colour};
use crate::scene::{Kind, Scene};
use crate::truth::{Thing, Truth};

pub use caption::{Length, caption};

/// What is asked, as data. Things are numbers in the mask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the fields are what the variants say")]
pub enum Ask {
    /// How many things have that class and colour, where they are given.
    Count { class: Option<Class>, colour: Option<Colour> },
    /// Whether there is such a thing.
    Existence { class: Option<Class>, colour: Option<Colour> },
    /// The colour of a thing.
    Colour { thing: usize },
    /// The shape of a thing.
    Shape { thing: usize },
    /// What a thing is made of.
    Material { thing: usize },
    /// Which of two sizes a thing has.
    Size { thing: usize },
    /// Where one thing is as seen from another: along the axis `x` or `y`.
    Relation { of: usize, to: usize, axis: char },
    /// Which of two is closer to the camera.
    Depth { a: usize, b: usize },
    /// Which of two is closer to a third.
    Distance { anchor: usize, a: usize, b: usize },
    /// The word that is printed there.
    Word { thing: usize },
    /// The number that is printed there.
    Number { thing: usize },
    /// The number that a mark of a chart stands for.
    Value { thing: usize },
    /// The mark that stands for the most, or the least.
    Extreme { most: bool },
    /// How many marks a chart has.
    Marks,
    /// What kind of chart it is.
    Chart,
}

impl Ask {
    /// Its kind, as scores are kept apart by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Count { .. } => "count",
            Self::Existence { .. } => "existence",
            Self::Colour { .. } => "color",
            Self::Shape { .. } => "shape",
            Self::Material { .. } => "material",
            Self::Size { .. } => "size",
            Self::Relation { .. } => "relation",
            Self::Depth { .. } => "depth",
            Self::Distance { .. } => "distance",
            Self::Word { .. } => "word",
            Self::Number { .. } => "number",
            Self::Value { .. } => "chart-value",
            Self::Extreme { .. } => "chart-extreme",
            Self::Marks => "chart-count",
            Self::Chart => "chart-kind",
        }
    }

    /// All kinds.
    pub const KINDS: &[&str] = &[
        "count",
        "existence",
        "color",
        "shape",
        "material",
        "size",
        "relation",
        "depth",
        "distance",
        "word",
        "number",
        "chart-value",
        "chart-extreme",
        "chart-count",
        "chart-kind",
    ];
}

/// A question, its answer, and options of which exactly one is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked, as data.
    #[serde(flatten)]
    pub ask: Ask,
    /// What is asked, in words.
    pub text: String,
    /// The options, no two alike.
    pub choices: Vec<String>,
    /// Which of them is right.
    pub correct: usize,
}

impl Question {
    /// The right answer.
    pub fn answer(&self) -> &str {
        self.choices.get(self.correct).map_or("", String::as_str)
    }

    /// With the right answer among `wrong` ones, in random order.
    fn new(rng: &mut Rng, ask: Ask, text: String, right: String, wrong: Vec<String>) -> Self {
        let mut choices = wrong;
        choices.retain(|choice| *choice != right);
        rng.shuffle(&mut choices);
        let correct = rng.below(choices.len() + 1);
        choices.insert(correct, right);
        Self { ask, text, choices, correct }
    }

    /// Two or more options that are all named, in random order.
    fn among(rng: &mut Rng, ask: Ask, text: String, right: &str, all: &[&str]) -> Self {
        let wrong = all.iter().map(|word| (*word).to_owned()).collect();
        Self::new(rng, ask, text, right.to_owned(), wrong)
    }
}

/// Everything that questions are made from.
struct Seen<'a> {
    scene: &'a Scene,
    truth: &'a Truth,
}

impl<'a> Seen<'a> {
    /// Things that are counted and compared, with their numbers: no signs, words or marks.
    fn things(&self) -> impl Iterator<Item = (usize, &'a Thing)> + use<'a> {
        let bodies = matches!(self.truth.kind, Kind::Room | Kind::Flat);
        let things = self.truth.things.iter().enumerate().map(|(i, thing)| (i + 1, thing));
        things.filter(move |(_, thing)| bodies && thing.class != Class::Sign)
    }

    /// Those of which enough is seen.
    fn clear(&self) -> Vec<(usize, &'a Thing)> {
        let truth = self.truth;
        self.things().filter(|(_, thing)| truth.clear(thing)).collect()
    }
}

/// Questions about a picture, at most one of each kind and form, in random order. A function of scene, truth and seed.
pub fn questions(scene: &Scene, truth: &Truth, seed: u64) -> Vec<Question> {
    let mut rng = Rng::of(seed, &["questions", &truth.name], 0);
    let seen = Seen { scene, truth };
    let mut out: Vec<Question> = Vec::new();
    let makers: &[fn(&mut Rng, &Seen<'_>) -> Option<Question>] = match truth.kind {
        Kind::Room => &[
            count::count,
            count::count,
            count::exists,
            count::exists,
            what::colour,
            what::shape,
            what::material,
            what::size,
            place::relation,
            place::relation,
            place::depth,
            place::distance,
            read::sign,
        ],
        Kind::Flat => &[
            count::count,
            count::count,
            count::exists,
            count::exists,
            what::colour,
            what::shape,
            what::size,
            place::relation,
            place::relation,
        ],
        Kind::Page => &[read::text, read::text],
        Kind::Chart => {
            &[chart::kind, chart::value, chart::value, chart::extreme, chart::extreme, chart::marks]
        }
    };
    for make in makers {
        if let Some(question) = make(&mut rng, &seen)
            && !out.iter().any(|other| other.ask == question.ask || other.text == question.text)
        {
            out.push(question);
        }
    }
    rng.shuffle(&mut out);
    out
}
