//! What opening costs beyond packing: CLIP ViT-L/14 at 336 px from a file that the system has in memory, beside the
//! packing of the same matrices from memory of our own. Both convert from f32, and both touch the panels' memory for the
//! first time; only opening finds tensors in a file, checks them, maps them and lets go of them.

use std::cell::RefCell;
use std::fs::File;
use std::time::Instant;

use candle_core::Tensor;
use half::bf16;
use zoo_benches::{linked, spec, tensors};
use zoo_core::sdk::OpenOptions;
use zoo_core::{Precision, Spec};
use zoo_host::plugins::ObjectKind;
use zoo_kernels::{Element, Packed, Stored};
use zoo_measure::{Summary, processor_time, rounds};
use zoo_registry::Registry;

const ID: &str = "clip-vit-l-14-336";
const ROUNDS: usize = 7;
/// The two contestants.
const NAMES: [&str; 2] = ["opening", "packing alone"];

/// The numbers of a matrix in the form of a file, `[outputs, inputs]`.
struct Matrix {
    outputs: usize,
    inputs: usize,
    bytes: Vec<u8>,
}

impl Matrix {
    fn new(tensor: &Tensor) -> Self {
        let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let outputs = tensor.dims()[0];
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self { outputs, inputs: values.len() / outputs, bytes }
    }

    fn pack<T: Element>(&self) -> Packed {
        Packed::read::<T>(self.outputs, self.inputs, |first, out| {
            Stored::F32.read(&self.bytes[4 * first * self.inputs..][..4 * out.len()], out);
        })
    }
}

pub fn table() {
    let row = Registry::shipped().unwrap().encoder(ID).unwrap().clone();
    let (door, spec) = (linked(&row.plugin).unwrap(), spec(ID, &row.architecture, row.arch.into()).unwrap());
    let tensors = tensors(&door, ObjectKind::Encoder, &spec).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("encoder.safetensors");
    candle_core::safetensors::save(&tensors, &file).unwrap();
    // What was just written need not be in memory in full.
    std::io::copy(&mut File::open(&file).unwrap(), &mut std::io::sink()).unwrap();
    // Position tables are no matrices to multiply by.
    let product = |key: &str, tensor: &Tensor| tensor.rank() > 1 && !key.contains("position");
    let matrices = tensors.iter().filter(|(key, tensor)| product(key, tensor));
    let matrices: Vec<Matrix> = matrices.map(|(_, tensor)| Matrix::new(tensor)).collect();
    drop(tensors);

    let cells: usize = matrices.iter().map(|m| m.outputs * m.inputs).sum();
    println!("{ID}: {cells} weights in matrices, a file in f32, {ROUNDS} rounds, medians and quartiles");
    println!("| dtype | | seconds | of processor time |");
    println!("| --- | --- | --: | --: |");
    for (precision, name) in [(Precision::F32, "f32"), (Precision::Bf16, "bf16")] {
        let spec = Spec { precision, ..spec.clone() };
        let options = OpenOptions { weights: vec![file.clone()], ..OpenOptions::default() };
        let run = |which| match which {
            0 => timed(|| door.open_encoder(&spec, &options).unwrap()),
            _ if precision == Precision::Bf16 => timed(|| pack_all::<bf16>(&matrices)),
            _ => timed(|| pack_all::<f32>(&matrices)),
        };
        // The first of each reads the file and asks the system for memory.
        (0..NAMES.len()).for_each(|which| _ = run(which));
        let busy = RefCell::new([Vec::new(), Vec::new()]);
        let turn = |which: usize| {
            let (seconds, spent) = run(which);
            busy.borrow_mut()[which].push(spent);
            Ok::<_, ()>(seconds)
        };
        let clock = rounds(NAMES.len(), ROUNDS, 0.0, turn, || false).unwrap();
        let busy = busy.into_inner();
        for (which, what) in NAMES.iter().enumerate() {
            println!("| {name} | {what} | {} | {} |", shown(&clock[which]), shown(&busy[which]));
        }
        let more = |times: &[Vec<f64>]| -> Vec<f64> {
            times[0].iter().zip(&times[1]).map(|(opening, packing)| opening - packing).collect()
        };
        println!("| {name} | difference | {} | {} |", shown(&more(&clock)), shown(&more(&busy)));
    }
}

fn pack_all<T: Element>(matrices: &[Matrix]) -> Vec<Packed> {
    matrices.iter().map(Matrix::pack::<T>).collect()
}

/// Seconds by the clock and of processor time; giving back what was made does not count.
fn timed<R>(run: impl FnOnce() -> R) -> (f64, f64) {
    let (begun, busy) = (Instant::now(), processor_time());
    let _made = run();
    (begun.elapsed().as_secs_f64(), processor_time() - busy)
}

fn shown(values: &[f64]) -> String {
    Summary::of(values).map_or_else(String::new, |s| format!("{:.2} ({:.2}–{:.2})", s.median, s.low, s.high))
}
