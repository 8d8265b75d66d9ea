//! Products against f64, on every instruction set that the machine has, at sizes that do not fit the tiles.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use common::levels::levels;
use common::noise;
use half::bf16;
use zoo_kernels::{Activation, Element, Epilogue, Isa, Packed, Residual};

/// What bf16 takes of activations where it has instructions of its own, relative to the value or to 1/64; results are
/// rounded by up to 2e-3.
const GATE: f64 = 5e-4;

struct Case<T> {
    size: [usize; 3],
    x: Vec<T>,
    weight: Vec<T>,
    bias: Vec<T>,
    shortcut: Vec<T>,
    scale: Vec<T>,
}

impl<T: Element> Case<T> {
    fn new(m: usize, n: usize, k: usize) -> Self {
        Self {
            size: [m, n, k],
            x: noise(1, m * k),
            weight: noise(2, n * k),
            bias: noise(3, n),
            shortcut: noise(4, m * n),
            scale: noise(5, n),
        }
    }

    /// The epilogues, plainest first.
    fn epilogues(&self) -> Vec<Epilogue<'_, T>> {
        let bias = Some(self.bias.as_slice());
        let residual = |scale| Some(Residual { shortcut: self.shortcut.as_slice(), scale });
        let activated = |a| Epilogue { bias, activation: Some(a), residual: None };
        let mut all = vec![
            Epilogue::default(),
            Epilogue { bias, ..Epilogue::default() },
            Epilogue { bias, activation: None, residual: residual(None) },
            Epilogue { bias, activation: Some(Activation::Silu), residual: residual(Some(&self.scale)) },
        ];
        all.extend(Activation::ALL.map(activated));
        all
    }

    fn run(&self, isa: Isa, epilogue: &Epilogue<'_, T>) -> Vec<T> {
        let [m, n, k] = self.size;
        let mut out = vec![T::round(f32::NAN); m * n];
        Packed::at_most(isa, &self.weight, n, k).apply(&self.x, epilogue, &mut out);
        out
    }

    fn check(&self, isa: Isa, epilogue: &Epilogue<'_, T>) {
        let [m, n, k] = self.size;
        let at = |values: &[T], i: usize| f64::from(values[i].widen());
        let out = self.run(isa, epilogue);
        for (i, got) in out.iter().enumerate() {
            let (r, c) = (i / n, i % n);
            let mut want: f64 = (0..k).map(|p| at(&self.x, r * k + p) * at(&self.weight, c * k + p)).sum();
            want += epilogue.bias.map_or(0.0, |bias| at(bias, c));
            want = epilogue.activation.map_or(want, |activation| exact(activation, want));
            let gated = T::HALF && isa == Isa::Avx512Bf16 && epilogue.activation.is_some();
            let activated = if gated { GATE * want.abs().max(1.0 / 64.0) } else { 0.0 };
            if let Some(Residual { shortcut, scale }) = epilogue.residual {
                want = at(shortcut, i) + scale.map_or(1.0, |scale| at(scale, c)) * want;
            }
            let rounding = if T::HALF { want.abs() / 256.0 } else { 0.0 };
            let error = (f64::from(got.widen()) - want).abs();
            assert!(
                error <= 2e-7 * (k as f64 + 4.0) + activated + rounding,
                "{isa:?} {m}×{n}×{k} {epilogue:?} at {r}, {c}: {} for {want}",
                got.widen()
            );
        }
    }
}

fn exact(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        // Φ by Simpson's rule over the density.
        Activation::GeluErf => {
            let (steps, density) = (400, |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt());
            let h = x / f64::from(steps);
            let weight = |i| if i == 0 || i == steps { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
            let area: f64 = (0..=steps).map(|i| weight(i) * density(f64::from(i) * h)).sum();
            x * (0.5 + area * h / 3.0)
        }
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Silu => x * sigmoid(x),
    }
}

#[test]
fn every_size_to_seventy() {
    for isa in levels() {
        for i in 1..=70 {
            // Each axis takes every value, beside others in changing company.
            let (m, n, k) = (i, 71 - i, 1 + (i * 29) % 70);
            for (m, n, k) in [(m, n, k), (k, m, n), (1 + (i * 13) % 12, k, m)] {
                let case = Case::<f32>::new(m, n, k);
                case.check(isa, &case.epilogues()[i % 4]);
                let case = Case::<bf16>::new(m, n, k);
                case.check(isa, &case.epilogues()[i % 4]);
            }
        }
    }
}

#[test]
fn every_epilogue() {
    for isa in levels() {
        for (m, n, k) in [(13, 33, 7), (24, 64, 40), (1, 17, 300)] {
            let case = Case::<f32>::new(m, n, k);
            case.epilogues().iter().for_each(|epilogue| case.check(isa, epilogue));
            let case = Case::<bf16>::new(m, n, k);
            case.epilogues().iter().for_each(|epilogue| case.check(isa, epilogue));
        }
    }
}

