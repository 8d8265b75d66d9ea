//! How much light comes from a place where a ray ends.

use crate::maths::{Turn, V3};
use crate::scene::words::{Material, Pattern};
use crate::scene::{Back, Object, Room};

use super::canvas::Canvas;
use super::outline;
use super::solid::{Hit, Ray, meet, touches};
use super::texture::Look;

/// A body, worked out for many rays.
pub(super) struct Ready<'a> {
    pub object: &'a Object,
    pub turn: Turn,
    pub centre: V3,
    pub half: V3,
    pub bound: f64,
    /// Left, top, right, bottom in pixels, the last two outside.
    pub screen: [usize; 4],
    /// What is printed on it, as shares of ink.
    print: Option<Print>,
}

/// Ink on the front of a sign.
struct Print {
    width: usize,
    height: usize,
    ink: Vec<f32>,
}

impl<'a> Ready<'a> {
    pub fn new(object: &'a Object, screen: [usize; 4]) -> Self {
        let half = object.half();
        let print = object.printed.as_ref().map(|printed| {
            let (width, height) = (320, 160);
            let mut canvas = Canvas::new((width, height), 0);
            let (letters, reach) = outline::text(&printed.text, printed.face);
            let scale = (0.88 * width as f64 / 2.0 / reach.max(0.1)).min(0.5 * height as f64);
            let at = (width as f64 / 2.0, height as f64 / 2.0);
            canvas.fill(&outline::placed(&letters, at, 0.0, scale), V3(1.0, 1.0, 1.0), None);
            Print { width, height, ink: canvas.light.iter().map(|light| light.0 as f32).collect() }
        });
        Self {
            object,
            turn: object.turn(),
            centre: object.centre(),
            half,
            bound: object.bound(),
            screen,
            print,
        }
    }

    /// The ray in the frame of the body.
    fn local(&self, ray: &Ray) -> Ray {
        Ray { from: self.turn.apply(ray.from - self.centre), along: self.turn.apply(ray.along) }
    }

    /// The first meeting before `far`; its normal is in the body's frame.
    pub fn meet(&self, ray: &Ray, far: f64) -> Option<Hit> {
        if !touches(ray, self.centre, self.bound, far) {
            return None;
        }
        meet(self.object.solid, self.half, &self.local(ray)).filter(|hit| hit.t < far)
    }

    /// Reflected colour at a place in the body's frame, and which part of its pattern that is.
    fn surface(&self, p: V3, hit: &Hit) -> (V3, u8) {
        let object = self.object;
        if let (Some(print), Some(printed), true) = (&self.print, &object.printed, hit.normal.1 < -0.5) {
            let (u, v) = (0.5 + 0.5 * p.0 / self.half.0, 0.5 - 0.5 * p.2 / self.half.2);
            let ink = print.at(u, v);
            return (object.tint.mix(printed.tint, f64::from(ink)), u8::from(ink > 0.5));
        }
        let r = object.radius;
        let odd = match object.pattern {
            Pattern::Plain => return (object.tint, 0),
            Pattern::Striped => (p.2 / (0.36 * r) + 100.25).floor() as i64 & 1 != 0,
            Pattern::Checked => {
                let cell = |at: f64| (at / (0.42 * r) + 100.5).floor() as i64;
                (cell(p.0) + cell(p.1) + cell(p.2)) & 1 != 0
            }
        };
        (if odd { object.tint * 0.42 } else { object.tint }, u8::from(odd))
    }
}

impl Print {
    fn at(&self, u: f64, v: f64) -> f32 {
        let (x, y) = (u * self.width as f64 - 0.5, v * self.height as f64 - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (a, b) = ((x - left) as f32, (y - top) as f32);
        let ink = |x: f64, y: f64| {
            let inside = x >= 0.0 && y >= 0.0 && (x as usize) < self.width && (y as usize) < self.height;
            if inside { self.ink[y as usize * self.width + x as usize] } else { 0.0 }
        };
        let above = ink(left, top) * (1.0 - a) + ink(left + 1.0, top) * a;
        let below = ink(left, top + 1.0) * (1.0 - a) + ink(left + 1.0, top + 1.0) * a;
        above * (1.0 - b) + below * b
    }
}

/// What a ray ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Body(usize),
    Floor,
    Wall,
    Sky,
}

