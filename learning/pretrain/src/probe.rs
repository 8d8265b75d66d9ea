//! What an encoder has learnt: a linear map from its frozen features to a class of held-out scenes.

use serde::Serialize;
use zoo_world::scene::words::{Colour, Solid};
use zoo_world::scene::{Kind, Split};

use crate::eye::Eye;
use crate::head::pooled;
use crate::recipe::World;
use crate::scenes::Scenes;
use crate::{Error, Result};

/// Pictures that go through the encoder at once.
const GROUP: u64 = 32;

/// How much the map is held back, per picture.
const RIDGE: f64 = 1e-3;

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Probe {
    /// About the eight bodies: is there a cone?
    pub bodies: Answered,
    /// About the ten colours: is there something red?
    pub colours: Answered,
}

/// Questions that were answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answered {
    /// Share that the map answers right, 0 to 1.
    pub accuracy: f64,
    /// Share that the most frequent answer would get.
    pub majority: f64,
    /// Questions.
    pub count: usize,
}

/// What is asked about: bodies, then colours.
const BODIES: usize = Solid::THINGS.len();

/// What is there, learnt from `learn` training rooms by ridge regression on the mean and the greatest of all tokens, and asked
/// about `ask` rooms of the test split: every picture is asked about one body that is there and one that is not, and likewise
/// about colours, so that guessing gets half.
///
/// # Errors
/// Those of the encoder.
pub fn probe(eye: &Eye, seed: u64, learn: u64, ask: u64) -> Result<Probe> {
    let world = World { seed, scenes: learn, kinds: vec![Kind::Room] };
    let (x, y) = table(eye, &Scenes::new(&world, Split::Train, eye.side(), eye.pad()), learn)?;
    let map = ridge(&x, &y);
    // A thing is there where the map says so more than of an average picture: most are in few pictures.
    let mean = |class: usize| y.iter().map(|row| row[class]).sum::<f64>() / y.len().max(1) as f64;
    let usual: Vec<f64> = (0..BODIES + Colour::ALL.len()).map(mean).collect();
    let (x, y) = table(eye, &Scenes::new(&world, Split::Test, eye.side(), eye.pad()), ask)?;
    let answered = |classes: std::ops::Range<usize>| {
        let (mut right, mut yes, mut count) = (0, 0, 0);
        for (at, (row, truth)) in x.iter().zip(&y).enumerate() {
            let score = |class: usize| -> f64 { row.iter().zip(&map[class]).map(|(x, w)| x * w).sum() };
            // One that is there and one that is not, picked by the number of the picture.
            for there in [true, false] {
                let all: Vec<usize> = classes.clone().filter(|c| (truth[*c] > 0.5) == there).collect();
                let Some(class) = all.get(at % all.len().max(1)) else { continue };
                count += 1;
                yes += usize::from(there);
                right += usize::from((score(*class) > usual[*class]) == there);
            }
        }
        let share = |part: usize| part as f64 / count.max(1) as f64;
        Answered { accuracy: share(right), majority: share(yes).max(1.0 - share(yes)), count }
    };
    Ok(Probe { bodies: answered(0..BODIES), colours: answered(BODIES..usual.len()) })
}

/// Numbers of pictures, one row each.
type Table = Vec<Vec<f64>>;

/// Features of each picture with a 1 behind them, and what is there.
fn table(eye: &Eye, scenes: &Scenes, count: u64) -> Result<(Table, Table)> {
    use rayon::prelude::*;
    let (mut x, mut y) = (Table::new(), Table::new());
    for first in (0..count).step_by(GROUP as usize) {
        let group: Vec<_> =
            (first..count.min(first + GROUP)).into_par_iter().map(|index| scenes.show(index)).collect();
        let images: Vec<_> = group.iter().map(|shown| &shown.image).collect();
        let seen = eye.look(&eye.pixels(&images)?)?;
        let rows = pooled(&seen.tokens).and_then(|pooled| pooled.to_vec2::<f32>()).map_err(Error::from)?;
        for (features, shown) in rows.into_iter().zip(&group) {
            x.push(features.into_iter().map(f64::from).chain([1.0]).collect());
            let truth = &shown.truth;
            let clear = || truth.things.iter().filter(|thing| truth.clear(thing));
            let bodies =
                Solid::THINGS.iter().map(|solid| clear().any(|thing| thing.class == (*solid).into()));
            let colours = Colour::ALL.iter().map(|colour| clear().any(|thing| thing.colour == Some(*colour)));
            y.push(bodies.chain(colours).map(|there| f64::from(u8::from(there))).collect());
        }
    }
    Ok((x, y))
}

/// The columns of `(XᵀX + λ)⁻¹ Xᵀ Y`, one for each class, by Cholesky's factors.
fn ridge(x: &[Vec<f64>], y: &[Vec<f64>]) -> Table {
    let (width, classes) = (x.first().map_or(0, Vec::len), y.first().map_or(0, Vec::len));
    let mut a = vec![vec![0.0; width]; width];
    let mut columns = vec![vec![0.0; width]; classes];
    for (row, truth) in x.iter().zip(y) {
        for (sums, left) in a.iter_mut().zip(row) {
            sums.iter_mut().zip(row).for_each(|(sum, right)| *sum += left * right);
        }
        for (column, truth) in columns.iter_mut().zip(truth) {
            column.iter_mut().zip(row).for_each(|(sum, left)| *sum += left * truth);
        }
    }
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += RIDGE * x.len() as f64 + 1e-9;
    }
    for i in 0..width {
        for j in 0..=i {
            let sum = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            a[i][j] = if i == j { sum.max(1e-12).sqrt() } else { sum / a[j][j] };
        }
    }
    for column in &mut columns {
        for i in 0..width {
            let sum = column[i] - (0..i).map(|k| a[i][k] * column[k]).sum::<f64>();
            column[i] = sum / a[i][i];
        }
        for i in (0..width).rev() {
            let sum = column[i] - (i + 1..width).map(|k| a[k][i] * column[k]).sum::<f64>();
            column[i] = sum / a[i][i];
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_rule_is_found() {
        let x: Table = (0..200).map(|i| vec![f64::from(i % 7), f64::from(i % 5), 1.0]).collect();
        let y: Table = x.iter().map(|r| vec![2.0 * r[0] - r[1] + 0.5]).collect();
        for (found, expected) in ridge(&x, &y)[0].iter().zip([2.0, -1.0, 0.5]) {
            assert!((found - expected).abs() < 0.01, "{found:?} {expected}");
        }
    }
}
