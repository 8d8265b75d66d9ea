//! What a thing is like: its colour, shape, substance and size.

use super::name::{self, Using, name};
use super::{Ask, Question, Seen};
use crate::rng::Rng;
use crate::scene::Kind;
use crate::scene::words::{Colour, Figure, Material, Size, Solid};
use crate::truth::Thing;

/// A clear thing with a name made of what `using` allows.
fn named<'a>(rng: &mut Rng, seen: &Seen<'a>, using: Using) -> Option<(usize, &'a Thing, String)> {
    let mut clear = seen.clear();
    rng.shuffle(&mut clear);
    clear.into_iter().find_map(|(number, thing)| Some((number, thing, name(rng, seen.truth, number, using)?)))
}

/// `right` and three others: first those that other things of the picture have.
fn options(rng: &mut Rng, right: &str, there: Vec<&'static str>, all: Vec<&'static str>) -> Vec<String> {
    let mut near = there;
    let mut far = all;
    rng.shuffle(&mut near);
    rng.shuffle(&mut far);
    near.truncate(2);
    let mut out: Vec<String> = Vec::new();
    for word in near.into_iter().chain(far) {
        if word != right && !out.iter().any(|other| other == word) && out.len() < 3 {
            out.push(word.to_owned());
        }
    }
    out
}

pub(super) fn colour(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let (number, thing, name) = named(rng, seen, Using { colour: false, class: true })?;
    let right = thing.colour?.word();
    let text = match rng.below(3) {
        0 => format!("What color is the {name}?"),
        1 => format!("What is the color of the {name}?"),
        _ => format!("Which color does the {name} have?"),
    };
    let there = seen.things().filter_map(|(_, t)| Some(t.colour?.word())).collect();
    let all = Colour::ALL.iter().map(|colour| colour.word()).collect();
    let wrong = options(rng, right, there, all);
    Some(Question::new(rng, Ask::Colour { thing: number }, text, right.to_owned(), wrong))
}

pub(super) fn shape(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    // Where a sign has that colour too, nobody knows which is meant.
    let (number, thing, name) = named(rng, seen, Using { colour: true, class: false })?;
    let signs = seen.truth.things.iter().any(|other| other.text.is_some() && other.colour == thing.colour);
    if signs {
        return None;
    }
    let right = thing.class.word();
    let text = match rng.below(3) {
        0 => format!("What shape is the {name}?"),
        1 => format!("What is the shape of the {name}?"),
        _ => format!("Which shape does the {name} have?"),
    };
    let there = seen.things().map(|(_, t)| t.class.word()).collect();
    let all = match seen.truth.kind {
        Kind::Flat => Figure::ALL.iter().map(|figure| figure.word()).collect(),
        _ => Solid::THINGS.iter().map(|solid| solid.word()).collect(),
    };
    let wrong = options(rng, right, there, all);
    Some(Question::new(rng, Ask::Shape { thing: number }, text, right.to_owned(), wrong))
}

pub(super) fn material(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let (number, thing, name) = named(rng, seen, name::ALL)?;
    if Material::ALL.iter().any(|material| name.contains(material.word())) {
        return None;
    }
    let text = format!("Is the {name} matte, shiny or metal?");
    let all: Vec<&str> = Material::ALL.iter().map(|material| material.word()).collect();
    Some(Question::among(rng, Ask::Material { thing: number }, text, thing.material?.word(), &all))
}

pub(super) fn size(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let (number, thing, name) = named(rng, seen, name::ALL)?;
    if Size::ALL.iter().any(|size| name.contains(size.word())) {
        return None;
    }
    let text = format!("Is the {name} large or small?");
    let all: Vec<&str> = Size::ALL.iter().map(|size| size.word()).collect();
    Some(Question::among(rng, Ask::Size { thing: number }, text, thing.size?.word(), &all))
}