/// What is seen along a ray.
pub(super) struct View {
    pub light: V3,
    pub end: End,
    /// How far; infinite in the sky.
    pub t: f64,
    /// Differs between two neighbouring pixels where an edge lies between them.
    pub mark: u32,
}

/// A room, worked out for many rays.
pub(super) struct Stage<'a> {
    pub room: &'a Room,
    pub bodies: Vec<Ready<'a>>,
    pub floor: Look<'a>,
    pub wall: Option<(f64, Look<'a>)>,
    /// Metres that a pixel sees at a distance of one.
    pub pixel: f64,
}

impl Stage<'_> {
    /// What is seen along `ray`, of which the first meeting with a body is known. `bounce`: whether metal mirrors bodies.
    pub fn view(&self, ray: &Ray, first: Option<(usize, Hit)>, bounce: bool) -> View {
        let mut far = first.map_or(f64::INFINITY, |(_, hit)| hit.t);
        let mut end = first.map_or(End::Sky, |(body, _)| End::Body(body));
        if ray.along.2 < 0.0 {
            let t = -ray.from.2 / ray.along.2;
            if t > 1e-6 && t < far {
                (far, end) = (t, End::Floor);
            }
        }
        if let Some((y, _)) = &self.wall
            && ray.along.1 > 0.0
        {
            let t = (y - ray.from.1) / ray.along.1;
            if t > 1e-6 && t < far {
                (far, end) = (t, End::Wall);
            }
        }
        let at = ray.at(far.min(1e4));
        let (light, part, lit) = match (end, first) {
            (End::Body(body), Some((_, hit))) => self.body(ray, &self.bodies[body], &hit, bounce),
            (End::Floor, _) => self.ground(at, V3(0.0, 0.0, 1.0), ray, far),
            (End::Wall, _) => self.ground(at, V3(0.0, -1.0, 0.0), ray, far),
            _ => (self.sky(ray.along), 0, true),
        };
        let who = match end {
            End::Body(body) => body as u32 + 3,
            End::Floor => 0,
            End::Wall => 1,
            End::Sky => 2,
        };
        View { light, end, t: far, mark: who << 16 | u32::from(part) << 1 | u32::from(lit) }
    }

    fn sky(&self, along: V3) -> V3 {
        match self.room.back {
            Back::Sky { low, high } => low.mix(high, along.2.clamp(0.0, 1.0).sqrt()),
            Back::Wall { texture, .. } => Look::new(&texture).mean().times(self.room.lamp.ambient),
        }
    }

    fn ground(&self, at: V3, normal: V3, ray: &Ray, t: f64) -> (V3, u8, bool) {
        let floor = normal.2 > 0.5;
        let (look, u, v) = match (&self.wall, floor) {
            (Some((_, look)), false) => (look, at.0, at.2),
            _ => (&self.floor, at.0, at.1),
        };
        let (mut colour, mut part) = look.at(u, v);
        // A pattern that is finer than a pixel is seen as its mean.
        let texture = if floor { &self.room.floor } else { self.wall_texture() };
        let seen = self.pixel * t / ray.along.dot(normal).abs().max(1e-3);
        let fine = ((seen / texture.scale - 0.12) / 0.5).clamp(0.0, 1.0);
        if fine > 0.0 {
            colour = colour.mix(look.mean(), fine);
            part = if fine > 0.5 { 0 } else { part };
        }
        let (lit, open) = (self.lit(at + normal * 1e-4, normal), self.open(at, normal));
        (self.diffuse(colour, normal, lit, open), part, lit)
    }

    fn wall_texture(&self) -> &crate::scene::Texture {
        match &self.room.back {
            Back::Wall { texture, .. } => texture,
            Back::Sky { .. } => &self.room.floor,
        }
    }

    fn diffuse(&self, colour: V3, normal: V3, lit: bool, open: f64) -> V3 {
        let lamp = &self.room.lamp;
        let facing = if lit { normal.dot(lamp.toward).max(0.0) } else { 0.0 };
        // What comes from everywhere comes mostly from above.
        let around = lamp.ambient * (open * (0.75 + 0.25 * normal.2));
        colour.times(around + lamp.light * facing)
    }

    /// Whether the lamp is seen from there.
    fn lit(&self, at: V3, normal: V3) -> bool {
        let toward = self.room.lamp.toward;
        if normal.dot(toward) <= 0.0 {
            return false;
        }
        let ray = Ray { from: at, along: toward };
        !self.bodies.iter().any(|body| body.meet(&ray, f64::INFINITY).is_some())
    }

    /// How much of the surroundings is not hidden by bodies nearby, by the balls that hold them.
    fn open(&self, at: V3, normal: V3) -> f64 {
        let mut open = 1.0;
        for body in &self.bodies {
            let to = body.centre - at;
            let d2 = to.dot(to);
            let r = body.half.2.max(body.half.0 * 0.8) * 0.9;
            if d2 < 16.0 * r * r && d2 > r * r * 0.04 {
                let facing = (to.dot(normal) / d2.sqrt()).max(0.0);
                open *= 1.0 - 0.75 * facing * (r * r / d2).min(1.0);
            }
        }
        open
    }

    fn body(&self, ray: &Ray, body: &Ready<'_>, hit: &Hit, bounce: bool) -> (V3, u8, bool) {
        let at = ray.at(hit.t);
        let (colour, part) = body.surface(body.turn.apply(at - body.centre), hit);
        let normal = body.turn.back(hit.normal);
        let lit = self.lit(at + normal * 1e-4, normal);
        // The floor hides what is below.
        let low = (at.2 / (1.6 * body.object.radius)).clamp(0.0, 1.0);
        let open = 0.62 + 0.38 * low;
        let face = hit.face << 1 | part;
        let lamp = &self.room.lamp;
        let half = (lamp.toward - ray.along).unit();
        let gloss = |squarings: u32| {
            let mut shine = if lit { normal.dot(half).max(0.0) } else { 0.0 };
            for _ in 0..squarings {
                shine *= shine;
            }
            shine
        };
        let light = match body.object.material {
            Material::Matte => self.diffuse(colour, normal, lit, open),
            Material::Shiny => {
                let skim = 1.0 + ray.along.dot(normal).min(0.0);
                let mirrored =
                    self.mirror(ray, at, normal, false) * (0.04 + 0.5 * skim * skim * skim * skim * skim);
                self.diffuse(colour, normal, lit, open) + lamp.light * (0.55 * gloss(6)) + mirrored
            }
            Material::Metal => {
                let mirrored = self.mirror(ray, at, normal, bounce);
                let tint = colour * 0.92 + V3(0.03, 0.03, 0.03);
                self.diffuse(colour * 0.45, normal, lit, open)
                    + mirrored.times(tint) * 0.75
                    + lamp.light.times(tint + V3(0.2, 0.2, 0.2)) * (0.8 * gloss(5))
            }
        };
        (light, face, lit)
    }

    /// What a mirror shows there.
    fn mirror(&self, ray: &Ray, at: V3, normal: V3, bounce: bool) -> V3 {
        let out = Ray { from: at + normal * 1e-4, along: ray.along.mirrored(normal) };
        if bounce {
            let first = self.first(&out, |_| true);
            return self.view(&out, first, false).light;
        }
        if out.along.2 < 0.0 {
            return self.floor.mean().times(self.room.lamp.ambient + self.room.lamp.light * 0.4);
        }
        self.sky(out.along)
    }

    /// The first body that a ray meets, of those that `may` be met.
    pub fn first(&self, ray: &Ray, may: impl Fn(&Ready<'_>) -> bool) -> Option<(usize, Hit)> {
        let mut best: Option<(usize, Hit)> = None;
        for (i, body) in self.bodies.iter().enumerate().filter(|(_, body)| may(body)) {
            let far = best.map_or(f64::INFINITY, |(_, hit)| hit.t);
            if let Some(hit) = body.meet(ray, far) {
                best = Some((i, hit));
            }
        }
        best
    }
}
