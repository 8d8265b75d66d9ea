//! Where two things are to each other, and when that is beyond doubt.

use serde::{Deserialize, Serialize};

use super::{Space, Thing, Truth};
use crate::maths::V3;
use crate::scene::Kind;

/// Thing `of` is, as seen from thing `to`: both are numbers in the mask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The one.
    pub of: usize,
    /// The other.
    pub to: usize,
    /// `left` or `right`, `above` or `below`, `front` or `behind`; only what is beyond doubt.
    pub is: Vec<String>,
}

/// Centres are this share of the picture apart, and boxes overlap along the axis by at most that share of the smaller.
const APART: f64 = 0.1;
const OVERLAP: f64 = 0.25;

/// Metres that must lie between two things before one is said to be closer: corner against corner, as CV-Bench does it.
const MARGIN: f64 = 0.2;

/// Two stretches of one axis, and its length: -1 where the first is clearly before the second, 1 behind, 0 in doubt.
pub fn apart(a: (f64, f64), b: (f64, f64), length: f64) -> i32 {
    let gap = (a.0 + a.1 / 2.0) - (b.0 + b.1 / 2.0);
    let overlap = (a.0 + a.1).min(b.0 + b.1) - a.0.max(b.0);
    if gap.abs() < APART * length || overlap > OVERLAP * a.1.min(b.1) {
        return 0;
    }
    if gap < 0.0 { -1 } else { 1 }
}

/// Left (-1) or right (1), above (-1) or below (1), by what is seen of both; 0 in doubt.
pub fn between(truth: &Truth, a: &Thing, b: &Thing) -> (i32, i32) {
    let [ax, ay, aw, ah] = a.seen.map(f64::from);
    let [bx, by, bw, bh] = b.seen.map(f64::from);
    (apart((ax, aw), (bx, bw), f64::from(truth.width)), apart((ay, ah), (by, bh), f64::from(truth.height)))
}

/// Least and greatest distance of a box's corners from a point.
fn span(space: &Space, from: V3) -> (f64, f64) {
    let all = space.corners.iter().map(|corner| corner.distance(from));
    all.fold((f64::INFINITY, 0.0), |(low, high), d| (low.min(d), high.max(d)))
}

/// Whether `a` is (true) or is not (false) closer to `point` than `b`; `None` in doubt.
fn judged(a: &Space, b: &Space, point: V3) -> Option<bool> {
    let ((a_low, a_high), (b_low, b_high)) = (span(a, point), span(b, point));
    if a_high + MARGIN < b_low {
        return Some(true);
    }
    (b_high + MARGIN < a_low).then_some(false)
}

/// Whether `a` is closer to the camera than `b`: the farthest corner of the one before the nearest of the other.
pub fn closer(a: &Space, b: &Space) -> Option<bool> {
    judged(a, b, V3::default())
}

/// Whether `a` is closer to the middle of `anchor` than `b`.
pub fn nearer_to(anchor: &Space, a: &Space, b: &Space) -> Option<bool> {
    judged(a, b, anchor.centre)
}

/// All relations in a picture of bodies or figures.
pub(super) fn all(truth: &Truth) -> Vec<Relation> {
    if !matches!(truth.kind, Kind::Room | Kind::Flat) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (i, a) in truth.things.iter().enumerate() {
        for (j, b) in truth.things.iter().enumerate().skip(i + 1) {
            let (x, y) = between(truth, a, b);
            let mut is = Vec::new();
            is.extend(word(x, "left", "right"));
            is.extend(word(y, "above", "below"));
            if let (Some(a), Some(b)) = (&a.space, &b.space) {
                is.extend(closer(a, b).map(|closer| if closer { "front" } else { "behind" }.to_owned()));
            }
            if !is.is_empty() {
                out.push(Relation { of: i + 1, to: j + 1, is });
            }
        }
    }
    out
}

fn word(sign: i32, before: &str, after: &str) -> Option<String> {
    match sign {
        -1 => Some(before.to_owned()),
        1 => Some(after.to_owned()),
        _ => None,
    }
}
