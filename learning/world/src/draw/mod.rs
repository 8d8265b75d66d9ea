//! How scenes come to be: drawn from a seed, a split and a number.

mod chart;
mod flat;
mod page;
mod room;

use crate::maths::V3;
use crate::rng::Rng;
use crate::scene::words::{Colour, Typeface};
use crate::scene::{Body, Kind, Scene, Sensor, Split, Texture, Weave, keys, owner, text_owner, words};

/// Which pictures there are, and how many of each kind for each hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mix {
    /// Bodies in space.
    pub room: u32,
    /// Figures on paper.
    pub flat: u32,
    /// Words and numbers.
    pub page: u32,
    /// Charts.
    pub chart: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self { room: 50, flat: 20, page: 18, chart: 12 }
    }
}

impl Mix {
    /// Only one kind.
    pub fn only(kind: Kind) -> Self {
        let mut mix = Self { room: 0, flat: 0, page: 0, chart: 0 };
        *mix.weight(kind) = 1;
        mix
    }

    /// How much there is of a kind.
    pub fn weight(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Room => &mut self.room,
            Kind::Flat => &mut self.flat,
            Kind::Page => &mut self.page,
            Kind::Chart => &mut self.chart,
        }
    }

    fn kind(mut self, rng: &mut Rng) -> Kind {
        let total: u32 = Kind::ALL.iter().map(|kind| *self.weight(*kind)).sum();
        let mut at = rng.below(total.max(1) as usize) as u32;
        for kind in Kind::ALL {
            let weight = *self.weight(*kind);
            if at < weight {
                return *kind;
            }
            at -= weight;
        }
        Kind::Room
    }
}

/// More attempts than any split needs: one of ten is the least that a split owns.
const ATTEMPTS: usize = 2000;

/// The scene of that number. The same for the same arguments, on every machine and in every order.
pub fn scene(seed: u64, mix: Mix, split: Split, index: u64) -> Scene {
    let mut rng = Rng::of(seed, &["scene", split.word()], index);
    let kind = mix.kind(&mut rng);
    let mut last = attempt(&mut rng, kind, split, index);
    for _ in 0..ATTEMPTS {
        let nothing = crate::classes(&last.body).is_empty();
        if !nothing && keys(&last).iter().all(|key| owner(key) == split) {
            break;
        }
        last = attempt(&mut rng, kind, split, index);
    }
    last
}

fn attempt(rng: &mut Rng, kind: Kind, split: Split, index: u64) -> Scene {
    let aspect = rng.pick(&[(1, 1), (1, 1), (4, 3), (4, 3), (3, 4)]);
    let body = match kind {
        Kind::Room => Body::Room(room::draw(rng, split, aspect)),
        Kind::Flat => Body::Flat(flat::draw(rng, aspect)),
        Kind::Page => Body::Page(page::draw(rng, split, aspect)),
        Kind::Chart => Body::Chart(chart::draw(rng)),
    };
    let clean = kind == Kind::Chart || rng.chance(0.25);
    let sensor = Sensor {
        noise: if clean { 0.0 } else { rng.range(0.5, 5.0) },
        blur: if clean || rng.chance(0.6) { 0.0 } else { rng.range(0.1, 0.8) },
        vignette: if clean { 0.0 } else { rng.range(0.0, 0.3) },
        seed: rng.bits() as u32,
    };
    Scene { split, index, aspect, body, sensor }
}

/// A colour exactly: near the one that has the name.
fn tint(rng: &mut Rng, colour: Colour) -> V3 {
    let base = colour.albedo();
    let mut near = |x: f64| crate::maths::rounded((x * rng.range(0.88, 1.12)).min(0.9), 4);
    V3(near(base.0), near(base.1), near(base.2))
}

/// A grey with a breath of colour, between two brightnesses: grounds never look like what stands on them.
fn muted(rng: &mut Rng, low: f64, high: f64) -> V3 {
    let grey = rng.range(low, high);
    let warm = rng.range(-0.16, 0.3);
    let green = rng.range(-0.05, 0.08);
    let part = |share: f64| crate::maths::rounded((grey * (1.0 + share)).clamp(0.0, 1.0), 4);
    V3(part(warm), part(green), part(-warm))
}

/// Paper or a floor: `scale` is the length of one repeat.
fn texture(rng: &mut Rng, weaves: &[Weave], scale: (f64, f64), light: (f64, f64)) -> Texture {
    let weave = rng.pick(weaves);
    let first = muted(rng, light.0, light.1);
    let contrast = match weave {
        Weave::Planks | Weave::Bricks | Weave::Grid => rng.range(0.35, 0.6),
        Weave::Checker | Weave::Stripes => rng.range(0.6, 0.85),
        _ => rng.range(0.5, 0.8),
    };
    let darker = |x: f64| crate::maths::rounded(x * contrast, 4);
    let second = V3(darker(first.0), darker(first.1), darker(first.2));
    let turn = if rng.chance(0.5) { 0.0 } else { rng.range(-0.6, 0.6) };
    Texture {
        weave,
        scale: rng.range(scale.0, scale.1),
        turn,
        colours: [first, second],
        seed: rng.bits() as u32,
    }
}

/// A word or number that belongs to the split in that typeface.
fn wording(rng: &mut Rng, split: Split, face: Typeface, number: bool) -> String {
    let mut text = String::new();
    for _ in 0..ATTEMPTS {
        text = if number {
            let digits = rng.pick(&[1, 2, 2, 3, 3, 3, 4]);
            let low = if digits == 1 { 0 } else { 10usize.pow(digits - 1) };
            rng.whole(low, 10usize.pow(digits) - 1).to_string()
        } else {
            let word = rng.pick(words::LEXICON).to_owned();
            match rng.below(3) {
                0 => word,
                1 => word.to_uppercase(),
                _ => word[..1].to_uppercase() + &word[1..],
            }
        };
        if text_owner(&text, face).is_none_or(|owner| owner == split) {
            break;
        }
    }
    text
}

/// Strokes that are no figures.
fn scribbles(rng: &mut Rng, most: usize, (w, h): (f64, f64), paper: V3) -> Vec<crate::scene::Scribble> {
    let count = if rng.chance(0.5) { 0 } else { rng.whole(1, most) };
    (0..count)
        .map(|_| {
            let mut at = (rng.range(0.0, w), rng.range(0.0, h));
            let mut points = vec![at];
            for _ in 0..rng.whole(1, 5) {
                at = (at.0 + rng.range(-0.25, 0.25), at.1 + rng.range(-0.25, 0.25));
                points.push(at);
            }
            let share = rng.range(0.72, 0.88);
            let tone = |x: f64| crate::maths::rounded(x * share, 4);
            crate::scene::Scribble {
                points: points
                    .iter()
                    .map(|p| (crate::maths::rounded(p.0, 4), crate::maths::rounded(p.1, 4)))
                    .collect(),
                width: rng.range(0.003, 0.008),
                tone: V3(tone(paper.0), tone(paper.1), tone(paper.2)),
            }
        })
        .collect()
}
