//! Which tile computes, chosen by element and machine.

use std::marker::PhantomData;

use crate::element::Element;
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::tile::{Avx2, Avx512, Cells, Pairs, Singles, avx2};
use crate::tile::{Job, Portable, Tile, portable};

/// Which tile reads the panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Pairs,
}

impl Kernel {
    /// The best for elements `T`, with at most these instructions and only with what the machine has.
    pub(crate) fn choose<T: Element>(most: Isa) -> Self {
        match most.min(Isa::detect()) {
            Isa::Portable => Self::Portable,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 if T::HALF => Self::Avx512Pairs,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 => Self::Avx512,
            #[cfg(not(target_arch = "x86_64"))]
            _ => Self::Portable,
        }
    }

    pub(crate) fn shape(self) -> Shape {
        fn shape<const COLUMNS: usize, K: Tile<COLUMNS>>(_: PhantomData<K>) -> Shape {
            Shape { height: K::ROWS, columns: COLUMNS, pairs: K::PAIRS }
        }
        match self {
            Self::Portable => shape(PhantomData::<Portable>),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => shape(PhantomData::<Avx2>),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => shape(PhantomData::<Avx512<Singles>>),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Pairs => shape(PhantomData::<Avx512<Pairs>>),
        }
    }

    /// Runs `job` with this tile.
    ///
    /// # Safety
    /// The kernel came from [`Kernel::choose`]; what else [`Job::run`] of this job asks for.
    pub(crate) unsafe fn run(self, job: &impl Job) {
        // SAFETY: `choose` takes only what the machine has; the rest is the caller's.
        unsafe {
            match self {
                Self::Portable => portable::work(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::work(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => Singles::work(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Pairs => Pairs::work(job),
            }
        }
    }
}

/// What a tile spans.
pub(crate) struct Shape {
    /// Rows of activations.
    pub(crate) height: usize,
    /// Outputs.
    pub(crate) columns: usize,
    /// Whether a cell is two `bf16`.
    pub(crate) pairs: bool,
}
