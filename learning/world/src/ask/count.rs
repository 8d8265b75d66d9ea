//! How many, and whether at all.

use super::{Ask, Question, Seen};
use crate::rng::Rng;
use crate::scene::Kind;
use crate::scene::words::{Class, Colour, Figure, Solid, article, plural};
use crate::truth::Thing;

/// More are not counted.
pub(crate) const MOST: usize = 6;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Filter {
    class: Option<Class>,
    colour: Option<Colour>,
}

impl Filter {
    fn holds(&self, thing: &Thing) -> bool {
        self.class.is_none_or(|class| thing.class == class)
            && self.colour.is_none_or(|c| thing.colour == Some(c))
    }

    fn noun(&self, room: bool) -> &'static str {
        self.class.map_or(if room { "object" } else { "figure" }, Class::word)
    }

    fn one(&self, room: bool) -> String {
        let noun = self.noun(room);
        self.colour.map_or_else(|| noun.to_owned(), |colour| format!("{} {noun}", colour.word()))
    }

    fn many(&self, room: bool) -> String {
        plural(&self.one(room))
    }
}

/// Every class that could be in such a picture.
fn possible(seen: &Seen<'_>) -> Vec<Class> {
    match seen.truth.kind {
        Kind::Flat => Figure::ALL.iter().map(|figure| (*figure).into()).collect(),
        _ => Solid::THINGS.iter().map(|solid| (*solid).into()).collect(),
    }
}

/// How many there are, where nothing of the kind is in doubt.
fn number(seen: &Seen<'_>, filter: Filter) -> Option<usize> {
    let mut count = 0;
    for (_, thing) in seen.things() {
        if filter.holds(thing) {
            if !seen.truth.clear(thing) {
                return None;
            }
            count += 1;
        }
    }
    Some(count)
}

pub(super) fn count(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let (_, thing) = rng.any(&seen.clear())?;
    let (mut class, mut colour) = (thing.class, thing.colour?);
    // Sometimes there is none.
    if rng.chance(0.12) {
        class = rng.pick(&possible(seen));
        colour = rng.pick(Colour::ALL);
    }
    // Where a sign stands, nobody knows whether it is an object.
    let signs = seen.truth.things.iter().any(|thing| thing.class == Class::Sign);
    let filter = match rng.below(10) {
        0 | 1 if !signs => Filter { class: None, colour: None },
        0..=5 => Filter { class: Some(class), colour: None },
        6 | 7 if !signs => Filter { class: None, colour: Some(colour) },
        _ => Filter { class: Some(class), colour: Some(colour) },
    };
    let truth = number(seen, filter).filter(|count| *count <= MOST)?;
    let many = filter.many(seen.truth.kind == Kind::Room);
    let text = match rng.below(3) {
        0 => format!("How many {many} are there?"),
        1 => format!("How many {many} are in the image?"),
        _ => format!("How many {many} can you see?"),
    };
    // Four numbers in a row around the right one.
    let low = truth.saturating_sub(rng.below(4)).min(MOST + 1 - 3);
    let wrong = (low..low + 4).map(|n| n.to_string()).collect();
    let ask = Ask::Count { class: filter.class, colour: filter.colour };
    Some(Question::new(rng, ask, text, truth.to_string(), wrong))
}

pub(super) fn exists(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let clear = seen.clear();
    let yes = rng.chance(0.5);
    let form = rng.below(4);
    let signs = seen.truth.things.iter().any(|thing| thing.class == Class::Sign);
    let shaped = |class: Class, colour: Colour| match form {
        0 => Filter { class: Some(class), colour: None },
        1 if !signs => Filter { class: None, colour: Some(colour) },
        _ => Filter { class: Some(class), colour: Some(colour) },
    };
    let filter = if yes {
        let (_, thing) = rng.any(&clear)?;
        shaped(thing.class, thing.colour?)
    } else {
        let mut all = Vec::new();
        for class in possible(seen) {
            for colour in Colour::ALL.iter().copied() {
                let filter = shaped(class, colour);
                if number(seen, filter) == Some(0) && !all.contains(&filter) {
                    all.push(filter);
                }
            }
        }
        // Mostly the hard ones: something has that colour or that shape.
        let near = |filter: &Filter| {
            seen.things().any(|(_, t)| {
                filter.class == Some(t.class) || (filter.colour.is_some() && filter.colour == t.colour)
            })
        };
        let hard: Vec<Filter> = all.iter().copied().filter(near).collect();
        if rng.chance(0.7) { rng.any(&hard).or_else(|| all.first().copied())? } else { rng.any(&all)? }
    };
    let one = article(&filter.one(seen.truth.kind == Kind::Room));
    let text = match rng.below(3) {
        0 => format!("Is there {one} in the image?"),
        1 => format!("Can you see {one}?"),
        _ => format!("Is there {one}?"),
    };
    let ask = Ask::Existence { class: filter.class, colour: filter.colour };
    Some(Question::among(rng, ask, text, if yes { "yes" } else { "no" }, &["yes", "no"]))
}
