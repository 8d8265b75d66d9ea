//! What is added to scores before the soft-max.

use super::AttentionSize;

/// Added to the scaled scores.
#[derive(Debug, Clone, Copy)]
pub enum Bias<'a> {
    /// A number for each pair of tokens: `[queries, keys]` or, one for each head, `[heads, queries, keys]`.
    Dense(&'a [f32]),
    /// Two numbers, of the row and of the column of a key on a grid.
    Decomposed(Decomposed<'a>),
}

/// Decomposed relative positions (arXiv 2112.01526 section 4.1, 2203.16527): what is added to the score of a query and
/// a key is the sum of a number for the key's row and one for its column. So there is no matrix of queries by keys.
#[derive(Debug, Clone, Copy)]
pub struct Decomposed<'a> {
    /// Keys before those of the grid, to whose scores nothing is added.
    pub prefix: usize,
    /// Rows and columns of the keys, which lie in raster order.
    pub grid: (usize, usize),
    /// `[heads, queries, grid rows]` or, one for each of the batch, `[batch, heads, queries, grid rows]`.
    pub rows: &'a [f32],
    /// As `rows`, `[…, grid columns]`.
    pub columns: &'a [f32],
}

/// The biases of one query.
#[derive(Clone, Copy)]
pub(crate) enum OfQuery<'a> {
    Nothing,
    /// `[keys]`.
    Dense(&'a [f32]),
    Decomposed {
        prefix: usize,
        rows: &'a [f32],
        columns: &'a [f32],
    },
}

impl OfQuery<'_> {
    #[inline(always)]
    pub fn at(&self, key: usize) -> f32 {
        match *self {
            Self::Nothing => 0.0,
            Self::Dense(bias) => bias[key],
            Self::Decomposed { prefix, .. } if key < prefix => 0.0,
            Self::Decomposed { prefix, rows, columns } => {
                let cell = key - prefix;
                rows[cell / columns.len()] + columns[cell % columns.len()]
            }
        }
    }
}

impl<'a> Bias<'a> {
    /// Panics when a length does not fit.
    pub(super) fn check(&self, size: &AttentionSize) {
        let AttentionSize { batch, queries, keys, heads, .. } = *size;
        match *self {
            Self::Dense(bias) => {
                let one = queries * keys;
                assert!(
                    bias.len() == one || bias.len() == heads * one,
                    "bias: not [{heads}?, {queries}, {keys}]"
                );
            }
            Self::Decomposed(Decomposed { prefix, grid: (h, w), rows, columns }) => {
                assert_eq!(prefix + h * w, keys, "bias: {prefix} keys and a grid of {h} · {w}, not {keys}");
                let one = heads * queries;
                assert!(
                    [one, batch * one].iter().any(|n| rows.len() == n * h && columns.len() == n * w),
                    "bias: rows and columns are not [{batch}?, {heads}, {queries}, {h}] and […, {w}]"
                );
            }
        }
    }

    #[inline(always)]
    pub(super) fn of(&self, size: &AttentionSize, [image, head, query]: [usize; 3]) -> OfQuery<'a> {
        let AttentionSize { queries, keys, heads, .. } = *size;
        match *self {
            Self::Dense(bias) => {
                let head = if bias.len() == queries * keys { 0 } else { head };
                OfQuery::Dense(&bias[(head * queries + query) * keys..][..keys])
            }
            Self::Decomposed(Decomposed { prefix, grid: (h, w), rows, columns }) => {
                let one = heads * queries;
                let image = if rows.len() == one * h && columns.len() == one * w { 0 } else { image };
                let place = (image * heads + head) * queries + query;
                OfQuery::Decomposed {
                    prefix,
                    rows: &rows[place * h..][..h],
                    columns: &columns[place * w..][..w],
                }
            }
        }
    }
}

impl Decomposed<'_> {
    /// Numbers of each query.
    #[inline(always)]
    pub(super) fn numbers(&self) -> usize {
        self.grid.0 + self.grid.1
    }

    /// Scales the scores of the keys from `first` on and adds the biases, `table` being the numbers of the queries, one
    /// on each lane: those of the rows before those of the columns.
    #[inline(always)]
    pub(super) fn add<const COLUMNS: usize>(
        &self,
        table: &[[f32; COLUMNS]],
        first: usize,
        scale: f32,
        scores: &mut [[f32; COLUMNS]],
    ) {
        let (rows, columns) = table.split_at(self.grid.0);
        let (before, mut scores) = scores.split_at_mut(self.prefix.saturating_sub(first).min(scores.len()));
        before.as_flattened_mut().iter_mut().for_each(|score| *score *= scale);
        if scores.is_empty() {
            return;
        }
        let cell = first + before.len() - self.prefix;
        let mut column = cell % columns.len();
        // The keys of a row at a time.
        for row in &rows[cell / columns.len()..] {
            let (now, later) = scores.split_at_mut((columns.len() - column).min(scores.len()));
            add(now, row, &columns[column..], scale);
            if later.is_empty() {
                return;
            }
            (scores, column) = (later, 0);
        }
    }
}

/// Of the keys of one row. Not inlined: that the parts are apart, which vectors need, is known only here.
#[inline(never)]
fn add<const COLUMNS: usize>(
    scores: &mut [[f32; COLUMNS]],
    row: &[f32; COLUMNS],
    columns: &[[f32; COLUMNS]],
    scale: f32,
) {
    for (scores, column) in scores.iter_mut().zip(columns) {
        for ((score, row), column) in scores.iter_mut().zip(row).zip(column) {
            *score = *score * scale + (row + column);
        }
    }
}
