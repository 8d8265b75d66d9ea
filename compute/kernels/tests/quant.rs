//! Quantised products, on every instruction set that the machine has. The meaning of the blocks is compared with other
//! implementations where there are some (`compute/nn/tests/quantised.rs`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use common::levels::levels;
use common::noise;
use half::{bf16, f16};
use zoo_kernels::quant::{Format, Quantised};
use zoo_kernels::{Activation, Element, Epilogue, Residual};

/// Blocks of any bytes, but for scales between a thousandth and one.
fn any_blocks(format: Format, count: usize) -> Vec<u8> {
    let scales: &[usize] = match format {
        Format::Q8_0 => &[0],
        Format::Q6K => &[208],
        Format::Q4K => &[0, 2],
    };
    let mut bytes: Vec<u8> =
        noise::<f32>(9, count * format.block_bytes()).into_iter().map(|x| (x * 1e6) as i32 as u8).collect();
    for (i, block) in bytes.chunks_exact_mut(format.block_bytes()).enumerate() {
        for (&at, x) in scales.iter().zip(noise::<f32>(i as u32, 2)) {
            block[at..at + 2].copy_from_slice(&f16::from_f32(0.001 + x.abs()).to_le_bytes());
        }
    }
    bytes
}

fn random(format: Format, outputs: usize, inputs: usize) -> (Quantised, Vec<u8>) {
    let blocks = any_blocks(format, outputs * inputs / format.block_length());
    let bytes = format.row_bytes(inputs);
    (Quantised::from_blocks(format, outputs, inputs, |row| &blocks[row * bytes..][..bytes]), blocks)
}

fn bits<T: Element>(values: &[T]) -> Vec<u32> {
    values.iter().map(|x| x.widen().to_bits()).collect()
}

#[test]
fn blocks_come_back() {
    for format in Format::ALL {
        for (outputs, blocks) in [(1, 1), (16, 3), (37, 2), (0, 1), (3, 0)] {
            let (weights, bytes) = random(format, outputs, blocks * format.block_length());
            assert!(weights.blocks() == bytes, "{format:?} {outputs} rows");
            let (held, files) = (Quantised::bytes(format, outputs, weights.inputs()), bytes.len());
            assert!(held >= files && (outputs != 16 || held < files + 64), "{format:?}: {held} bytes");
            let mut decoded = vec![0.0; outputs * weights.inputs()];
            format.decode(&bytes, &mut decoded);
            assert!(bits(&weights.decode()) == bits(&decoded), "{format:?}");
        }
    }
}

/// What quantising the activations may change is at most half a step for each of them.
#[test]
fn products_are_those_of_the_decoded_weights() {
    for format in Format::ALL {
        let length = format.block_length();
        for (rows, outputs, inputs) in [(1, 16, length), (5, 33, 2 * length), (23, 70, 3 * length)] {
            let (weights, _) = random(format, outputs, inputs);
            let (w, x) = (weights.decode(), noise::<f32>(3, rows * inputs));
            let mut out = vec![f32::NAN; rows * outputs];
            weights.apply(&x, &Epilogue::default(), &mut out);
            let mut shares = 0.0;
            for (i, &got) in out.iter().enumerate() {
                let (x, w) = (&x[i / outputs * inputs..][..inputs], &w[i % outputs * inputs..][..inputs]);
                let (mut want, mut bound) = (0f64, 0f64);
                for (x, w) in x.chunks_exact(length).zip(w.chunks_exact(length)) {
                    let most = x.iter().fold(0f32, |most, x| most.max(x.abs()));
                    let size: f64 = w.iter().map(|&w| f64::from(w).abs()).sum();
                    want += x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>();
                    bound += size * f64::from(most) * (0.5 / 127.0 + 1e-6);
                }
                let error = (f64::from(got) - want).abs();
                assert!(
                    error <= bound,
                    "{format:?} {rows}×{outputs}×{inputs} at {i}: {got} for {want} ± {bound}"
                );
                shares += (error / bound).powi(2);
            }
            // Errors of either sign: they add up to far less than the bound.
            let share = (shares / out.len() as f64).sqrt();
            assert!(share < 0.2, "{format:?} {rows}×{outputs}×{inputs}: {share} of the bound");
        }
    }
}

