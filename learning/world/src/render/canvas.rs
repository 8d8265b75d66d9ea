//! A sheet to fill outlines on, which also keeps who is seen where.

use crate::maths::V3;

use super::Whole;

/// Closed outlines, each a list of corners, in pixels. What they wind around (not zero) is inside.
pub(crate) type Outlines = Vec<Vec<(f64, f64)>>;

/// Lines per row of pixels along which coverage is measured; along a row it is exact.
const LINES: usize = 4;

/// A picture that grows.
#[derive(Debug)]
pub(crate) struct Canvas {
    pub width: usize,
    pub height: usize,
    /// Light, row by row.
    pub light: Vec<V3>,
    /// Who is seen: 0 nobody, k + 1 thing k.
    pub instance: Vec<u16>,
    /// What each thing would cover if nothing hid it.
    pub whole: Vec<Whole>,
}

impl Canvas {
    pub fn new((width, height): (usize, usize), things: usize) -> Self {
        Self {
            width,
            height,
            light: vec![V3::default(); width * height],
            instance: vec![0; width * height],
            whole: vec![Whole::default(); things],
        }
    }

    /// Fills what the outlines hold with one colour, as a part of `thing` where there is one.
    pub fn fill(&mut self, outlines: &Outlines, colour: V3, thing: Option<usize>) {
        self.cover(outlines, |canvas, at, share| {
            canvas.light[at] = canvas.light[at].mix(colour, f64::from(share));
            if share >= 0.5 {
                canvas.mark(at, thing);
            }
        });
    }

    /// Says that `thing` is seen there, without drawing.
    pub fn claim(&mut self, outlines: &Outlines, thing: usize) {
        self.cover(outlines, |canvas, at, share| {
            if share >= 0.5 {
                canvas.mark(at, Some(thing));
            }
        });
    }

    fn mark(&mut self, at: usize, thing: Option<usize>) {
        let Some(thing) = thing else { return };
        let id = u16::try_from(thing + 1).unwrap_or(u16::MAX);
        if self.instance[at] != id {
            self.instance[at] = id;
            let (x, y) = (at % self.width, at / self.width);
            self.whole[thing].add(x, y);
        }
    }

    /// Calls `paint` with every pixel of which the outlines cover a share.
    fn cover(&mut self, outlines: &Outlines, mut paint: impl FnMut(&mut Self, usize, f32)) {
        let ys = || outlines.iter().flatten().map(|p| p.1);
        let top = ys().fold(f64::INFINITY, f64::min).floor().max(0.0);
        let bottom = ys().fold(f64::NEG_INFINITY, f64::max).ceil().min(self.height as f64);
        if top >= bottom {
            return;
        }
        let mut share = vec![0f32; self.width];
        let mut crossings: Vec<(f64, i32)> = Vec::new();
        for row in top as usize..bottom as usize {
            share.fill(0.0);
            for line in 0..LINES {
                let y = row as f64 + (line as f64 + 0.5) / LINES as f64;
                crossings.clear();
                for outline in outlines {
                    for (i, a) in outline.iter().enumerate() {
                        let b = outline[(i + 1) % outline.len()];
                        if (a.1 <= y) != (b.1 <= y) {
                            let x = a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0);
                            crossings.push((x, if b.1 > a.1 { 1 } else { -1 }));
                        }
                    }
                }
                crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut winding = 0;
                for pair in crossings.windows(2) {
                    winding += pair[0].1;
                    if winding != 0 {
                        span(&mut share, pair[0].0, pair[1].0);
                    }
                }
            }
            for (x, share) in share.iter().enumerate() {
                if *share > 0.0 {
                    paint(self, row * self.width + x, share.min(1.0));
                }
            }
        }
    }
}

/// Adds one line's share of the pixels between two places.
fn span(share: &mut [f32], from: f64, to: f64) {
    let (from, to) = (from.max(0.0), to.min(share.len() as f64));
    if from >= to {
        return;
    }
    let weight = 1.0 / LINES as f32;
    let (first, last) = (from.floor() as usize, (to.ceil() as usize).min(share.len()) - 1);
    if first == last {
        share[first] += weight * (to - from) as f32;
        return;
    }
    share[first] += weight * (first as f64 + 1.0 - from) as f32;
    share[last] += weight * (to - last as f64) as f32;
    for inner in &mut share[first + 1..last] {
        *inner += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::outline;

    fn area(outlines: &Outlines) -> f64 {
        let mut canvas = Canvas::new((100, 80), 1);
        canvas.fill(outlines, V3(1.0, 1.0, 1.0), Some(0));
        canvas.light.iter().map(|light| light.0).sum()
    }

    #[test]
    fn coverage_is_area() {
        // (outlines, area by geometry, how near)
        for (outlines, expected, near) in [
            (vec![vec![(10.25, 10.0), (20.75, 10.0), (20.75, 30.0), (10.25, 30.0)]], 10.5 * 20.0, 1e-3),
            (vec![outline::circle((50.0, 40.0), 25.0)], std::f64::consts::PI * 625.0, 6.0),
            // A hole that winds the other way.
            (
                vec![
                    outline::circle((50.0, 40.0), 25.0),
                    outline::reversed(outline::circle((50.0, 40.0), 10.0)),
                ],
                std::f64::consts::PI * 525.0,
                6.0,
            ),
            // What is outside of the sheet is cut off.
            (vec![vec![(-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0)]], 100.0, 1e-3),
            (vec![vec![(200.0, 0.0), (210.0, 0.0), (210.0, 50.0)]], 0.0, 1e-9),
        ] {
            assert!((area(&outlines) - expected).abs() < near, "{} and {expected}", area(&outlines));
        }
    }
}
