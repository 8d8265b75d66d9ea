//! Drawings: figures on quiet paper, some touching, none hidden much.

use crate::rng::Rng;
use crate::scene::words::{Colour, Figure, Size};
use crate::scene::{Drawn, Flat, Style, Weave, extent};

use super::{scribbles, texture, tint};

pub(super) fn draw(rng: &mut Rng, aspect: (u32, u32)) -> Flat {
    let (w, h) = extent(aspect);
    let weaves = [
        Weave::Plain,
        Weave::Plain,
        Weave::Gradient,
        Weave::Speckle,
        Weave::Grid,
        Weave::Stripes,
        Weave::Marble,
    ];
    let bright = rng.chance(0.6);
    let light = if bright { (0.4, 0.56) } else { (0.14, 0.3) };
    let paper = texture(rng, &weaves, (0.12, 0.5), light);
    let scribbles = scribbles(rng, 5, (w, h), paper.colours[0]);
    let figures = {
        let n = rng.whole(1, 4);
        rng.some(Figure::ALL, n)
    };
    let colours = {
        let n = rng.whole(1, 4);
        rng.some(Colour::ALL, n)
    };
    let style = rng.pick(&[Style::Filled, Style::Filled, Style::Bordered, Style::Outlined]);
    // In some drawings figures overlap a little.
    let apart = if rng.chance(0.3) { 0.86 } else { 1.06 };
    let mut out: Vec<Drawn> = Vec::new();
    for _ in 0..rng.whole(1, 9) {
        let (figure, colour) = (rng.pick(&figures), rng.pick(&colours));
        let size = if rng.chance(0.5) { Size::Large } else { Size::Small };
        let radius = match size {
            Size::Large => rng.range(0.12, 0.15),
            Size::Small => rng.range(0.055, 0.07),
        };
        // A square that stands on its corner is a diamond.
        let turn = match figure {
            Figure::Square | Figure::Diamond | Figure::Cross | Figure::Heart => rng.range(-0.14, 0.14),
            Figure::Star | Figure::Triangle | Figure::Hexagon => rng.range(-0.3, 0.3),
            Figure::Circle | Figure::Ring => 0.0,
            Figure::Crescent => rng.range(-3.0, 3.0),
        };
        let tint = tint(rng, colour);
        for _ in 0..40 {
            let place =
                (rng.range(radius + 0.01, w - radius - 0.01), rng.range(radius + 0.01, h - radius - 0.01));
            let free = out.iter().all(|other| {
                let (dx, dy) = (other.place.0 - place.0, other.place.1 - place.1);
                let gap = apart * (other.radius + radius);
                dx * dx + dy * dy > gap * gap
            });
            if free {
                out.push(Drawn { figure, colour, tint, size, place, radius, turn, style });
                break;
            }
        }
    }
    Flat { paper, scribbles, figures: out }
}