/// Bit by bit: on every instruction set, alone and among others, on other numbers of threads.
fn rows_are_independent<T: Element>() {
    for format in Format::ALL {
        let (rows, outputs, inputs) = (407, 50, 1536);
        let x = noise::<T>(5, rows * inputs);
        let (bias, shortcut) = (noise::<T>(6, outputs), noise::<T>(7, rows * outputs));
        let epilogue = |start: usize, rows: usize| Epilogue {
            bias: Some(&bias),
            activation: Some(Activation::Silu),
            residual: Some(Residual {
                shortcut: &shortcut[start * outputs..][..rows * outputs],
                scale: None,
            }),
        };
        let run = |weights: &Quantised, start: usize, rows: usize| {
            let mut out = vec![T::round(f32::NAN); rows * outputs];
            weights.apply(&x[start * inputs..][..rows * inputs], &epilogue(start, rows), &mut out);
            bits(&out)
        };
        let mut first = None;
        for isa in levels() {
            let weights = random(format, outputs, inputs).0.at_most(isa);
            let whole = run(&weights, 0, rows);
            assert!(*first.get_or_insert_with(|| whole.clone()) == whole, "{format:?} {isa:?}");
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert!(
                    pool.install(|| run(&weights, 0, rows)) == whole,
                    "{format:?} {isa:?} {threads} threads"
                );
            }
            for (start, count) in [(0, 1), (1, 2), (3, 7), (11, 13), (406, 1)] {
                let part = run(&weights, start, count);
                assert!(part == whole[start * outputs..][..count * outputs], "{format:?} {isa:?} {start}");
            }
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

/// Quantising what a block stands for gives it back, and what it cannot stand for is off by little.
#[test]
fn encoding_is_exact_where_it_can_be_and_close_elsewhere() {
    for (format, steps) in [(Format::Q8_0, 254.0), (Format::Q6K, 63.0), (Format::Q4K, 15.0)] {
        let weights = noise::<f32>(11, 8 * 1024);
        let mut blocks = vec![0; format.row_bytes(weights.len())];
        format.encode(&weights, &mut blocks);
        let mut decoded = vec![0.0; weights.len()];
        format.decode(&blocks, &mut decoded);
        let square = |x: f32| f64::from(x) * f64::from(x);
        let error: f64 = weights.iter().zip(&decoded).map(|(a, b)| square(a - b)).sum();
        let rms = (error / weights.len() as f64).sqrt();
        // Evenly spread rounding errors of a range of 2.
        let even = 2.0 / steps / 12f64.sqrt();
        assert!(rms < 1.15 * even, "{format:?}: {rms} against {even}");

        format.encode(&decoded, &mut blocks);
        let mut again = vec![0.0; weights.len()];
        format.decode(&blocks, &mut again);
        let change: f64 = decoded.iter().zip(&again).map(|(a, b)| square(a - b)).sum();
        assert!(change < 0.2 * error, "{format:?}: {change} of {error}");

        format.encode(&vec![0.0; 1024], &mut blocks[..format.row_bytes(1024)]);
        format.decode(&blocks[..format.row_bytes(1024)], &mut decoded[..1024]);
        assert!(decoded[..1024].iter().all(|&x| x == 0.0), "{format:?}: zeros");
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for format in Format::ALL {
        let (weights, _) = random(format, 16, 512);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = noise::<f32>(2, 2 * 512);
            x[700] = bad;
            let mut out = vec![0.0; 32];
            weights.apply(&x, &Epilogue::default(), &mut out);
            assert!(out[..16].iter().all(|x| x.is_finite()) && out[16..].iter().all(|x| x.is_nan()), "{bad}");
        }
    }
}
