//! The backward pass of attention without a matrix of scores in memory (arXiv 2205.14135, 2307.08691).
//!
//! The forward pass keeps one number a query, the logarithm of its sum of weights, from which blocks of weights are made
//! anew. A task is a head of an image, which owns all that it adds to; where heads of queries share keys, each leaves its
//! part of their gradients, and the parts are added in the order of the heads. So nothing depends on the threads.

mod head;

use rayon::prelude::*;

use crate::attention::{Attention, AttentionSize, Bias};
use crate::element::Element;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::out::Out;

use head::Task;

/// From the gradient of what [`Attention::apply_kept`] gave to those of queries, keys and values.
#[derive(Debug, Clone, Copy)]
pub struct AttentionGradient<'a, T> {
    /// What was computed.
    pub attention: Attention<'a, T>,
    /// Its result, `[batch, queries, heads, channels]`.
    pub out: &'a [T],
    /// What it kept, `[batch, heads, queries]`.
    pub logs: &'a [f32],
    /// The gradient of the result, `[batch, queries, heads, channels]`.
    pub gradient: &'a [T],
}

/// Where rows of a gradient go.
#[derive(Clone, Copy)]
struct Place<T> {
    out: Out<T>,
    start: usize,
    batch: usize,
    token: usize,
    head: usize,
}

impl<T: Element> Place<T> {
    /// # Safety
    /// The row lies inside, and nobody else writes to it.
    #[inline(always)]
    unsafe fn put(&self, [image, token, head]: [usize; 3], row: impl Iterator<Item = f32>) {
        let start = self.start + image * self.batch + token * self.token + head * self.head;
        for (i, x) in row.enumerate() {
            // SAFETY: the caller's.
            unsafe { self.out.set(start + i, [T::round(x)]) };
        }
    }
}

impl<T: Element> AttentionGradient<'_, T> {
    /// Writes the gradients of queries, keys and values to `out`, `[batch, tokens, heads + 2 key_heads, channels]`: in
    /// this order, for each token. All products are of f32, whatever `T` is; rounded once. If the scores have a
    /// decomposed bias with numbers for each image and head, the gradients of its rows and columns go to `bias`. Runs on
    /// the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit, or there are other keys than queries.
    pub fn apply_joint(&self, out: &mut [T], bias: Option<[&mut [f32]; 2]>) {
        self.apply_joint_at_most(Isa::Avx512Bf16, out, bias);
    }

    /// As [`AttentionGradient::apply_joint`], with no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`AttentionGradient::apply_joint`].
    pub fn apply_joint_at_most(&self, isa: Isa, out: &mut [T], bias: Option<[&mut [f32]; 2]>) {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.attention.size;
        assert_eq!(queries, keys, "queries and keys of one row");
        let token = (heads + 2 * key_heads) * channels;
        assert_eq!(out.len(), batch * queries * token, "out: not [{batch}, {queries}, {token}]");
        let out = Out::new(out);
        let place = |first: usize| Place {
            out,
            start: first * channels,
            batch: queries * token,
            token,
            head: channels,
        };
        // SAFETY: the three lie beside one another in rows of `token` numbers.
        unsafe { self.run(isa, [place(0), place(heads), place(heads + key_heads)], bias) };
    }

    /// As [`AttentionGradient::apply_joint`], to `q`, `[batch, queries, heads, channels]`, and to `k` and `v`,
    /// `[batch, keys, key_heads, channels]`.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply(&self, q: &mut [T], k: &mut [T], v: &mut [T], bias: Option<[&mut [f32]; 2]>) {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.attention.size;
        let place = |out: &mut [T], tokens: usize, heads: usize| {
            let token = heads * channels;
            assert_eq!(out.len(), batch * tokens * token, "a gradient: not [{batch}, {tokens}, {token}]");
            Place { out: Out::new(out), start: 0, batch: tokens * token, token, head: channels }
        };
        let places = [place(q, queries, heads), place(k, keys, key_heads), place(v, keys, key_heads)];
        // SAFETY: they lie apart and were found to be long enough.
        unsafe { self.run(Isa::Avx512Bf16, places, bias) };
    }

    /// # Safety
    /// The places have room for all rows, and do not overlap.
    unsafe fn run(&self, isa: Isa, [q, k, v]: [Place<T>; 3], bias: Option<[&mut [f32]; 2]>) {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.attention.size;
        let all = batch * queries * heads * channels;
        self.attention.check(all);
        assert!(self.out.len() == all && self.gradient.len() == all, "out and gradient: not of all queries");
        assert_eq!(self.logs.len(), batch * heads * queries, "logs: not [{batch}, {heads}, {queries}]");
        let bias = bias.map(|[rows, columns]| {
            let fits = match self.attention.bias {
                Some(Bias::Decomposed(d)) => {
                    let one = batch * heads * queries;
                    rows.len() == one * d.grid.0 && columns.len() == one * d.grid.1
                }
                _ => false,
            };
            assert!(fits, "gradients of a bias that has no numbers for each image and head");
            rows.fill(0.0);
            columns.fill(0.0);
            [Out::new(rows), Out::new(columns)]
        });
        if batch * heads * channels == 0 {
            return;
        }
        let group = heads / key_heads;
        let part = keys * channels;
        let mut parts = vec![0f32; if group > 1 { 2 * batch * heads * part } else { 0 }];
        let shared = (group > 1).then(|| Out::new(&mut parts));
        let kernel = Kernel::choose::<f32>(isa);
        (0..batch * heads).into_par_iter().with_max_len(1).for_each(|i| {
            let task = Task { of: self, image: i / heads, head: i % heads, q, k, v, shared, bias };
            // SAFETY: lengths were checked; each head is given out once.
            unsafe { kernel.run(&task) }
        });
        if group > 1 {
            (0..batch * keys).into_par_iter().for_each(|i| {
                let (image, key) = (i / keys, i % keys);
                for head in 0..key_heads {
                    for (which, place) in [k, v].into_iter().enumerate() {
                        let sum = |c: usize| {
                            let of = |h: usize| {
                                let head = image * heads + head * group + h;
                                parts[((2 * head + which) * keys + key) * channels + c]
                            };
                            (0..group).map(of).sum::<f32>()
                        };
                        // SAFETY: the caller's; each key of each head is given out once.
                        unsafe { place.put([image, key, head], (0..channels).map(sum)) };
                    }
                }
            });
        }
    }
}
