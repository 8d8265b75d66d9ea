//! Where things are: on the picture, before the camera, and to each other. The kinds and rules of CV-Bench.

use super::name::{self, name};
use super::{Ask, Question, Seen};
use crate::rng::Rng;
use crate::truth::{self, Thing};

/// Clear things that have a name, in random order.
fn named<'a>(rng: &mut Rng, seen: &Seen<'a>) -> Vec<(usize, &'a Thing, String)> {
    let mut clear = seen.clear();
    rng.shuffle(&mut clear);
    let all = clear.into_iter();
    all.filter_map(|(number, thing)| Some((number, thing, name(rng, seen.truth, number, name::ALL)?)))
        .collect()
}

pub(super) fn relation(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let named = named(rng, seen);
    let across = rng.chance(0.5);
    for (of, a, first) in &named {
        for (to, b, second) in named.iter().filter(|(to, ..)| to != of) {
            let (x, y) = truth::between(seen.truth, a, b);
            let (sign, words, axis) =
                if across { (x, ["left", "right"], 'x') } else { (y, ["above", "below"], 'y') };
            if sign == 0 {
                continue;
            }
            let right = words[usize::from(sign > 0)];
            let text = match rng.below(2) {
                0 => format!(
                    "Considering the relative positions of the {first} and the {second} in the image, where is the \
                     {first} located with respect to the {second}?"
                ),
                _ if across => format!("Is the {first} to the left or to the right of the {second}?"),
                _ => format!("Is the {first} above or below the {second} in the image?"),
            };
            return Some(Question::among(rng, Ask::Relation { of: *of, to: *to, axis }, text, right, &words));
        }
    }
    None
}

pub(super) fn depth(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let named = named(rng, seen);
    for (i, (a, first, a_name)) in named.iter().enumerate() {
        for (b, second, b_name) in &named[i + 1..] {
            let Some(closer) = truth::closer(first.space.as_ref()?, second.space.as_ref()?) else { continue };
            let text = match rng.below(2) {
                0 => format!(
                    "Which object is closer to the camera taking this photo, the {a_name} or the {b_name}?"
                ),
                _ => format!("Which is closer to the camera, the {a_name} or the {b_name}?"),
            };
            let right = if closer { a_name } else { b_name };
            return Some(Question::among(rng, Ask::Depth { a: *a, b: *b }, text, right, &[a_name, b_name]));
        }
    }
    None
}

pub(super) fn distance(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let named = named(rng, seen);
    for (anchor, middle, anchor_name) in &named {
        let others: Vec<_> = named.iter().filter(|(number, ..)| number != anchor).collect();
        for (i, (a, first, a_name)) in others.iter().enumerate() {
            for (b, second, b_name) in &others[i + 1..] {
                let (middle, first) = (middle.space.as_ref()?, first.space.as_ref()?);
                let Some(closer) = truth::nearer_to(middle, first, second.space.as_ref()?) else { continue };
                let text = match rng.below(2) {
                    0 => format!(
                        "Estimate the real-world distances between objects in this image. Which object is closer to \
                         the {anchor_name}, the {a_name} or the {b_name}?"
                    ),
                    _ => {
                        format!("Which object is closer to the {anchor_name}, the {a_name} or the {b_name}?")
                    }
                };
                let right = if closer { a_name } else { b_name };
                let ask = Ask::Distance { anchor: *anchor, a: *a, b: *b };
                return Some(Question::among(rng, ask, text, right, &[a_name, b_name]));
            }
        }
    }
    None
}
