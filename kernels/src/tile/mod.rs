//! Tiles: the sums of a few rows by one panel of outputs, held in registers along all inputs.
//!
//! [`Tile::sums`] is written once for each instruction set, and the compiler turns everything around it into the
//! same instructions by inlining it into [`Tile::work`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Avx512Pairs};
pub(crate) use portable::Portable;

/// One instruction set. `COLUMNS` outputs make a panel of weights.
pub(crate) trait Tile<const COLUMNS: usize> {
    /// Rows of activations of a tile, at most [`ROWS`].
    const ROWS: usize;
    /// Whether a cell is two `bf16`.
    const PAIRS: bool;

    /// Writes the sums over `steps` cells.
    ///
    /// # Safety
    /// The machine has the instructions; `x` points to `steps × ROWS` readable cells and `w` to `steps × COLUMNS`,
    /// `w` on a cache line where `COLUMNS` is a multiple of 16; `sums` to `ROWS` rows that may be written.
    unsafe fn sums(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]);

    /// [`Job::run`], compiled for the instruction set.
    ///
    /// # Safety
    /// That of [`Job::run`].
    unsafe fn work(job: &impl Job);
}

/// Work that is compiled for every instruction set.
pub(crate) trait Job {
    /// # Safety
    /// The machine has the instructions of `K`; what else the job asks for.
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self);
}

/// Most rows of a tile.
pub(crate) const ROWS: usize = 12;