#[test]
fn nothing_in_nothing_out() {
    for isa in levels() {
        for (m, n, k) in [(0, 5, 5), (5, 0, 5)] {
            let case = Case::<f32>::new(m, n, k);
            case.check(isa, &Epilogue::default());
        }
        let case = Case::<f32>::new(3, 5, 0);
        assert_eq!(case.run(isa, &case.epilogues()[1]), case.bias.repeat(3));
    }
}

/// Bit by bit: the same row alone, among others, past the end of a slab, and on other numbers of threads.
fn rows_are_independent<T: Element>() {
    let (m, n, k) = (403, 70, 5411);
    let case = Case::<T>::new(m, n, k);
    let bits = |out: &[T]| out.iter().map(|x| x.widen().to_bits()).collect::<Vec<_>>();
    for isa in levels() {
        let epilogue =
            Epilogue { bias: Some(&case.bias), activation: Some(Activation::GeluErf), residual: None };
        let packed = Packed::at_most(isa, &case.weight, n, k);
        let whole = bits(&case.run(isa, &epilogue));
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| bits(&case.run(isa, &epilogue))) == whole, "{isa:?}, {threads} threads");
        }
        for row in [0, 1, 11, 12, 387, 402] {
            let mut out = vec![T::round(f32::NAN); n];
            packed.apply(&case.x[row * k..][..k], &epilogue, &mut out);
            assert!(bits(&out) == whole[row * n..][..n], "{isa:?}, row {row}");
        }
        for rows in 2..10 {
            let mut out = vec![T::round(f32::NAN); rows * n];
            packed.apply(&case.x[..rows * k], &epilogue, &mut out);
            assert!(bits(&out) == whole[..rows * n], "{isa:?}, {rows} rows");
        }
    }
}

#[test]
fn rows_are_independent_f32() {
    rows_are_independent::<f32>();
}

#[test]
fn rows_are_independent_bf16() {
    rows_are_independent::<bf16>();
}

#[test]
fn weights_come_back() {
    for isa in levels() {
        for (n, k) in [(1, 1), (33, 7), (64, 10), (16, 31), (0, 3), (3, 0)] {
            let weight = noise::<f32>(7, n * k);
            assert_eq!(Packed::at_most(isa, &weight, n, k).unpack::<f32>(), weight);
            let weight = noise::<bf16>(7, n * k);
            let packed = Packed::at_most(isa, &weight, n, k);
            assert_eq!(packed.unpack::<bf16>(), weight);
            for row in 0..n {
                let mut out = vec![bf16::NAN; k];
                packed.row(row, &mut out);
                assert_eq!(out, weight[row * k..][..k]);
            }
        }
    }
}

/// Two bytes each, and the bits of the same numbers in four.
#[test]
fn weights_of_bf16_are_widened_where_there_are_no_products_of_pairs() {
    for isa in levels() {
        for (m, n, k) in [(1, 40, 31), (2, 16, 7), (5, 33, 130), (8, 9, 64), (30, 70, 65), (3, 5, 0)] {
            let case = Case::<bf16>::new(m, n, k);
            let packed = Packed::at_most(isa, &case.weight, n, k);
            let columns = if isa >= Isa::Avx512 { 32 } else { 16 };
            let panel = (k.next_multiple_of(2) * columns * 2).next_multiple_of(64);
            assert!(packed.held() <= n.div_ceil(columns) * panel, "{isa:?} {n}×{k}: {} bytes", packed.held());
            if isa == Isa::detect() {
                assert_eq!(Packed::bytes::<bf16>(n, k), packed.held());
            }
            if isa == Isa::Avx512Bf16 {
                continue;
            }
            let [x, weight] =
                [&case.x, &case.weight].map(|x| x.iter().map(|x| x.widen()).collect::<Vec<_>>());
            let mut wide = vec![f32::NAN; m * n];
            Packed::at_most(isa, &weight, n, k).apply(&x, &Epilogue::default(), &mut wide);
            let rounded: Vec<bf16> = wide.into_iter().map(bf16::from_f32).collect();
            assert!(case.run(isa, &Epilogue::default()) == rounded, "{isa:?} {m}×{n}×{k}");
        }
    }
}

#[test]
#[should_panic(expected = "weights are packed as bf16, rows are f32")]
fn rows_of_f32_by_weights_of_bf16_are_refused() {
    Packed::new(&[bf16::ONE; 12], 4, 3).apply(&[0f32; 6], &Epilogue::default(), &mut [0.0; 8]);
}

#[test]
#[should_panic(expected = "x: not [2, 3]")]
fn wrong_lengths_are_refused() {
    Packed::new(&[0f32; 12], 4, 3).apply(&[0.0; 5], &Epilogue::default(), &mut [0.0; 8]);
}
