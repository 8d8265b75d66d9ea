//! What this machine could do at most.

use std::fmt;

use half::bf16;
use serde::{Deserialize, Serialize};
use zoo_kernels::{Element, Epilogue, Isa, Packed, peak};

/// Rows, outputs and inputs of the product whose speed stands for products: large, and of the size of the encoders'.
const PRODUCT: [usize; 3] = [1536, 4096, 1024];

/// The most floating-point operations a second, on all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Peak {
    /// Of the multipliers: independent multiply-adds without memory. None where this machine has no vector
    /// kernel to compare with.
    pub instructions: Option<f64>,
    /// Of a large matrix product, with packed weights.
    pub product: f64,
}

/// The processor and its speed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name, where the system tells.
    pub processor: String,
    /// The instructions that products use.
    pub instructions: String,
    /// Threads that compute.
    pub threads: usize,
    /// In f32.
    pub f32: Peak,
    /// In bf16.
    pub bf16: Peak,
}

impl Machine {
    /// Looks, and measures once.
    pub fn new() -> Self {
        let instructions = match Isa::detect() {
            Isa::Portable => "no vector instructions that are known here",
            Isa::Avx2 => "AVX2 and FMA",
            Isa::Avx512 | Isa::Avx512Vnni => "AVX-512",
            Isa::Avx512Bf16 => "AVX-512 with bf16",
        };
        let mut machine = Self {
            processor: processor(),
            instructions: instructions.to_owned(),
            threads: rayon::current_num_threads(),
            f32: Peak::default(),
            bf16: Peak::default(),
        };
        machine.measure();
        machine
    }

    /// Measures again, a fraction of a second; the peaks are the best that were ever seen.
    pub fn measure(&mut self) {
        raise(&mut self.f32, instructions(false), product::<f32>());
        raise(&mut self.bf16, instructions(true), product::<bf16>());
    }
}

impl Machine {
    /// Takes over the peaks that another process saw on the same machine, where they are higher.
    pub fn raise(&mut self, seen: &Self) {
        raise(&mut self.f32, seen.f32.instructions, seen.f32.product);
        raise(&mut self.bf16, seen.bf16.instructions, seen.bf16.product);
    }
}

/// For people: the processor, and a line of peaks for each element type.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.threads == 1 { "" } else { "s" };
        writeln!(f, "{}, {}, {} thread{plural}; peaks:", self.processor, self.instructions, self.threads)?;
        let speed = |speed: f64| format!("{:.0} GFLOP/s", speed / 1e9);
        for (name, peak) in [("f32", &self.f32), ("bf16", &self.bf16)] {
            let instructions = peak.instructions.map_or_else(|| "unknown".to_owned(), speed);
            writeln!(f, "  {name:<5} multipliers {instructions}, matrix product {}", speed(peak.product))?;
        }
        Ok(())
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

fn raise(peak: &mut Peak, instructions: Option<f64>, product: f64) {
    peak.instructions = match (peak.instructions, instructions) {
        (Some(old), Some(new)) => Some(old.max(new)),
        (old, new) => old.or(new),
    };
    peak.product = peak.product.max(product);
}

/// All threads at the same time: cores may share a clock, and threads a core.
fn instructions(half: bool) -> Option<f64> {
    rayon::broadcast(|_| peak::flops(half, 10)).into_iter().sum()
}

fn product<T: Element>() -> f64 {
    let [rows, outputs, inputs] = PRODUCT;
    // Values do not matter, but zeros would be cheaper to multiply.
    let values =
        |count: usize| -> Vec<T> { (0..count).map(|i| T::round((i % 251) as f32 / 251.0 - 0.5)).collect() };
    let weight = Packed::new(&values(outputs * inputs), outputs, inputs);
    let (x, mut out) = (values(rows * inputs), values(rows * outputs));
    let mut run = || {
        let begun = std::time::Instant::now();
        weight.apply(&x, &Epilogue::default(), &mut out);
        2.0 * (rows * outputs * inputs) as f64 / begun.elapsed().as_secs_f64()
    };
    (0..4).map(|_| run()).fold(0.0, f64::max)
}

fn processor() -> String {
    let file = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = file.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measuring_again_never_lowers_a_peak() {
        let mut peak = Peak { instructions: Some(3.0), product: 2.0 };
        raise(&mut peak, Some(1.0), 5.0);
        assert_eq!(peak, Peak { instructions: Some(3.0), product: 5.0 });
        raise(&mut peak, None, 1.0);
        assert_eq!(peak, Peak { instructions: Some(3.0), product: 5.0 });
    }

    #[test]
    fn peaks_that_are_not_known_are_said_to_be() {
        let machine = Machine {
            processor: "a processor".into(),
            instructions: "AVX2 and FMA".into(),
            threads: 2,
            f32: Peak { instructions: Some(4.04e10), product: 3e10 },
            bf16: Peak { instructions: None, product: 2.5e10 },
        };
        let lines = "a processor, AVX2 and FMA, 2 threads; peaks:\n  f32   multipliers 40 GFLOP/s, matrix product 30 GFLOP/s\n\
                     \x20 bf16  multipliers unknown, matrix product 25 GFLOP/s\n";
        assert_eq!(machine.to_string(), lines);
    }
}
