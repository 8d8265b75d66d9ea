//! What tells a thing from all others.

use crate::rng::Rng;
use crate::scene::words::Class;
use crate::truth::{Thing, Truth};

/// Which of its properties a name may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Using {
    pub colour: bool,
    pub class: bool,
}

pub(super) const ALL: Using = Using { colour: true, class: true };

/// One way to name a thing.
fn phrase(thing: &Thing, size: bool, material: bool, colour: bool, class: bool) -> Option<String> {
    let mut words = Vec::new();
    if size {
        words.push(thing.size?.word());
    }
    if material {
        words.push(thing.material?.word());
    }
    if colour {
        words.push(thing.colour?.word());
    }
    words.push(match class {
        true => thing.class.word(),
        false if thing.space.is_some() => "object",
        false => "figure",
    });
    Some(words.join(" "))
}

/// A name that no other thing of the picture has: the shortest one mostly, sometimes one with the colour.
pub(super) fn name(rng: &mut Rng, truth: &Truth, number: usize, using: Using) -> Option<String> {
    let thing = truth.things.get(number.checked_sub(1)?)?;
    let forms: &[(bool, bool, bool, bool)] = match (using.colour, using.class) {
        (true, true) => &[
            (false, false, false, true),
            (false, false, true, true),
            (true, false, true, true),
            (false, true, true, true),
            (true, true, true, true),
        ],
        (false, true) => {
            &[(false, false, false, true), (true, false, false, true), (false, true, false, true)]
        }
        (true, false) => {
            &[(false, false, true, false), (true, false, true, false), (false, true, true, false)]
        }
        (false, false) => return None,
    };
    let unique = |form: &(bool, bool, bool, bool)| {
        let (size, material, colour, class) = *form;
        let own = phrase(thing, size, material, colour, class)?;
        let others = truth
            .things
            .iter()
            .enumerate()
            .filter(|(i, other)| *i + 1 != number && other.class != Class::Sign);
        let alone = others
            .into_iter()
            .all(|(_, other)| phrase(other, size, material, colour, class) != Some(own.clone()));
        alone.then_some(own)
    };
    let names: Vec<String> = forms.iter().filter_map(unique).collect();
    if names.len() > 1 && rng.chance(0.35) { names.get(1).cloned() } else { names.first().cloned() }
}
