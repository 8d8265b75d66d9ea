//! Rooms: a camera that looks down a little, a lamp, and bodies that stand apart and can be seen.

use std::f64::consts::PI;

use crate::maths::{V3, rounded};
use crate::render;
use crate::rng::Rng;
use crate::scene::words::{Colour, Material, Pattern, Size, Solid, Typeface};
use crate::scene::{Back, Camera, Lamp, Object, Printed, Room, Split, Weave, extent};

use super::{texture, tint, wording};

/// Longer side of the small picture in which visibility is looked up while drawing.
const LOOK: usize = 96;

/// Of every body, at least this share of what would be seen of it alone is seen, and this share of the picture.
pub(crate) const SEEN: f64 = 0.4;
pub(crate) const LEAST: f64 = 0.004;

pub(super) fn draw(rng: &mut Rng, split: Split, aspect: (u32, u32)) -> Room {
    let mut room = empty(rng);
    let count = rng.pick(&[1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 10]);
    // Few kinds in a picture, or nothing would ever be there six times.
    let solids = {
        let n = rng.whole(1, 4);
        rng.some(Solid::THINGS, n)
    };
    let colours = {
        let n = rng.whole(1, 5);
        rng.some(Colour::ALL, n)
    };
    if rng.chance(0.12) {
        let sign = sign(rng, split);
        place(rng, &mut room, aspect, sign);
    }
    for _ in 0..count {
        let body = body(rng, &solids, &colours);
        place(rng, &mut room, aspect, body);
    }
    // What is hidden too much goes; that uncovers others, so one look is enough.
    let (w, h) = extent(aspect);
    let size = ((w * LOOK as f64) as usize, (h * LOOK as f64) as usize);
    let area = (size.0 * size.1) as f64;
    let seen = render::survey(&room, size);
    let mut seen = seen.into_iter();
    room.objects.retain(|object| {
        let Some((visible, whole)) = seen.next() else { return false };
        let share = f64::from(visible) / f64::from(whole.pixels.max(1));
        // A word is to be read whole.
        let least = if object.solid == Solid::Sign { 0.98 } else { SEEN };
        share >= least && f64::from(visible) >= LEAST * area
    });
    room
}

fn empty(rng: &mut Rng) -> Room {
    let distance = rng.range(7.2, 9.6);
    let height = rng.range(17.0, 40.0) * PI / 180.0;
    let target = V3(rng.range(-0.2, 0.2), rng.range(0.0, 0.6), rng.range(0.3, 0.6));
    let side = rng.range(-0.3, 0.3);
    let eye = V3(
        rounded(target.0 + side, 4),
        rounded(target.1 - distance * libm::cos(height), 4),
        rounded(target.2 + distance * libm::sin(height), 4),
    );
    let camera = Camera { eye, target, focal: rng.range(1.15, 1.45) };
    // The lamp is over the shoulder of whoever looks: faces that are seen are lit, shadows fall aside or back.
    let (azimuth, elevation) = (rng.range(-PI * 0.95, -PI * 0.05), rng.range(0.6, 1.2));
    let toward = V3(
        rounded(libm::cos(azimuth) * libm::cos(elevation), 4),
        rounded(libm::sin(azimuth) * libm::cos(elevation), 4),
        rounded(libm::sin(elevation), 4),
    );
    let (strength, around, warm) = (rng.range(0.62, 0.85), rng.range(0.36, 0.52), rng.range(-0.05, 0.09));
    let part = |base: f64, share: f64| rounded(base * (1.0 + share), 4);
    let lamp = Lamp {
        toward: toward.unit(),
        light: V3(part(strength, warm), strength, part(strength, -warm)),
        ambient: V3(part(around, -warm * 0.7), around, part(around, warm * 0.7)),
    };
    let lamp = Lamp {
        toward: V3(rounded(lamp.toward.0, 6), rounded(lamp.toward.1, 6), rounded(lamp.toward.2, 6)),
        ..lamp
    };
    let weaves = [
        Weave::Checker,
        Weave::Planks,
        Weave::Planks,
        Weave::Speckle,
        Weave::Marble,
        Weave::Grid,
        Weave::Plain,
        Weave::Bricks,
    ];
    let floor = texture(rng, &weaves, (0.7, 1.5), (0.2, 0.46));
    let back = if rng.chance(0.5) {
        let (low, high) = (rng.range(0.55, 0.8), rng.range(0.25, 0.5));
        let blue = rng.range(1.15, 1.5);
        let sky = |x: f64, by: f64| V3(rounded(x / by, 4), rounded(x, 4), rounded((x * by).min(1.0), 4));
        Back::Sky { low: sky(low, 1.03), high: sky(high, blue) }
    } else {
        let weaves = [Weave::Plain, Weave::Bricks, Weave::Stripes, Weave::Plain, Weave::Speckle];
        Back::Wall {
            y: rng.range(3.6, 5.5),
            texture: {
                let mut t = texture(rng, &weaves, (0.8, 1.4), (0.26, 0.5));
                t.turn = 0.0;
                t
            },
        }
    };
    Room { camera, lamp, floor, back, objects: Vec::new() }
}

