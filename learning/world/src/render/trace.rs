//! A room, pixel by pixel: one ray through the middle of each, four where an edge is near.

use crate::maths::V3;
use crate::scene::Room;
use crate::scene::words::Class;

use super::shade::{End, Ready, Stage};
use super::solid::{Hit, Ray};
use super::texture::Look;
use super::{Seen, Whole, tone};
use crate::scene::Back;

/// Rays into a picture of one size.
struct Lens {
    eye: V3,
    right: V3,
    down: V3,
    away: V3,
    centre: (f64, f64),
}

impl Lens {
    fn new(room: &Room, (width, height): (usize, usize)) -> Self {
        let axes = room.camera.turn().0;
        let focal = room.camera.focal * width.max(height) as f64;
        Self {
            eye: room.camera.eye,
            right: axes[0] * (1.0 / focal),
            down: axes[1] * (1.0 / focal),
            away: axes[2],
            centre: (width as f64 / 2.0, height as f64 / 2.0),
        }
    }

    /// Through a place in pixels.
    fn ray(&self, x: f64, y: f64) -> Ray {
        let along = self.away + self.right * (x - self.centre.0) + self.down * (y - self.centre.1);
        Ray { from: self.eye, along: along.unit() }
    }
}

/// Pixels that the box about a body may touch.
fn screen(room: &Room, corners: &[V3; 8], (width, height): (usize, usize)) -> [usize; 4] {
    let (turn, focal) = (room.camera.turn(), room.camera.focal * width.max(height) as f64);
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for corner in corners {
        let p = turn.apply(*corner - room.camera.eye);
        if p.2 < 0.05 {
            return [0, 0, width, height];
        }
        let (x, y) = (width as f64 / 2.0 + focal * p.0 / p.2, height as f64 / 2.0 + focal * p.1 / p.2);
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    let within = |at: f64, end: usize| at.clamp(0.0, end as f64) as usize;
    [
        within((low.0 - 1.0).floor(), width),
        within((low.1 - 1.0).floor(), height),
        within((high.0 + 1.0).ceil(), width),
        within((high.1 + 1.0).ceil(), height),
    ]
}

fn bodies(room: &Room, size: (usize, usize)) -> Vec<Ready<'_>> {
    room.objects.iter().map(|object| Ready::new(object, screen(room, &object.corners(), size))).collect()
}

/// All meetings of one ray: the nearest is returned, and all are counted.
fn meetings(
    stage: &[Ready<'_>],
    ray: &Ray,
    (x, y): (usize, usize),
    whole: &mut [Whole],
) -> Option<(usize, Hit)> {
    let mut best: Option<(usize, Hit)> = None;
    for (i, body) in stage.iter().enumerate() {
        let [left, top, right, bottom] = body.screen;
        if x < left || x >= right || y < top || y >= bottom {
            continue;
        }
        if let Some(hit) = body.meet(ray, f64::INFINITY) {
            whole[i].add(x, y);
            if best.is_none_or(|(_, nearest)| hit.t < nearest.t) {
                best = Some((i, hit));
            }
        }
    }
    best
}

/// Per body: pixels that it shows, and that it would show if nothing hid it. No light is computed.
pub(crate) fn survey(room: &Room, size: (usize, usize)) -> Vec<(u32, Whole)> {
    let (lens, bodies) = (Lens::new(room, size), bodies(room, size));
    let mut whole = vec![Whole::default(); bodies.len()];
    let mut seen = vec![0u32; bodies.len()];
    for y in 0..size.1 {
        for x in 0..size.0 {
            let ray = lens.ray(x as f64 + 0.5, y as f64 + 0.5);
            if let Some((body, _)) = meetings(&bodies, &ray, (x, y), &mut whole) {
                seen[body] += 1;
            }
        }
    }
    seen.into_iter().zip(whole).collect()
}

pub(super) fn room(room: &Room, size: (usize, usize)) -> Seen {
    let (width, height) = size;
    let lens = Lens::new(room, size);
    let wall = match &room.back {
        Back::Wall { y, texture } => Some((*y, Look::new(texture))),
        Back::Sky { .. } => None,
    };
    let stage = Stage {
        room,
        bodies: bodies(room, size),
        floor: Look::new(&room.floor),
        wall,
        pixel: 1.0 / (room.camera.focal * width.max(height) as f64),
    };
    let count = width * height;
    let mut whole = vec![Whole::default(); stage.bodies.len()];
    let mut out = Seen {
        levels: Vec::with_capacity(count),
        instance: Vec::with_capacity(count),
        ground: Vec::with_capacity(count),
        depth: Vec::with_capacity(count),
        whole: Vec::new(),
    };
    let (mut light, mut marks) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for y in 0..height {
        for x in 0..width {
            let ray = lens.ray(x as f64 + 0.5, y as f64 + 0.5);
            let first = meetings(&stage.bodies, &ray, (x, y), &mut whole);
            let view = stage.view(&ray, first, true);
            let (id, class) = match view.end {
                End::Body(body) => (u16::try_from(body + 1).unwrap_or(u16::MAX), Class::Floor),
                End::Floor => (0, Class::Floor),
                End::Wall => (0, Class::Wall),
                End::Sky => (0, Class::Sky),
            };
            out.instance.push(id);
            out.ground.push(class.id() as u8);
            let depth = view.t * ray.along.dot(lens.away);
            out.depth.push(if view.end == End::Sky { 0.0 } else { depth as f32 });
            light.push(view.light);
            marks.push(view.mark);
        }
    }
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let differs = |other: usize| marks[other] != marks[at];
            let edge = (x > 0 && differs(at - 1))
                || (x + 1 < width && differs(at + 1))
                || (y > 0 && differs(at - width))
                || (y + 1 < height && differs(at + width));
            if edge {
                let mut sum = V3::default();
                for (dx, dy) in [(0.125, 0.375), (0.375, 0.875), (0.625, 0.125), (0.875, 0.625)] {
                    let ray = lens.ray(x as f64 + dx, y as f64 + dy);
                    let first = stage.first(&ray, |body| {
                        let [left, top, right, bottom] = body.screen;
                        x >= left && x < right && y >= top && y < bottom
                    });
                    // A light that is too strong for the picture must not outshine the other three.
                    let seen = stage.view(&ray, first, true).light;
                    sum = sum + V3(seen.0.min(1.0), seen.1.min(1.0), seen.2.min(1.0)) * 0.25;
                }
                light[at] = sum;
            }
        }
    }
    out.levels = light.iter().map(|light| tone::encoded(*light)).collect();
    out.whole = whole;
    out
}
