//! Which split a scene may belong to.
//!
//! Not seeds are divided but what they lead to. The coarse description of a scene (what is where, which word in which
//! typeface, which numbers) is hashed, and its hash says which split owns it. A scene of another split is drawn anew. So
//! training and test scenes have nothing in common for any two seeds, which a look at the records proves.

use sha2::{Digest, Sha256};

use super::words::Typeface;
use super::{Body, Printed, Scene, Split};

/// Coarse cells of the floor, in metres, and of a drawing, in units of its longer side.
const METRES: f64 = 0.75;
const UNITS: f64 = 0.125;

/// The split that owns a key.
pub fn owner(key: &str) -> Split {
    let hash = Sha256::digest(key.as_bytes());
    match u16::from_be_bytes([hash[0], hash[1]]) % 10 {
        0..=7 => Split::Train,
        8 => Split::Val,
        _ => Split::Test,
    }
}

/// Coarse descriptions of a scene. All must belong to its split.
pub fn keys(scene: &Scene) -> Vec<String> {
    let cell = |at: f64, size: f64| (at / size).floor();
    match &scene.body {
        Body::Room(room) => {
            let mut things: Vec<String> = Vec::new();
            for o in &room.objects {
                let (x, y) = (cell(o.place.0, METRES), cell(o.place.1, METRES));
                things.push(format!("{} {} {} {x} {y}", o.size.word(), o.colour.word(), o.solid.word()));
            }
            things.sort_unstable();
            let printed = room.objects.iter().filter_map(|o| o.printed.as_ref());
            let mut all: Vec<String> = printed.filter_map(text_key).collect();
            all.push(format!("room: {}", things.join(", ")));
            all
        }
        Body::Flat(flat) => {
            let mut figures: Vec<String> = Vec::new();
            for d in &flat.figures {
                let (x, y) = (cell(d.place.0, UNITS), cell(d.place.1, UNITS));
                figures.push(format!("{} {} {} {x} {y}", d.size.word(), d.colour.word(), d.figure.word()));
            }
            figures.sort_unstable();
            vec![format!("flat: {}", figures.join(", "))]
        }
        Body::Page(page) => {
            let mut all: Vec<String> = page.texts.iter().filter_map(|t| text_key(&t.printed)).collect();
            let lines: Vec<String> =
                page.texts.iter().map(|t| format!("{} {}", t.printed.text, t.printed.face.word())).collect();
            all.push(format!("page: {}", lines.join(", ")));
            all
        }
        Body::Chart(chart) => {
            let pairs: Vec<String> = chart
                .labels
                .iter()
                .zip(&chart.values)
                .map(|(label, value)| format!("{label} {value}"))
                .collect();
            vec![format!("chart: {} {}", chart.chart.word(), pairs.join(", "))]
        }
    }
}

/// Numbers of three digits and more belong to one split; words and shorter numbers, of which there are few, do so in each
/// typeface. A single digit is everybody's.
pub fn text_owner(text: &str, face: Typeface) -> Option<Split> {
    text_words(text, face).map(|key| owner(&key))
}

fn text_key(printed: &Printed) -> Option<String> {
    text_words(&printed.text, printed.face)
}

fn text_words(text: &str, face: Typeface) -> Option<String> {
    let number = text.bytes().all(|b| b.is_ascii_digit());
    match (number, text.len()) {
        (true, 0 | 1) => None,
        (true, 3..) => Some(format!("number: {text}")),
        // The case of letters makes no other word of it.
        _ => Some(format!("text: {} {}", text.to_lowercase(), face.word())),
    }
}
