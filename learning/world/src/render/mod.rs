//! From a scene to its picture. A function of the scene and the size: no clock, no thread, no chance.

mod canvas;
mod chart;
pub(crate) mod outline;
mod paper;
mod shade;
mod solid;
mod texture;
pub(crate) mod tone;
mod trace;

use crate::scene::words::Class;
use crate::scene::{Body, Scene};

pub(crate) use trace::survey;

/// Where a thing would be seen if nothing hid it, in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole {
    /// How many pixels.
    pub pixels: u32,
    /// Left, top, right, bottom; the last two are outside. Of nothing, zeros.
    pub bounds: [u32; 4],
}

impl Whole {
    pub(crate) fn add(&mut self, x: usize, y: usize) {
        let (x, y) = (x as u32, y as u32);
        let [l, t, r, b] = self.bounds;
        self.bounds = match self.pixels {
            0 => [x, y, x + 1, y + 1],
            _ => [l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)],
        };
        self.pixels += 1;
    }
}

/// A picture, and for every pixel what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendering {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// `[height, width, 3]`, sRGB.
    pub rgb: Vec<u8>,
    /// `[height, width]`: 0 where no thing is seen, k + 1 where thing k is.
    pub instance: Vec<u16>,
    /// `[height, width]`: the number of the class that is seen, ground included.
    pub class: Vec<u8>,
    /// `[height, width]` metres along the optical axis; 0 where there is no end. Empty for what is flat.
    pub depth: Vec<f32>,
    /// Of each thing, in the order of the scene.
    pub whole: Vec<Whole>,
}

/// Draws a scene so that the longer side has `side` pixels.
pub fn render(scene: &Scene, side: u32) -> Rendering {
    let size = scene.pixels(side);
    let classes: Vec<u8> = classes(&scene.body).iter().map(|class| class.id() as u8).collect();
    let seen = match &scene.body {
        Body::Room(room) => trace::room(room, size),
        Body::Flat(flat) => paper::flat(flat, size),
        Body::Page(page) => paper::page(page, size),
        Body::Chart(chart) => chart::chart(chart, size),
    };
    let class = seen.instance.iter().zip(&seen.ground).map(|(id, ground)| match id {
        0 => *ground,
        id => classes.get(usize::from(*id) - 1).copied().unwrap_or(0),
    });
    Rendering {
        width: size.0,
        height: size.1,
        rgb: tone::develop(&seen.levels, size, &scene.sensor),
        class: class.collect(),
        instance: seen.instance,
        depth: seen.depth,
        whole: seen.whole,
    }
}

/// The things of a scene in order: what an instance's number means.
pub fn classes(body: &Body) -> Vec<Class> {
    let printed = |number: bool| if number { Class::Number } else { Class::Word };
    match body {
        Body::Room(room) => room.objects.iter().map(|o| o.solid.into()).collect(),
        Body::Flat(flat) => flat.figures.iter().map(|d| d.figure.into()).collect(),
        Body::Page(page) => page.texts.iter().map(|t| printed(t.printed.number())).collect(),
        Body::Chart(chart) => {
            let mark = match chart.chart.mark() {
                "bar" => Class::Bar,
                "slice" => Class::Slice,
                _ => Class::Point,
            };
            vec![mark; chart.values.len()]
        }
    }
}

/// What the parts of this module hand over.
struct Seen {
    levels: Vec<[f32; 3]>,
    instance: Vec<u16>,
    ground: Vec<u8>,
    depth: Vec<f32>,
    whole: Vec<Whole>,
}
