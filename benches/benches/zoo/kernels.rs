//! Matrix products of the encoders, here and in candle: `kernels/<size>/{f32,bf16,candle}`; and what share of the
//! multipliers' measured speed they reach.

use candle_core::Tensor;
use criterion::{Criterion, Throughput};
use half::bf16;
use zoo_benches::noise;
use zoo_kernels::{Activation, Epilogue, Packed, peak};
use zoo_measure::{Summary, processor_time, rounds};

/// Rows, outputs, inputs: of CLIP ViT-L/14 at 336 pixels, of ConvNeXt-L at 320, of an 8B language model that decodes one
/// token and twelve.
const SIZES: [(&str, [usize; 3]); 8] = [
    ("clip-l-qkv", [577, 3072, 1024]),
    ("clip-l-fc1", [577, 4096, 1024]),
    ("clip-l-fc2", [577, 1024, 4096]),
    ("convnext-l-stage1-fc1", [6400, 768, 192]),
    ("convnext-l-stage3-fc1", [400, 3072, 768]),
    ("convnext-l-stage3-fc2", [400, 768, 3072]),
    ("llama-8b-output-1", [1, 4096, 4096]),
    ("llama-8b-output-12", [12, 4096, 4096]),
];
/// Rounds for the ratios that are printed.
const ROUNDS: usize = 9;
/// Products in each turn, and operations if that is more: enough for the accounts, which are written every few
/// milliseconds.
const REPEATS: u64 = 3;
const OPERATIONS: u64 = 2_000_000_000;

/// One product in each form.
struct Product {
    name: &'static str,
    size: [usize; 3],
    x: Tensor,
    weight: Tensor,
    wide: (Packed, Vec<f32>),
    half: (Packed, Vec<bf16>),
}

impl Product {
    fn new(name: &'static str, size @ [rows, outputs, inputs]: [usize; 3]) -> Self {
        let (x, weight) = (noise(&[rows, inputs], 1).unwrap(), noise(&[outputs, inputs], 2).unwrap());
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let round = |values: &[f32]| values.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>();
        let wide = (Packed::new(&values(&weight), outputs, inputs), values(&x));
        let half = (Packed::new(&round(&values(&weight)), outputs, inputs), round(&wide.1));
        Self { name, size, x, weight, wide, half }
    }

    fn operations(&self) -> u64 {
        2 * self.size.iter().product::<usize>() as u64
    }

    fn f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.size[0] * self.size[1]];
        self.wide.0.apply(&self.wide.1, &Epilogue::default(), &mut out);
        out
    }

    fn bf16(&self) -> Vec<bf16> {
        let mut out = vec![bf16::ZERO; self.size[0] * self.size[1]];
        self.half.0.apply(&self.half.1, &Epilogue::default(), &mut out);
        out
    }

    fn candle(&self) -> Tensor {
        self.x.matmul(&self.weight.t().unwrap()).unwrap()
    }
}

pub fn group(c: &mut Criterion) {
    for (name, size) in SIZES {
        let product = Product::new(name, size);
        let mut group = c.benchmark_group(format!("kernels/{name}"));
        group.throughput(Throughput::Elements(product.operations()));
        group.bench_function("f32", |b| b.iter(|| product.f32()));
        group.bench_function("bf16", |b| b.iter(|| product.bf16()));
        group.bench_function("candle", |b| b.iter(|| product.candle()));
        group.finish();
    }
    let x = noise(&[577 * 4096], 1).unwrap().to_vec1::<f32>().unwrap();
    let mut group = c.benchmark_group("kernels/gelu-erf");
    group.throughput(Throughput::Elements(x.len() as u64));
    let mut out = vec![0.0; x.len()];
    group.bench_function("f32", |b| {
        b.iter(|| {
            Activation::GeluErf.map(&x, &mut out);
        });
    });
    group.finish();
}

/// The table of docs/performance.md: candle and ours in turns, on the threads that `RAYON_NUM_THREADS` allows, in
/// processor time.
pub fn table() {
    let peak = |half| peak::flops(half, 50).unwrap_or(f64::NAN) / 1e9;
    let peaks = [peak(false), peak(true)];
    println!("threads: {}", candle_core::utils::get_num_threads());
    println!("instruction peak of one core: {:.0} (f32), {:.0} (bf16) GFLOP/s", peaks[0], peaks[1]);
    println!("| product | f32 | of peak | ÷ candle | bf16 | of peak | ÷ candle f32 |");
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    SIZES.iter().for_each(|&(name, size)| row(&Product::new(name, size), peaks));
}

fn row(product: &Product, peaks: [f64; 2]) {
    let repeats = (OPERATIONS / product.operations()).max(REPEATS);
    let turn = |who| {
        let begun = processor_time();
        (0..repeats).for_each(|_| match who {
            0 => drop(product.candle()),
            1 => drop(product.f32()),
            _ => drop(product.bf16()),
        });
        Ok::<_, ()>(processor_time() - begun)
    };
    let seconds = rounds(3, ROUNDS, 0.0, turn, || false).unwrap();
    let median = |values: Vec<f64>| Summary::of(&values).unwrap().median;
    let cells = |which: usize, peak: f64| {
        let operations = (repeats * product.operations()) as f64;
        let speed = median(seconds[which].iter().map(|seconds| operations / seconds / 1e9).collect());
        let ratio =
            median(seconds[0].iter().zip(&seconds[which]).map(|(candle, ours)| candle / ours).collect());
        format!("{speed:.0} | {:.0} % | {ratio:.2}", 100.0 * speed / peak)
    };
    println!("| {} | {} | {} |", product.name, cells(1, peaks[0]), cells(2, peaks[1]));
}
