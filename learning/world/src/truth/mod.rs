//! The whole truth about a picture: what its scene says, and what of it can be seen.

mod relation;

use serde::{Deserialize, Serialize};

use crate::maths::{V3, rounded};
use crate::render::{Rendering, classes};
use crate::scene::words::{Class, Colour, Material, Pattern, Size};
use crate::scene::{Body, Kind, Scene};

pub use relation::{Relation, apart, between, closer, nearer_to};

/// A thing in a picture. Boxes are `[left, top, width, height]` in pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thing {
    /// What it is.
    pub class: Class,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    /// What it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<Material>,
    /// What is on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// Its size by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The box about what is seen of it.
    pub seen: [u32; 4],
    /// The box about what would be seen if nothing hid it.
    pub whole: [u32; 4],
    /// Pixels in which it is seen.
    pub pixels: u32,
    /// Share of it that nothing hides, 0 to 1.
    pub visible: f64,
    /// What is printed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its name in a chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its number in a chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u32>,
    /// Metres along the optical axis of what is seen of it: nearest, mean, farthest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<[f64; 3]>,
    /// Its box in space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
}

/// A box in the camera's frame: metres; x to the right, y down, z away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// Its corners, in the order of Omni3D.
    pub corners: [V3; 8],
    /// Its middle.
    pub centre: V3,
    /// Width, height and length along its own axes.
    pub dimensions: V3,
    /// From its own axes (right, down, away) into the camera's, row by row.
    pub rotation: [V3; 3],
}

/// The whole truth about a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The picture's name in its set.
    pub name: String,
    /// Which kind of picture.
    pub kind: Kind,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Focal length and centre in pixels, row by row; of rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intrinsics: Option<[[f64; 3]; 3]>,
    /// The things, in the order of their numbers in the mask: the first is 1.
    pub things: Vec<Thing>,
    /// Where things are to each other, where that is beyond doubt.
    pub relations: Vec<Relation>,
}

/// Of a thing that a question is about, at least this share is seen, and this share of the picture.
const VISIBLE: f64 = 0.35;
const LEAST: f64 = 0.003;

impl Truth {
    /// What is true of a picture of a scene.
    pub fn of(scene: &Scene, seen: &Rendering) -> Self {
        let classes = classes(&scene.body);
        let mut bounds = vec![crate::Whole::default(); classes.len()];
        let mut depths = vec![(f64::INFINITY, 0.0f64, 0.0f64); classes.len()];
        for (at, id) in seen.instance.iter().enumerate() {
            let Some(thing) = usize::from(*id).checked_sub(1) else { continue };
            bounds[thing].add(at % seen.width, at / seen.width);
            if let Some(depth) = seen.depth.get(at) {
                let (near, sum, far) = &mut depths[thing];
                let depth = f64::from(*depth);
                (*near, *sum, *far) = (near.min(depth), *sum + depth, far.max(depth));
            }
        }
        let mut things = Vec::with_capacity(classes.len());
        for (i, class) in classes.into_iter().enumerate() {
            let (seen, whole) = (bounds[i], seen.whole[i]);
            let visible = f64::from(seen.pixels) / f64::from(whole.pixels.max(seen.pixels).max(1));
            let mut thing = Thing {
                class,
                colour: None,
                material: None,
                pattern: None,
                size: None,
                seen: sized(seen.bounds),
                whole: sized(whole.bounds),
                pixels: seen.pixels,
                visible: rounded(visible, 4),
                text: None,
                label: None,
                value: None,
                depth: None,
                space: None,
            };
            describe(&mut thing, &scene.body, i);
            if thing.space.is_some() && seen.pixels > 0 {
                let (near, sum, far) = depths[i];
                thing.depth = Some([near, sum / f64::from(seen.pixels), far].map(|d| rounded(d, 3)));
            }
            things.push(thing);
        }
        let size = (seen.width, seen.height);
        let intrinsics = match &scene.body {
            Body::Room(room) => Some(room.camera.intrinsics(size)),
            _ => None,
        };
        let mut truth = Self {
            name: scene.name(),
            kind: scene.kind(),
            width: size.0 as u32,
            height: size.1 as u32,
            intrinsics,
            things,
            relations: Vec::new(),
        };
        truth.relations = relation::all(&truth);
        truth
    }

    /// Whether enough of a thing is seen for a question about it.
    pub fn clear(&self, thing: &Thing) -> bool {
        let area = f64::from(self.width) * f64::from(self.height);
        let least = if thing.class == Class::Point { 0.0 } else { LEAST };
        thing.visible >= VISIBLE && f64::from(thing.pixels) >= least * area
    }
}

/// From corners to size.
fn sized([left, top, right, bottom]: [u32; 4]) -> [u32; 4] {
    [left, top, right - left, bottom - top]
}

/// What the scene says of its thing `i`.
fn describe(thing: &mut Thing, body: &Body, i: usize) {
    match body {
        Body::Room(room) => {
            let object = &room.objects[i];
            thing.colour = Some(object.colour);
            thing.text = object.printed.as_ref().map(|printed| printed.text.clone());
            // A sign is there to be read: neither what it is made of nor its size is asked.
            if thing.text.is_none() {
                thing.material = Some(object.material);
                thing.pattern = Some(object.pattern);
                thing.size = Some(object.size);
            }
            let camera = room.camera.turn();
            let short = |v: V3| V3(rounded(v.0, 4), rounded(v.1, 4), rounded(v.2, 4));
            let (own, half) = (object.turn(), object.half());
            let axes =
                [V3(1.0, 0.0, 0.0), V3(0.0, 0.0, -1.0), V3(0.0, 1.0, 0.0)].map(|a| camera.apply(own.back(a)));
            let row = |part: fn(V3) -> f64| short(V3(part(axes[0]), part(axes[1]), part(axes[2])));
            thing.space = Some(Space {
                corners: object.corners().map(|corner| short(room.camera.sees(corner))),
                centre: short(room.camera.sees(object.centre())),
                dimensions: short(V3(2.0 * half.0, 2.0 * half.2, 2.0 * half.1)),
                rotation: [row(|v| v.0), row(|v| v.1), row(|v| v.2)],
            });
        }
        Body::Flat(flat) => {
            thing.colour = Some(flat.figures[i].colour);
            thing.size = Some(flat.figures[i].size);
        }
        Body::Page(page) => {
            thing.colour = Some(page.texts[i].printed.colour);
            thing.text = Some(page.texts[i].printed.text.clone());
        }
        Body::Chart(chart) => {
            thing.colour = chart.colours.get(i).or(chart.colours.first()).copied();
            thing.label = chart.labels.get(i).cloned();
            thing.value = chart.values.get(i).copied();
        }
    }
}
