//! Where a ray meets a body, in the body's own frame: its centre is the origin, z its axis.

use crate::maths::V3;
use crate::scene::words::Solid;

/// A ray; `along` has length 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ray {
    pub from: V3,
    pub along: V3,
}

impl Ray {
    pub fn at(&self, t: f64) -> V3 {
        self.from + self.along * t
    }
}

/// A meeting: how far, which way the surface looks there, and which of its faces it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub t: f64,
    pub normal: V3,
    pub face: u8,
}

/// Nearer than this is the surface that the ray leaves.
const NEAR: f64 = 1e-6;

/// Whether the ray meets the ball of radius `r` about `centre` at all, before `far`.
pub(crate) fn touches(ray: &Ray, centre: V3, r: f64, far: f64) -> bool {
    let to = centre - ray.from;
    let middle = to.dot(ray.along);
    let off = to.dot(to) - middle * middle;
    off <= r * r && middle + r > NEAR && middle - r < far
}

/// The first meeting with a body of that shape and half extent.
pub(crate) fn meet(solid: Solid, half: V3, ray: &Ray) -> Option<Hit> {
    match solid {
        Solid::Sphere => sphere(ray, V3::default(), half.0),
        Solid::Cube | Solid::Sign => cuboid(ray, half),
        Solid::Cylinder => cylinder(ray, half),
        Solid::Cone => cone(ray, half),
        Solid::Ring => torus(ray, half),
        Solid::Capsule => capsule(ray, half),
        Solid::Pyramid => planes(ray, &pyramid(half)),
        Solid::Prism => planes(ray, &prism(half)),
    }
}

fn sphere(ray: &Ray, centre: V3, r: f64) -> Option<Hit> {
    let to = ray.from - centre;
    let b = to.dot(ray.along);
    let root = (b * b - (to.dot(to) - r * r)).max(-1.0);
    if root < 0.0 {
        return None;
    }
    let root = root.sqrt();
    let t = [-b - root, -b + root].into_iter().find(|t| *t > NEAR)?;
    Some(Hit { t, normal: (ray.at(t) - centre) * (1.0 / r), face: 0 })
}

fn cuboid(ray: &Ray, half: V3) -> Option<Hit> {
    planes(
        ray,
        &[
            (V3(1.0, 0.0, 0.0), half.0),
            (V3(-1.0, 0.0, 0.0), half.0),
            (V3(0.0, 1.0, 0.0), half.1),
            (V3(0.0, -1.0, 0.0), half.1),
            (V3(0.0, 0.0, 1.0), half.2),
            (V3(0.0, 0.0, -1.0), half.2),
        ],
    )
}

/// A body that is what lies behind all planes `normal · p = distance`.
fn planes(ray: &Ray, planes: &[(V3, f64)]) -> Option<Hit> {
    let (mut enter, mut leave) = (f64::NEG_INFINITY, f64::INFINITY);
    let (mut first, mut last) = (0, 0);
    for (i, (normal, distance)) in planes.iter().enumerate() {
        let speed = normal.dot(ray.along);
        let gap = distance - normal.dot(ray.from);
        if speed == 0.0 {
            if gap < 0.0 {
                return None;
            }
            continue;
        }
        let t = gap / speed;
        if speed < 0.0 && t > enter {
            (enter, first) = (t, i);
        } else if speed > 0.0 && t < leave {
            (leave, last) = (t, i);
        }
    }
    let (t, face) = if enter > NEAR { (enter, first) } else { (leave, last) };
    (enter <= leave && t > NEAR && t.is_finite()).then(|| Hit {
        t,
        normal: planes[face].0,
        face: u8::try_from(face).unwrap_or(0),
    })
}

fn pyramid(half: V3) -> [(V3, f64); 5] {
    // A side goes from the edge of the base to the point above the middle.
    let side = V3(2.0 * half.2, 0.0, half.0).unit();
    let front = V3(0.0, 2.0 * half.2, half.1).unit();
    let (a, b) = (side.dot(V3(0.0, 0.0, half.2)), front.dot(V3(0.0, 0.0, half.2)));
    [
        (side, a),
        (V3(-side.0, 0.0, side.2), a),
        (front, b),
        (V3(0.0, -front.1, front.2), b),
        (V3(0.0, 0.0, -1.0), half.2),
    ]
}

