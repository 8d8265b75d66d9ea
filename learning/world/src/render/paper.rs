//! Figures, words and numbers on paper.

use crate::maths::V3;
use crate::scene::words::Class;
use crate::scene::{Drawn, Flat, Page, Scribble, Style, Text, Texture};

use super::canvas::{Canvas, Outlines};
use super::texture::Look;
use super::{Seen, outline, tone};

/// A canvas covered with paper, and pixels per unit.
pub(super) fn sheet(paper: &Texture, size: (usize, usize), things: usize) -> (Canvas, f64) {
    let mut canvas = Canvas::new(size, things);
    let scale = size.0.max(size.1) as f64;
    let look = Look::new(paper);
    for y in 0..size.1 {
        for x in 0..size.0 {
            // Four places in each pixel, or edges of the pattern would be jagged.
            let mut light = V3::default();
            for (dx, dy) in [(0.125, 0.375), (0.375, 0.875), (0.625, 0.125), (0.875, 0.625)] {
                light = light + look.at((x as f64 + dx) / scale, (y as f64 + dy) / scale).0 * 0.25;
            }
            canvas.light[y * size.0 + x] = light;
        }
    }
    (canvas, scale)
}

/// What a canvas shows.
pub(super) fn seen(canvas: Canvas) -> Seen {
    Seen {
        levels: canvas.light.iter().map(|light| tone::encoded(*light)).collect(),
        ground: vec![Class::Paper.id() as u8; canvas.light.len()],
        instance: canvas.instance,
        depth: Vec::new(),
        whole: canvas.whole,
    }
}

fn scribble(canvas: &mut Canvas, scale: f64, strokes: &[Scribble]) {
    for stroke in strokes {
        let points: Vec<_> = stroke.points.iter().map(|(x, y)| (x * scale, y * scale)).collect();
        canvas.fill(&outline::stroke(&points, stroke.width * scale, false), stroke.tone, None);
    }
}

pub(super) fn flat(flat: &Flat, size: (usize, usize)) -> Seen {
    let (mut canvas, scale) = sheet(&flat.paper, size, flat.figures.len());
    scribble(&mut canvas, scale, &flat.scribbles);
    for (thing, drawn) in flat.figures.iter().enumerate() {
        figure(&mut canvas, scale, drawn, thing);
    }
    seen(canvas)
}

fn figure(canvas: &mut Canvas, scale: f64, drawn: &Drawn, thing: usize) {
    let at = (drawn.place.0 * scale, drawn.place.1 * scale);
    let shape = outline::placed(&outline::figure(drawn.figure), at, drawn.turn, drawn.radius * scale);
    let line = |width: f64| -> Outlines {
        shape
            .iter()
            .flat_map(|outline| outline::stroke(outline, width * drawn.radius * scale, true))
            .collect()
    };
    match drawn.style {
        Style::Filled => canvas.fill(&shape, drawn.tint, Some(thing)),
        Style::Bordered => {
            canvas.fill(&shape, drawn.tint, Some(thing));
            canvas.fill(&line(0.1), drawn.tint * 0.25, Some(thing));
        }
        Style::Outlined => {
            // What is inside of it belongs to it, as in annotations of people.
            canvas.claim(&shape, thing);
            canvas.fill(&line(0.24), drawn.tint, Some(thing));
        }
    }
}

pub(super) fn page(page: &Page, size: (usize, usize)) -> Seen {
    let (mut canvas, scale) = sheet(&page.paper, size, page.texts.len());
    scribble(&mut canvas, scale, &page.scribbles);
    for (thing, text) in page.texts.iter().enumerate() {
        let at = (text.place.0 * scale, text.place.1 * scale);
        let (plate, letters) = print(text);
        let put = |outlines: &Outlines| outline::placed(outlines, at, text.turn, text.height * scale);
        let plate = put(&plate);
        if let Some(colour) = text.plate {
            canvas.fill(&plate, colour, Some(thing));
        } else {
            canvas.claim(&plate, thing);
        }
        canvas.fill(&put(&letters), text.printed.tint, Some(thing));
    }
    seen(canvas)
}

/// The plate of a text and its letters, in units of its capitals, about its centre.
pub(crate) fn print(text: &Text) -> (Outlines, Outlines) {
    let (letters, half) = outline::text(&text.printed.text, text.printed.face);
    let (x, y) = (half + 0.3, 0.85);
    (vec![outline::rectangle((-x, -y), (x, y))], letters)
}
