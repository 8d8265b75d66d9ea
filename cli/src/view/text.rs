//! Text on a canvas: stroke outlines, antialiased by distance, at any size and weight, without a font file.

use super::canvas::{Canvas, Rgb};
use super::glyphs::{GLYPHS, Glyph, MISSING};

/// Units between two glyphs.
const SPACING: f32 = 2.3;
/// Height of a capital in units.
const CAPITAL: f32 = 10.0;
/// Pieces into which a curve is cut.
const PIECES: usize = 14;

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Height of a capital letter in pixels.
    pub size: f32,
    /// Stroke width as a share of `size`; 0.1 is light, 0.16 bold.
    pub weight: f32,
    /// Ink.
    pub colour: Rgb,
}

type Segment = [f32; 4];

/// Width in pixels of `text`.
pub fn width(text: &str, style: Style) -> f32 {
    let units: f32 = text.chars().map(|c| glyph(c).1 + SPACING).sum();
    (units - SPACING).max(0.0) * style.size / CAPITAL
}

/// `text`, cut with an ellipsis in its middle where it is wider than `limit` pixels: ids differ at both ends.
pub fn fit(text: &str, style: Style, limit: f32) -> String {
    if width(text, style) <= limit {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    (1..chars.len())
        .rev()
        .map(|keep| {
            let (head, tail) = (keep.div_ceil(2), keep / 2);
            chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect::<String>()
        })
        .find(|candidate| width(candidate, style) <= limit)
        .unwrap_or_default()
}

/// Draws `text` with its baseline at `y`, from `x` to the right.
pub fn draw(canvas: &mut Canvas, x: f32, y: f32, text: &str, style: Style) {
    let radius = style.size * style.weight / 2.0;
    // The ink, not the middle of the stroke, begins at `x`.
    let (scale, mut pen) = (style.size / CAPITAL, x + radius);
    for character in text.chars() {
        let (_, advance, strokes) = glyph(character);
        let segments: Vec<Segment> = flatten(strokes)
            .into_iter()
            .map(|[x0, y0, x1, y1]| [pen + x0 * scale, y - y0 * scale, pen + x1 * scale, y - y1 * scale])
            .collect();
        ink(canvas, &segments, radius, style.colour);
        pen += (advance + SPACING) * scale;
    }
}

fn glyph(character: char) -> Glyph {
    GLYPHS.iter().copied().find(|g| g.0 == character).unwrap_or(MISSING)
}

/// Blends the colour in where a pixel's centre is within `radius` of a segment, with half a pixel of softness.
fn ink(canvas: &mut Canvas, segments: &[Segment], radius: f32, colour: Rgb) {
    let reach = radius + 1.0;
    let bound = |pick: fn(&Segment) -> (f32, f32)| {
        segments
            .iter()
            .map(pick)
            .fold((f32::MAX, f32::MIN), |(low, high), (a, b)| (low.min(a.min(b)), high.max(a.max(b))))
    };
    let ((left, right), (top, bottom)) = (bound(|s| (s[0], s[2])), bound(|s| (s[1], s[3])));
    if segments.is_empty() {
        return;
    }
    for py in (top - reach).floor() as i32..=(bottom + reach).ceil() as i32 {
        for px in (left - reach).floor() as i32..=(right + reach).ceil() as i32 {
            let (x, y) = (px as f32 + 0.5, py as f32 + 0.5);
            let near = segments.iter().map(|s| distance(s, x, y)).fold(f32::MAX, f32::min);
            canvas.blend(px, py, colour, (radius - near + 0.5).clamp(0.0, 1.0));
        }
    }
}

fn distance(&[x0, y0, x1, y1]: &Segment, x: f32, y: f32) -> f32 {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let length = dx * dx + dy * dy;
    let t = if length == 0.0 { 0.0 } else { (((x - x0) * dx + (y - y0) * dy) / length).clamp(0.0, 1.0) };
    (x - x0 - t * dx).hypot(y - y0 - t * dy)
}

/// Draws the path language of [`super::glyphs`] as line segments in units.
#[derive(Default)]
struct Pen {
    at: (f32, f32),
    segments: Vec<Segment>,
}

impl Pen {
    fn line_to(&mut self, x: f32, y: f32) {
        self.segments.push([self.at.0, self.at.1, x, y]);
        self.at = (x, y);
    }

    fn curve(&mut self, [x1, y1, x2, y2, x, y]: [f32; 6]) {
        let (x0, y0) = self.at;
        for i in 1..=PIECES {
            let t = i as f32 / PIECES as f32;
            let u = 1.0 - t;
            let (a, b, c, d) = (u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t);
            self.line_to(a * x0 + b * x1 + c * x2 + d * x, a * y0 + b * y1 + c * y2 + d * y);
        }
    }

    fn arc(&mut self, [cx, cy, rx, ry]: [f32; 4], from: f32, to: f32) {
        let point = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            (cx + rx * cos, cy + ry * sin)
        };
        self.at = point(from);
        for i in 1..=2 * PIECES {
            let (x, y) = point(from + (to - from) * i as f32 / (2 * PIECES) as f32);
            self.line_to(x, y);
        }
    }
}