fn body(rng: &mut Rng, solids: &[Solid], colours: &[Colour]) -> Object {
    let (solid, colour) = (rng.pick(solids), rng.pick(colours));
    let size = if rng.chance(0.5) { Size::Large } else { Size::Small };
    let radius = match size {
        Size::Large => rng.range(0.58, 0.72),
        Size::Small => rng.range(0.29, 0.36),
    };
    let lying = match solid {
        Solid::Ring => rng.chance(0.6),
        Solid::Cylinder | Solid::Capsule => rng.chance(0.35),
        _ => false,
    };
    // Rings that stand and pyramids that look away would be taken for something else.
    let yaw = match solid {
        Solid::Ring if lying => rng.pick(&[1.0, -1.0]) * PI / 2.0 + rng.range(-0.8, 0.8),
        Solid::Prism => rng.range(-0.9, 0.9),
        Solid::Capsule | Solid::Cylinder if lying => rng.range(-0.8, 0.8),
        _ => rng.range(-PI, PI),
    };
    let material = rng.pick(&[Material::Matte, Material::Matte, Material::Shiny, Material::Metal]);
    let pattern =
        if rng.chance(0.75) { Pattern::Plain } else { rng.pick(&[Pattern::Striped, Pattern::Checked]) };
    // Black in darker shades is nothing but black.
    let pattern = if colour == Colour::Black { Pattern::Plain } else { pattern };
    // A mirror that reflects nothing, or everything, has no colour of its own.
    let material = match (material, colour) {
        (Material::Metal, Colour::Black | Colour::White) => Material::Shiny,
        (material, _) => material,
    };
    let tint = tint(rng, colour);
    let yaw = rounded(yaw, 4);
    Object {
        solid,
        colour,
        tint,
        material,
        pattern,
        size,
        radius,
        place: (0.0, 0.0),
        yaw,
        lying,
        printed: None,
    }
}

fn sign(rng: &mut Rng, split: Split) -> Object {
    let face = rng.pick(Typeface::ALL);
    let number = rng.chance(0.4);
    let dark = rng.chance(0.35);
    let ink = if dark {
        rng.pick(&[Colour::White, Colour::Yellow])
    } else {
        rng.pick(&[Colour::Black, Colour::Black, Colour::Blue, Colour::Red])
    };
    let board = if dark { Colour::Black } else { Colour::White };
    let printed =
        Printed { text: wording(rng, split, face, number), face, colour: ink, tint: tint(rng, ink) };
    Object {
        solid: Solid::Sign,
        colour: board,
        tint: tint(rng, board),
        material: Material::Matte,
        pattern: Pattern::Plain,
        size: Size::Large,
        radius: rng.range(0.75, 0.95),
        place: (0.0, 0.0),
        yaw: rng.range(-0.35, 0.35),
        lying: false,
        printed: Some(printed),
    }
}

/// Somewhere free within the picture, or nowhere.
fn place(rng: &mut Rng, room: &mut Room, aspect: (u32, u32), mut object: Object) {
    let (w, h) = extent(aspect);
    let turn = room.camera.turn();
    let margin = 0.012;
    for _ in 0..40 {
        object.place = (rng.range(-2.9, 2.9), rng.range(-2.8, 3.2));
        let behind = match room.back {
            Back::Wall { y, .. } => object.place.1 + object.reach() > y - 0.1,
            Back::Sky { .. } => false,
        };
        let crowded = room.objects.iter().any(|other| {
            let (dx, dy) = (other.place.0 - object.place.0, other.place.1 - object.place.1);
            let apart = other.reach() + object.reach() + 0.06;
            dx * dx + dy * dy < apart * apart
        });
        if behind || crowded {
            continue;
        }
        let framed = object.corners().iter().all(|corner| {
            let p = turn.apply(*corner - room.camera.eye);
            if p.2 < 1.0 {
                return false;
            }
            let (x, y) = (room.camera.focal * p.0 / p.2, room.camera.focal * p.1 / p.2);
            x.abs() < w / 2.0 - margin && y.abs() < h / 2.0 - margin
        });
        if framed {
            room.objects.push(object);
            return;
        }
    }
}
