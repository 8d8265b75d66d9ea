//! Pictures in words, shortly and at length.

use std::fmt::Write as _;

use crate::rng::Rng;
use crate::scene::words::{Class, Material, Pattern, article, plural};
use crate::scene::{Back, Body, Scene};
use crate::truth::{self, Thing, Truth};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// A sentence that counts.
    Short,
    /// Two sentences: every thing by name.
    Medium,
    /// A paragraph: things with substance and size, where they are, the place.
    Long,
}

impl Length {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Short, Self::Medium, Self::Long];
}

/// What is to be seen, in words. A function of scene, truth and seed.
pub fn caption(scene: &Scene, truth: &Truth, length: Length, seed: u64) -> String {
    let mut rng = Rng::of(seed, &["caption", &truth.name], length as u64);
    match &scene.body {
        Body::Room(room) => {
            let floor = format!("{} floor", room.floor.weave.word());
            let behind = match &room.back {
                Back::Sky { .. } => "under an open sky".to_owned(),
                Back::Wall { texture, .. } => {
                    format!("in front of {}", article(&format!("{} wall", texture.weave.word())))
                }
            };
            let where_ = match length {
                Length::Short => format!("on {}", article(&floor)),
                _ => format!("on {} {behind}", article(&floor)),
            };
            things(&mut rng, truth, length, &where_)
        }
        Body::Flat(flat) => {
            let paper = article(&format!("{} background", flat.paper.weave.word()));
            things(&mut rng, truth, length, &format!("on {paper}"))
        }
        Body::Page(_) => page(truth, length),
        Body::Chart(chart) => {
            let kind = article(chart.chart.word());
            let mut text = match &chart.title {
                Some(title) => format!("{} titled \"{title}\"", capital(&kind)),
                None => capital(&kind),
            };
            let _ = write!(text, " with {} {}s", chart.values.len(), chart.chart.mark());
            if length == Length::Short {
                return text + ".";
            }
            let percent = if chart.chart == crate::scene::ChartKind::Pie { "%" } else { "" };
            let readable = percent.is_empty() || chart.printed;
            let item = |(label, value): (&String, &u32)| match length {
                Length::Long if readable => format!("{label} {value}{percent}"),
                _ => label.clone(),
            };
            let items: Vec<String> = chart.labels.iter().zip(&chart.values).map(item).collect();
            let _ = write!(text, ": {}.", listed(&items));
            let ends = chart.values.iter().zip(&chart.labels);
            if let (Length::Long, Some((_, label))) = (length, ends.max_by_key(|(value, _)| **value)) {
                let _ = write!(text, " {} has the highest value.", capital(label));
            }
            text
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// `a, b and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

const NUMBERS: &[&str] =
    &["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// `two red cubes`: equal phrases are said once.
fn counted(phrases: &[String]) -> Vec<String> {
    let mut seen: Vec<(&String, usize)> = Vec::new();
    for phrase in phrases {
        match seen.iter_mut().find(|(other, _)| *other == phrase) {
            Some((_, count)) => *count += 1,
            None => seen.push((phrase, 1)),
        }
    }
    let say = |(phrase, count): (&String, usize)| match count {
        1 => article(phrase),
        n => format!(
            "{} {}",
            NUMBERS.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned()),
            plural(phrase)
        ),
    };
    seen.into_iter().map(say).collect()
}

fn phrase(thing: &Thing, length: Length) -> String {
    let mut words = Vec::new();
    if length == Length::Long {
        words.extend(thing.size.map(|size| size.word()));
        words.extend(thing.material.filter(|m| *m != Material::Matte).map(|material| material.word()));
        words.extend(thing.pattern.filter(|p| *p != Pattern::Plain).map(|pattern| pattern.word()));
    }
    if thing.class != Class::Sign {
        words.extend(thing.colour.map(|colour| colour.word()));
    }
    words.push(thing.class.word());
    words.join(" ")
}

fn things(rng: &mut Rng, truth: &Truth, length: Length, place: &str) -> String {
    // From left to right, as one reads.
    let mut order: Vec<usize> = (0..truth.things.len()).filter(|i| truth.clear(&truth.things[*i])).collect();
    order.sort_by_key(|i| truth.things[*i].seen[0]);
    let said = |length| -> Vec<String> { order.iter().map(|i| phrase(&truth.things[*i], length)).collect() };
    if order.is_empty() {
        return format!("Nothing {place}.");
    }
    let phrases = counted(&said(length));
    if length == Length::Short && phrases.len() > 4 {
        let noun = if truth.things.iter().any(|thing| thing.space.is_some()) { "objects" } else { "figures" };
        let many =
            NUMBERS.get(order.len()).map_or_else(|| order.len().to_string(), |word| (*word).to_owned());
        return format!("{} {noun} {place}.", capital(&many));
    }
    let mut text = format!("{} {place}.", capital(&listed(&phrases)));
    for thing in order.iter().map(|i| &truth.things[*i]) {
        if let Some(printed) = &thing.text {
            let _ = write!(text, " The sign says \"{printed}\".");
        }
    }
    if length == Length::Long {
        // Two things that nobody confuses, and where they are.
        let mut pairs = Vec::new();
        for relation in &truth.relations {
            let (a, b) = (&truth.things[relation.of - 1], &truth.things[relation.to - 1]);
            let unique = |thing: &Thing| {
                let own = phrase(thing, Length::Medium);
                truth.clear(thing)
                    && truth.things.iter().filter(|t| phrase(t, Length::Medium) == own).count() == 1
            };
            if unique(a) && unique(b) {
                pairs.push((
                    phrase(a, Length::Medium),
                    phrase(b, Length::Medium),
                    truth::between(truth, a, b),
                ));
            }
        }
        rng.shuffle(&mut pairs);
        for (a, b, (x, y)) in pairs.into_iter().take(2) {
            let side = match (x, y) {
                (-1, _) => "to the left of",
                (1, _) => "to the right of",
                (_, -1) => "above",
                (_, 1) => "below",
                _ => continue,
            };
            let _ = write!(text, " The {a} is {side} the {b}.");
        }
    }
    text
}

fn page(truth: &Truth, length: Length) -> String {
    let item = |thing: &Thing| {
        let text = thing.text.as_deref().unwrap_or_default();
        match (length, thing.colour) {
            (Length::Long, Some(colour)) => {
                format!("the {} \"{text}\" in {}", thing.class.word(), colour.word())
            }
            _ => format!("the {} \"{text}\"", thing.class.word()),
        }
    };
    let items: Vec<String> = truth.things.iter().map(item).collect();
    match length {
        Length::Short => format!("{}.", capital(&listed(&items))),
        _ => format!("A page with {}, from top to bottom.", listed(&items)),
    }
}
