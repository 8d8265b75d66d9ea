//! AVX2 with FMA: 6 rows by two vectors, 12 of the 16 registers, as the compiler makes them of the plain loops.

use super::Job;
use super::portable::{COLUMNS, Loops};
use crate::arithmetic::Fused;

/// Products of `f32`.
pub(crate) type Avx2 = Loops<Fused, 6>;

/// [`Job::run`], compiled for the instruction set.
///
/// # Safety
/// That of [`Job::run`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) unsafe fn work(job: &impl Job) {
    // SAFETY: the caller's.
    unsafe { job.run::<Avx2, COLUMNS>() }
}
