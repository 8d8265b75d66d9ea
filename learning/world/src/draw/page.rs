//! Pages: one to four words or numbers, each on a line of its own.

use crate::render::outline;
use crate::rng::Rng;
use crate::scene::words::{Colour, Typeface};
use crate::scene::{Page, Printed, Split, Text, Weave, extent};

use super::{scribbles, texture, tint, wording};

pub(super) fn draw(rng: &mut Rng, split: Split, aspect: (u32, u32)) -> Page {
    let (w, h) = extent(aspect);
    let bright = rng.chance(0.65);
    let light = if bright { (0.5, 0.8) } else { (0.06, 0.13) };
    let weaves = [Weave::Plain, Weave::Plain, Weave::Gradient, Weave::Speckle, Weave::Grid, Weave::Marble];
    let paper = texture(rng, &weaves, (0.1, 0.4), light);
    let scribbles = scribbles(rng, 4, (w, h), paper.colours[0]);
    let lines = rng.pick(&[1, 1, 2, 2, 3, 4]);
    let mut texts: Vec<Text> = Vec::new();
    let inks: &[Colour] = if bright {
        &[Colour::Black, Colour::Red, Colour::Blue, Colour::Purple, Colour::Green]
    } else {
        &[Colour::White, Colour::Yellow, Colour::Cyan, Colour::Pink, Colour::Orange]
    };
    // No colour twice: questions point with it.
    let inks = rng.some(inks, lines);
    let row = h / lines as f64;
    for (line, ink) in inks.into_iter().enumerate() {
        let face = rng.pick(Typeface::ALL);
        let number = rng.chance(0.4);
        let mut text = wording(rng, split, face, number);
        while texts.iter().any(|other| other.printed.text.eq_ignore_ascii_case(&text)) {
            text = wording(rng, split, face, number);
        }
        let (_, half) = outline::text(&text, face);
        // With its plate, the text fits into its row and the width.
        let turn = if lines <= 2 && rng.chance(0.4) { rng.range(-0.2, 0.2) } else { 0.0 };
        let most = (0.9 * w / (2.0 * half + 0.6)).min(row / (1.9 + half * turn.abs() * 2.2)).min(0.22);
        let height = rng.range(most.min(0.05).max(most * 0.6), most);
        let reach = (half + 0.3) * height;
        let slack = (w / 2.0 - reach - 0.01).max(0.0);
        let place = (
            crate::maths::rounded(w / 2.0 + rng.range(-1.0, 1.0) * slack, 4),
            crate::maths::rounded(row * (line as f64 + 0.5), 4),
        );
        let plate = rng.chance(0.25).then(|| super::muted(rng, light.0, light.1));
        let printed = Printed { text, face, colour: ink, tint: tint(rng, ink) };
        texts.push(Text { printed, place, height, turn, plate });
    }
    Page { paper, scribbles, texts }
}
