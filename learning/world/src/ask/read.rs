//! What is printed.

use super::{Ask, Question, Seen};
use crate::rng::Rng;
use crate::scene::Kind;
use crate::scene::words::{Class, LEXICON};
use crate::truth::Thing;

fn number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Three others of the same kind and length, written alike.
fn wrong(rng: &mut Rng, text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let upper = text.bytes().all(|b| !b.is_ascii_lowercase());
    let title = text.starts_with(|c: char| c.is_ascii_uppercase());
    let near: Vec<&str> =
        LEXICON.iter().copied().filter(|word| word.len().abs_diff(text.len()) <= 1).collect();
    for _ in 0..200 {
        if out.len() == 3 {
            break;
        }
        let other = if number(text) {
            // One digit is another.
            let at = rng.below(text.len());
            let digit = rng.whole(usize::from(at == 0 && text.len() > 1), 9);
            format!("{}{digit}{}", &text[..at], &text[at + 1..])
        } else {
            let word = rng.any(&near).unwrap_or("zoo");
            match (upper, title) {
                (true, _) => word.to_uppercase(),
                (false, true) => word[..1].to_uppercase() + &word[1..],
                _ => word.to_owned(),
            }
        };
        if !other.eq_ignore_ascii_case(text) && !out.iter().any(|o| o.eq_ignore_ascii_case(&other)) {
            out.push(other);
        }
    }
    out
}

fn question(rng: &mut Rng, number_of: usize, thing: &Thing, text: String) -> Option<Question> {
    let printed = thing.text.clone()?;
    let ask =
        if number(&printed) { Ask::Number { thing: number_of } } else { Ask::Word { thing: number_of } };
    let wrong = wrong(rng, &printed);
    Some(Question::new(rng, ask, text, printed, wrong))
}

pub(super) fn sign(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let (i, thing) = seen.truth.things.iter().enumerate().find(|(_, thing)| thing.class == Class::Sign)?;
    // A word is read whole or not at all.
    if thing.visible < 0.95 || !seen.truth.clear(thing) {
        return None;
    }
    let what = if number(thing.text.as_deref()?) { "number" } else { "word" };
    let text = match rng.below(2) {
        0 => format!("What {what} is written on the sign?"),
        _ => format!("Which {what} does the sign show?"),
    };
    question(rng, i + 1, thing, text)
}

pub(super) fn text(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    if seen.truth.kind != Kind::Page {
        return None;
    }
    let things = &seen.truth.things;
    let at = rng.below(things.len());
    let thing = things.get(at)?;
    let what = if thing.class == Class::Number { "number" } else { "word" };
    let alone = things.iter().filter(|other| other.class == thing.class).count() == 1;
    let text = if alone {
        match rng.below(2) {
            0 => format!("What {what} is printed in the image?"),
            _ => format!("What {what} do you see?"),
        }
    } else if rng.chance(0.6) {
        let alike = things.iter().filter(|o| o.class == thing.class && o.colour == thing.colour).count();
        if alike > 1 {
            return None;
        }
        format!("What is the {} {what}?", thing.colour?.word())
    } else if at == 0 && things.iter().skip(1).any(|other| other.class == thing.class) {
        format!("What is the first {what} from the top?")
    } else if at + 1 == things.len() {
        format!("What is the last {what}, at the bottom?")
    } else {
        format!("What is the {} {what}?", thing.colour?.word())
    };
    question(rng, at + 1, thing, text)
}