fn prism(half: V3) -> [(V3, f64); 5] {
    let side = V3(2.0 * half.2, 0.0, half.0).unit();
    let a = side.dot(V3(0.0, 0.0, half.2));
    [
        (side, a),
        (V3(-side.0, 0.0, side.2), a),
        (V3(0.0, 1.0, 0.0), half.1),
        (V3(0.0, -1.0, 0.0), half.1),
        (V3(0.0, 0.0, -1.0), half.2),
    ]
}

/// The nearer of two meetings.
fn nearer(a: Option<Hit>, b: Option<Hit>) -> Option<Hit> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.t <= b.t { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// A disc of radius `r` at height `z`.
fn disc(ray: &Ray, z: f64, r: f64, face: u8) -> Option<Hit> {
    if ray.along.2 == 0.0 {
        return None;
    }
    let t = (z - ray.from.2) / ray.along.2;
    let p = ray.at(t);
    (t > NEAR && p.0 * p.0 + p.1 * p.1 <= r * r).then(|| Hit {
        t,
        normal: V3(0.0, 0.0, if z > 0.0 { 1.0 } else { -1.0 }),
        face,
    })
}

/// The mantle of a cylinder between -h and h.
fn mantle(ray: &Ray, r: f64, h: f64) -> Option<Hit> {
    let (d, o) = (ray.along, ray.from);
    let a = d.0 * d.0 + d.1 * d.1;
    if a == 0.0 {
        return None;
    }
    let b = o.0 * d.0 + o.1 * d.1;
    let root = b * b - a * (o.0 * o.0 + o.1 * o.1 - r * r);
    if root < 0.0 {
        return None;
    }
    let root = root.sqrt();
    [(-b - root) / a, (-b + root) / a].into_iter().find_map(|t| {
        let p = ray.at(t);
        (t > NEAR && p.2.abs() <= h).then(|| Hit { t, normal: V3(p.0 / r, p.1 / r, 0.0), face: 0 })
    })
}

fn cylinder(ray: &Ray, half: V3) -> Option<Hit> {
    let ends = nearer(disc(ray, half.2, half.0, 1), disc(ray, -half.2, half.0, 2));
    nearer(mantle(ray, half.0, half.2), ends)
}

fn capsule(ray: &Ray, half: V3) -> Option<Hit> {
    let h = half.2 - half.0;
    let end = |z: f64| sphere(ray, V3(0.0, 0.0, z), half.0).filter(|hit| (ray.at(hit.t).2 - z) * z >= 0.0);
    nearer(mantle(ray, half.0, h), nearer(end(h), end(-h)))
}

fn cone(ray: &Ray, half: V3) -> Option<Hit> {
    // x² + y² = k² (top - z)², for z between base and top.
    let (r, top) = (half.0, half.2);
    let k = r / (2.0 * top);
    let (d, o) = (ray.along, ray.from);
    let up = top - o.2;
    let a = d.0 * d.0 + d.1 * d.1 - k * k * d.2 * d.2;
    let b = o.0 * d.0 + o.1 * d.1 + k * k * up * d.2;
    let c = o.0 * o.0 + o.1 * o.1 - k * k * up * up;
    let root = b * b - a * c;
    let mut side = None;
    if root >= 0.0 && a != 0.0 {
        let root = root.sqrt();
        let (first, second) = ((-b - root) / a, (-b + root) / a);
        let (first, second) = if first <= second { (first, second) } else { (second, first) };
        side = [first, second].into_iter().find_map(|t| {
            let p = ray.at(t);
            (t > NEAR && p.2 <= top && p.2 >= -top).then(|| Hit {
                t,
                normal: V3(p.0, p.1, k * k * (top - p.2)).unit(),
                face: 0,
            })
        });
    }
    nearer(side, disc(ray, -top, r, 1))
}

/// Marched along the distance to the surface, which nothing overshoots.
fn torus(ray: &Ray, half: V3) -> Option<Hit> {
    let (tube, major) = (half.2, half.0 - half.2);
    let distance = |p: V3| {
        let across = (p.0 * p.0 + p.1 * p.1).sqrt() - major;
        (across * across + p.2 * p.2).sqrt() - tube
    };
    let (b, bound) = (ray.from.dot(ray.along), half.0 * 1.001);
    let root = b * b - (ray.from.dot(ray.from) - bound * bound);
    if root < 0.0 {
        return None;
    }
    let (mut t, end) = ((-b - root.sqrt()).max(1e-4), -b + root.sqrt());
    for _ in 0..512 {
        let gap = distance(ray.at(t));
        if gap < 1e-4 {
            let p = ray.at(t);
            let across = (p.0 * p.0 + p.1 * p.1).sqrt();
            let on_axis = if across > 0.0 { major / across } else { 0.0 };
            return Some(Hit {
                t,
                normal: V3(p.0 - p.0 * on_axis, p.1 - p.1 * on_axis, p.2).unit(),
                face: 0,
            });
        }
        t += gap;
        if t > end {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inside, by each shape's definition; written apart from the meeting of rays.
    fn inside(solid: Solid, h: V3, p: V3) -> bool {
        let across = (p.0 * p.0 + p.1 * p.1).sqrt();
        match solid {
            Solid::Sphere => p.norm() < h.0,
            Solid::Cube | Solid::Sign => p.0.abs() < h.0 && p.1.abs() < h.1 && p.2.abs() < h.2,
            Solid::Cylinder => across < h.0 && p.2.abs() < h.2,
            Solid::Cone => p.2.abs() < h.2 && across < h.0 * (h.2 - p.2) / (2.0 * h.2),
            Solid::Ring => (across - (h.0 - h.2)).hypot(p.2) < h.2,
            Solid::Capsule => V3(p.0, p.1, p.2 - p.2.clamp(h.0 - h.2, h.2 - h.0)).norm() < h.0,
            Solid::Pyramid => {
                let share = (h.2 - p.2) / (2.0 * h.2);
                p.2.abs() < h.2 && p.0.abs() < h.0 * share && p.1.abs() < h.1 * share
            }
            Solid::Prism => p.2.abs() < h.2 && p.1.abs() < h.1 && p.0.abs() < h.0 * (h.2 - p.2) / (2.0 * h.2),
        }
    }

    #[test]
    fn rays_meet_bodies_where_their_definition_says() {
        let half = |solid| match solid {
            Solid::Sphere => V3(0.7, 0.7, 0.7),
            Solid::Ring => V3(1.0, 1.0, 0.3),
            Solid::Capsule => V3(0.4, 0.4, 1.0),
            _ => V3(0.8, 0.8, 0.9),
        };
        let mut rng = crate::rng::Rng::of(3, &["rays"], 0);
        for solid in Solid::ALL.iter().copied() {
            let (half, mut met) = (half(solid), 0);
            for _ in 0..400 {
                let from = V3(rng.range(-1.0, 1.0), rng.range(-1.0, 1.0), rng.range(-1.0, 1.0)).unit() * 4.0;
                let at = V3(rng.range(-0.8, 0.8), rng.range(-0.8, 0.8), rng.range(-0.9, 0.9));
                let ray = Ray { from, along: (at - from).unit() };
                // Walked in small steps: the first that is inside.
                let walked =
                    (0..3000).map(|i| f64::from(i) * 0.002).find(|t| inside(solid, half, ray.at(*t)));
                match (meet(solid, half, &ray), walked) {
                    (Some(hit), Some(t)) => {
                        met += 1;
                        assert!((hit.t - t).abs() < 0.004, "{solid:?}: {} and {t}", hit.t);
                        assert!(hit.normal.dot(ray.along) < 1e-3, "{solid:?} looks away");
                        assert!((hit.normal.norm() - 1.0).abs() < 1e-6, "{solid:?}");
                        assert!(!inside(solid, half, ray.at(hit.t) + hit.normal * 0.003), "{solid:?}");
                    }
                    (None, None) => {}
                    // Grazing rays may be seen by one and not by the other.
                    (Some(hit), None) => {
                        assert!(!inside(solid, half, ray.at(hit.t + 0.01)), "{solid:?}");
                    }
                    (None, Some(t)) => assert!(!inside(solid, half, ray.at(t + 0.01)), "{solid:?} at {t}"),
                }
            }
            assert!(met > 100, "{solid:?} was met {met} times");
        }
    }
}
