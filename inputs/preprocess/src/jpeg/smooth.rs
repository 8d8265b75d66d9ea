//! Estimates of coefficients that a progressive image has not, or not in full, brought: libjpeg's "block smoothing".
//!
//! It works on the DC coefficients of a block and the 24 around it. Where no AC coefficient of a component is known, it fits
//! nine of them and smooths the DC coefficient itself; otherwise it fills in the first five where they are 0. It concerns
//! images whose scans stop early, by intent or because the file was cut off.

use super::frame::{Component, Frame};
use super::markers::Scan;
use super::sequential::Block;
use super::several::Plane;

/// Coefficients that are estimated, in zigzag order.
const ESTIMATED: usize = 10;

/// Where they stand in a block.
const PLACES: [usize; ESTIMATED] = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24];

/// How many low bits of the first coefficients of a component are not known; -1 where nothing is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    open: [i8; 64],
    /// The same before the last scan of this component.
    before: [i8; ESTIMATED],
}

impl Known {
    pub(super) const NOTHING: Self = Self { open: [-1; 64], before: [-1; ESTIMATED] };

    /// Notes what a scan brings. Returns whether it follows from the earlier ones.
    pub(super) fn take(&mut self, scan: &Scan, is_first: bool) -> bool {
        let (first, last) = (usize::from(scan.band.0), usize::from(scan.band.1).min(63));
        let (high, low) = (scan.bits.0 as i8, scan.bits.1 as i8);
        let mut sound = first == 0 || self.open[0] >= 0;
        for at in first.min(1)..ESTIMATED {
            self.before[at] = if is_first { 0 } else { self.open[at] };
        }
        for open in self.open.iter_mut().take(last + 1).skip(first) {
            sound &= high == (*open).max(0);
            *open = low;
        }
        sound
    }
}

/// Smooths the blocks of a component.
pub(super) struct Smoother {
    /// Open bits, for rows of MCUs up to `good` and beyond.
    open: [[i8; ESTIMATED]; 2],
    good: usize,
    steps: [i64; ESTIMATED],
    /// Rows of blocks in a row of MCUs, and in the last one.
    rows: (usize, usize),
    bands: usize,
    last_column: usize,
}

impl Smoother {
    /// One for each component, or none where nothing is to be smoothed. `good` is the last row of MCUs that the last scan
    /// brought.
    pub(super) fn all(
        frame: &Frame,
        known: &[Known],
        tables: &[Option<[u16; 64]>],
        good: usize,
        scans: usize,
    ) -> Vec<Self> {
        let mut all = Vec::new();
        for ((component, known), table) in frame.components.iter().zip(known).zip(tables) {
            let Some(table) = table else { return Vec::new() };
            let steps = PLACES.map(|place| i64::from(table[place]));
            if known.open[0] < 0 || steps.contains(&0) {
                return Vec::new();
            }
            all.push(Self::new(frame, component, known, steps, good, scans));
        }
        if all.iter().all(|one| one.open[0][1..].iter().all(|&open| open == 0)) {
            return Vec::new();
        }
        all
    }

    fn new(
        frame: &Frame,
        component: &Component,
        known: &Known,
        steps: [i64; ESTIMATED],
        good: usize,
        scans: usize,
    ) -> Self {
        let mut now = [0; ESTIMATED];
        now.copy_from_slice(&known.open[..ESTIMATED]);
        let rows = component.sampling.1;
        let rest = component.blocks.1 % rows;
        Self {
            open: [now, if scans > 1 { known.before } else { [-1; ESTIMATED] }],
            good,
            steps,
            rows: (rows, if rest == 0 { rows } else { rest }),
            bands: frame.mcus.1,
            last_column: component.blocks.0 - 1,
        }
    }

    /// A block of row of MCUs `band`, with estimates.
    pub(super) fn block(&self, plane: &Plane, (column, row): (usize, usize), band: usize) -> Block {
        let mut block = plane.blocks[row * plane.across + column];
        let dc = self.surroundings(plane, (column, row), band);
        let open = &self.open[usize::from(band > self.good)];
        let bare = open[1..].iter().all(|&open| open == -1);
        let kernels = if bare { &BARE } else { &PARTLY };
        for at in 1..if bare { ESTIMATED } else { 6 } {
            let place = PLACES[at];
            if open[at] != 0 && block[place] == 0 {
                block[place] = self.estimate(&dc, &kernels[at], at, open[at]);
            }
        }
        if bare {
            block[0] = self.estimate(&dc, &kernels[0], 0, 0);
        }
        block
    }

