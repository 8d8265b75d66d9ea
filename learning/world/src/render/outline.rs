//! Outlines of figures, strokes and letters.

use std::sync::LazyLock;

use ttf_parser::{Face, OutlineBuilder};

use super::canvas::Outlines;
use crate::scene::words::{Figure, Typeface};

type Outline = Vec<(f64, f64)>;

/// Corners that a circle gets.
const CORNERS: usize = 72;

fn around(count: usize, at: impl Fn(f64) -> (f64, f64)) -> Outline {
    (0..count).map(|i| at(std::f64::consts::TAU * i as f64 / count as f64)).collect()
}

/// A circle.
pub(crate) fn circle((x, y): (f64, f64), r: f64) -> Outline {
    around(CORNERS, |a| (x + r * libm::cos(a), y + r * libm::sin(a)))
}

/// The same outline, wound the other way.
pub(crate) fn reversed(mut outline: Outline) -> Outline {
    outline.reverse();
    outline
}

/// A rectangle with upper left and lower right corner.
pub(crate) fn rectangle((x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> Outline {
    vec![(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
}

/// A slice of a disc from one angle to another, in the direction of the clock.
pub(crate) fn slice((x, y): (f64, f64), r: f64, from: f64, to: f64) -> Outline {
    let steps = ((to - from).abs() * 24.0).ceil().max(2.0) as usize;
    let mut outline = vec![(x, y)];
    outline.extend((0..=steps).map(|i| {
        let a = from + (to - from) * i as f64 / steps as f64;
        (x + r * libm::cos(a), y + r * libm::sin(a))
    }));
    outline
}

/// A figure in the circle of radius 1 about the origin; y goes down.
pub(crate) fn figure(figure: Figure) -> Outlines {
    let regular = |n: usize, first: f64| around(n, |a| (libm::cos(a + first), libm::sin(a + first)));
    let up = -std::f64::consts::FRAC_PI_2;
    vec![match figure {
        Figure::Circle => circle((0.0, 0.0), 0.92),
        Figure::Square => rectangle((-0.78, -0.78), (0.78, 0.78)),
        Figure::Triangle => vec![(0.0, -0.95), (0.95, 0.72), (-0.95, 0.72)],
        Figure::Star => {
            let r = |i: usize| if i.is_multiple_of(2) { 1.0 } else { 0.42 };
            (0..10)
                .map(|i| (up + std::f64::consts::PI * i as f64 / 5.0, r(i)))
                .map(|(a, r)| (r * libm::cos(a), r * libm::sin(a)))
                .collect()
        }
        Figure::Cross => {
            let (a, b) = (0.3, 0.92);
            vec![
                (-a, -b),
                (a, -b),
                (a, -a),
                (b, -a),
                (b, a),
                (a, a),
                (a, b),
                (-a, b),
                (-a, a),
                (-b, a),
                (-b, -a),
                (-a, -a),
            ]
        }
        Figure::Heart => around(CORNERS, |t| {
            let sin = libm::sin(t);
            let y = 13.0 * libm::cos(t)
                - 5.0 * libm::cos(2.0 * t)
                - 2.0 * libm::cos(3.0 * t)
                - libm::cos(4.0 * t);
            (sin * sin * sin * 0.92, -y / 17.4 - 0.08)
        }),
        Figure::Diamond => vec![(0.0, -1.0), (0.62, 0.0), (0.0, 1.0), (-0.62, 0.0)],
        Figure::Hexagon => regular(6, 0.0),
        Figure::Ring => return vec![circle((0.0, 0.0), 0.95), reversed(circle((0.0, 0.0), 0.52))],
        Figure::Crescent => {
            // Two arcs that meet at two tips: of a circle about the origin, and of one whose centre lies to the right.
            let (outer, open, centre) = (0.95, 0.9, 0.5);
            let whole = std::f64::consts::TAU;
            let big = (0..=48).map(|i| {
                let a = open + (whole - 2.0 * open) * f64::from(i) / 48.0;
                (outer * libm::cos(a), outer * libm::sin(a))
            });
            let (x, y) = (outer * libm::cos(open), outer * libm::sin(open));
            let r = ((x - centre) * (x - centre) + y * y).sqrt();
            let tip = libm::atan2(y, x - centre);
            let small = (1..48).map(|i| {
                let a = -tip - (whole - 2.0 * tip) * f64::from(i) / 48.0;
                (centre + r * libm::cos(a), r * libm::sin(a))
            });
            big.chain(small).map(|(x, y)| (x + 0.12, y)).collect()
        }
    }]
}

/// Moved, turned (in the direction of the clock) and made larger.
pub(crate) fn placed(outlines: &Outlines, (x, y): (f64, f64), turn: f64, scale: f64) -> Outlines {
    let (sin, cos) = (libm::sin(turn) * scale, libm::cos(turn) * scale);
    let put = |p: &(f64, f64)| (x + p.0 * cos - p.1 * sin, y + p.0 * sin + p.1 * cos);
    outlines.iter().map(|outline| outline.iter().map(put).collect()).collect()
}

/// A line of that width with round corners.
pub(crate) fn stroke(points: &[(f64, f64)], width: f64, closed: bool) -> Outlines {
    let r = width / 2.0;
    let mut out = Outlines::new();
    let count = points.len();
    for (i, &a) in points.iter().enumerate() {
        out.push(around(12, |t| (a.0 + r * libm::cos(t), a.1 + r * libm::sin(t))));
        if i + 1 == count && !closed {
            break;
        }
        let b = points[(i + 1) % count];
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = (dx * dx + dy * dy).sqrt();
        if length > 0.0 {
            let (nx, ny) = (-dy / length * r, dx / length * r);
            // Wound as the circles are, or they would cancel each other.
            out.push(vec![
                (a.0 - nx, a.1 - ny),
                (b.0 - nx, b.1 - ny),
                (b.0 + nx, b.1 + ny),
                (a.0 + nx, a.1 + ny),
            ]);
        }
    }
    out
}

/// A typeface that is read.
struct Letters {
    face: Option<Face<'static>>,
    capital: f64,
}

static FACES: LazyLock<Vec<Letters>> = LazyLock::new(|| {
    let read = |bytes: &'static [u8]| {
        let face = Face::parse(bytes, 0).ok();
        let capital = face
            .as_ref()
            .and_then(|face| face.glyph_index('H').and_then(|id| face.glyph_bounding_box(id)))
            .map_or(1.0, |bounds| f64::from(bounds.y_max));
        Letters { face, capital }
    };
    vec![
        read(include_bytes!("../../typefaces/sans.ttf")),
        read(include_bytes!("../../typefaces/bold.ttf")),
        read(include_bytes!("../../typefaces/serif.ttf")),
        read(include_bytes!("../../typefaces/mono.ttf")),
        read(include_bytes!("../../typefaces/slab.ttf")),
        read(include_bytes!("../../typefaces/marker.ttf")),
        read(include_bytes!("../../typefaces/hand.ttf")),
    ]
});

struct Pen {
    out: Outlines,
    at: (f64, f64),
    right: f64,
}

impl Pen {
    fn put(&mut self, x: f32, y: f32) {
        self.at = (f64::from(x), f64::from(y));
        let point = (self.right + self.at.0, -self.at.1);
        if let Some(outline) = self.out.last_mut() {
            outline.push(point);
        }
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.out.push(Vec::new());
        self.put(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.put(x, y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        let (ax, ay) = (self.at.0 as f32, self.at.1 as f32);
        for i in 1..=5u8 {
            let t = f32::from(i) / 5.0;
            let s = 1.0 - t;
            self.put(s * s * ax + 2.0 * s * t * cx + t * t * x, s * s * ay + 2.0 * s * t * cy + t * t * y);
        }
    }

    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        // TrueType has none; two quadratic ones come near.
        let (mx, my) = ((ax + bx) / 2.0, (ay + by) / 2.0);
        self.quad_to(ax, ay, mx, my);
        self.quad_to(bx, by, x, y);
    }

    fn close(&mut self) {}
}

/// A line of text whose capitals are 1 high, centred on the origin, and half its width.
pub(crate) fn text(text: &str, typeface: Typeface) -> (Outlines, f64) {
    let letters = &FACES[typeface as usize];
    let Some(face) = &letters.face else { return (Outlines::new(), 0.0) };
    let mut pen = Pen { out: Outlines::new(), at: (0.0, 0.0), right: 0.0 };
    for letter in text.chars() {
        let Some(id) = face.glyph_index(letter) else { continue };
        let _ = face.outline_glyph(id, &mut pen);
        pen.right += f64::from(face.glyph_hor_advance(id).unwrap_or(0));
    }
    let (width, capital) = (pen.right, letters.capital);
    let put = |p: &(f64, f64)| ((p.0 - width / 2.0) / capital, (p.1 + capital / 2.0) / capital);
    let out = pen.out.iter().map(|outline| outline.iter().map(put).collect()).collect();
    (out, width / capital / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::words::LEXICON;

    #[test]
    fn every_typeface_has_every_letter_that_is_printed() {
        let printed: String = LEXICON.concat() + &LEXICON.concat().to_uppercase() + "0123456789%.";
        for typeface in Typeface::ALL.iter().copied() {
            let face = FACES[typeface as usize].face.as_ref().unwrap();
            for letter in printed.chars() {
                assert!(face.glyph_index(letter).is_some(), "{typeface:?} has no {letter}");
            }
            let (outlines, half) = text("HELLO", typeface);
            assert!(half > 1.0 && outlines.len() >= 5, "{typeface:?}");
        }
    }

    #[test]
    fn figures_stay_in_their_circle_and_fill_it() {
        for shape in Figure::ALL.iter().copied() {
            let points: Vec<_> = figure(shape).concat();
            let far = points.iter().map(|p| p.0.hypot(p.1)).fold(0.0, f64::max);
            assert!((0.85..=1.2).contains(&far), "{shape:?} reaches {far}");
        }
    }
}