fn flatten(path: &str) -> Vec<Segment> {
    let separated: String =
        path.chars().flat_map(|c| if c.is_ascii_uppercase() { vec![' ', c, ' '] } else { vec![c] }).collect();
    let mut words = separated.split_whitespace().peekable();
    let mut pen = Pen::default();
    while let Some(command) = words.next() {
        let mut n = Vec::with_capacity(6);
        while let Some(number) = words.peek().and_then(|w| w.parse::<f32>().ok()) {
            n.push(number);
            words.next();
        }
        match (command, n.as_slice()) {
            ("M", &[x, y]) => pen.at = (x, y),
            ("L", &[x, y]) => pen.line_to(x, y),
            ("C", &[x1, y1, x2, y2, x, y]) => pen.curve([x1, y1, x2, y2, x, y]),
            ("O", &[cx, cy, rx, ry]) => pen.arc([cx, cy, rx, ry], 0.0, 360.0),
            ("A", &[cx, cy, rx, ry, from, to]) => pen.arc([cx, cy, rx, ry], from, to),
            _ => {} // a test reads every path
        }
    }
    pen.segments
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { size: 20.0, weight: 0.12, colour: [255, 255, 255] };

    #[test]
    fn every_printable_ascii_character_has_a_glyph_that_draws() {
        for c in ' '..='~' {
            let (found, _, strokes) = glyph(c);
            assert_eq!(found, c, "no glyph for {c:?}");
            assert_eq!(flatten(strokes).is_empty(), c == ' ', "{c:?} draws nothing");
        }
    }

    #[test]
    fn every_path_is_understood_completely() {
        for (c, _, strokes) in GLYPHS {
            let commands = strokes.chars().filter(|c| c.is_ascii_uppercase() && *c != 'M').count();
            assert!(flatten(strokes).len() >= commands, "{c:?}: a stroke was dropped");
        }
    }

    #[test]
    fn ink_lands_between_the_baseline_and_the_top_of_a_capital() {
        let mut canvas = Canvas::new(60, 60, [0, 0, 0]);
        draw(&mut canvas, 10.0, 40.0, "H", STYLE);
        let image = canvas.into_image();
        let rows: Vec<u32> = (0..60).filter(|&y| (0..60).any(|x| image.get_pixel(x, y).0[0] > 128)).collect();
        assert_eq!((rows.first(), rows.last()), (Some(&19), Some(&40)));
    }

    #[test]
    fn long_ids_lose_their_middle() {
        let id = "an-encoder-with-a-very-long-name@1024";
        let short = fit(id, STYLE, 200.0);
        assert!(width(&short, STYLE) <= 200.0 && short.contains('…'), "{short}");
        assert!(short.starts_with("an-") && short.ends_with("024"), "{short}");
        assert_eq!(fit("short", STYLE, 200.0), "short");
    }
}