    /// A coefficient from the DC coefficients around it. Its open bits limit how large it can be.
    fn estimate(&self, dc: &[[i64; 5]; 5], kernel: &[[i64; 5]; 5], at: usize, open: i8) -> i16 {
        let sum: i64 = dc.iter().flatten().zip(kernel.iter().flatten()).map(|(dc, weight)| dc * weight).sum();
        let (scaled, step) = (self.steps[0] * sum, self.steps[at]);
        let mut size = ((step << 7) + scaled.abs()) / (step << 8);
        if open > 0 {
            size = size.min((1 << open) - 1);
        }
        (if scaled < 0 { -size } else { size }) as i16
    }

    /// The DC coefficients of five by five blocks. At the edges the nearest ones are repeated.
    fn surroundings(&self, plane: &Plane, (column, row): (usize, usize), band: usize) -> [[i64; 5]; 5] {
        // libjpeg numbers the rows of the last row of MCUs as if all of them had as few, and finds the edges so.
        let rows = if band + 1 == self.bands { self.rows.1 } else { self.rows.0 };
        let (number, all) = (band * rows + (row - band * self.rows.0), self.bands * rows);
        let above = row - usize::from(number > 0);
        let below = row + usize::from(number + 1 < all);
        let lines = [
            if number > 1 { row - 2 } else { above },
            above,
            row,
            below,
            if number + 2 < all { row + 2 } else { below },
        ];
        lines.map(|line| {
            let dc = |column: usize| i64::from(plane.blocks[line * plane.across + column][0]);
            let left = column.saturating_sub(1);
            let right = (column + 1).min(self.last_column);
            [column.saturating_sub(2), left, column, right, (column + 2).min(self.last_column)].map(dc)
        })
    }
}

/// Weights of the DC coefficients around, for each of [`PLACES`].
type Kernels = [[[i64; 5]; 5]; ESTIMATED];

const NONE: [[i64; 5]; 5] = [[0; 5]; 5];

/// Where no AC coefficient is known.
#[rustfmt::skip]
const BARE: Kernels = [
    [[-2, -6, -8, -6, -2], [-6, 6, 42, 6, -6], [-8, 42, 152, 42, -8], [-6, 6, 42, 6, -6], [-2, -6, -8, -6, -2]],
    [[-1, -1, 0, 1, 1], [-3, 13, 0, -13, 3], [-3, 38, 0, -38, 3], [-3, 13, 0, -13, 3], [-1, -1, 0, 1, 1]],
    [[-1, -3, -3, -3, -1], [-1, 13, 38, 13, -1], [0; 5], [1, -13, -38, -13, 1], [1, 3, 3, 3, 1]],
    [[0, 0, 1, 0, 0], [0, 2, 7, 2, 0], [0, -5, -14, -5, 0], [0, 2, 7, 2, 0], [0, 0, 1, 0, 0]],
    [[-1, 0, 0, 0, 1], [0, 9, 0, -9, 0], [0; 5], [0, -9, 0, 9, 0], [1, 0, 0, 0, -1]],
    [[0; 5], [0, 2, -5, 2, 0], [1, 7, -14, 7, 1], [0, 2, -5, 2, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, 2, 0, -2, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, -3, 1, 0], [0; 5], [0, -1, 3, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, -3, 0, 3, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 2, 1, 0], [0; 5], [0, -1, -2, -1, 0], [0; 5]],
];

/// Where some are.
#[rustfmt::skip]
const PARTLY: Kernels = [
    NONE,
    [[0; 5], [0; 5], [-7, 50, 0, -50, 7], [0; 5], [0; 5]],
    [[0, 0, -7, 0, 0], [0, 0, 50, 0, 0], [0; 5], [0, 0, -50, 0, 0], [0, 0, 7, 0, 0]],
    [[0, 0, -1, 0, 0], [0, 0, 13, 0, 0], [0, 0, -24, 0, 0], [0, 0, 13, 0, 0], [0, 0, -1, 0, 0]],
    [[0, -1, 0, 1, 0], [-1, 10, 0, -10, 1], [0; 5], [1, -10, 0, 10, -1], [0, 1, 0, -1, 0]],
    [[0; 5], [0; 5], [-1, 13, -24, 13, -1], [0; 5], [0; 5]],
    NONE,
    NONE,
    NONE,
    NONE,
];
